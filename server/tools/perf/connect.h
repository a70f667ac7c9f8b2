// SPDX-License-Identifier: Apache-2.0
// Opens connections for the workloads, and says what to do when a broker refuses.
#pragma once

#include <string>
#include <string_view>

#include "storage/base/result.h"

#include "server/tools/perf/wire_client.h"

namespace warren::perf {

// A connection with channel 1 open. The error's code is not_found (exit code 3): the broker cannot
// be reached or does not let us in.
Result<WireClient> connect(const Uri& uri, Waiting waiting = Waiting::asleep);

// host:port, for messages.
std::string address_of(const Uri& uri);

// The error with what it was about in front and, for the common refusals of brokers, what helps.
Error explain(std::string_view what, const Error& error);

// As many descriptors as the system allows.
void raise_file_limit();

}  // namespace warren::perf
