// SPDX-License-Identifier: Apache-2.0
// Channel's templates that need ConnectionSession complete: included by the channel_*.cc files
// only.
#pragma once

#include "server/broker/message.h"
#include "server/session/channel.h"
#include "server/session/connection_session.h"

namespace warren::session {

template <class Method>
void Channel::send(const Method& method) {
  session_.send(number_, method);
}

}  // namespace warren::session
