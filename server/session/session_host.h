// SPDX-License-Identifier: Apache-2.0
// What a session asks of whoever moves its bytes.
#pragma once

namespace warren::session {

// Runs on: the connection's shard. May be called from inside any call of the session.
class SessionHost {
 public:
  virtual ~SessionHost() = default;
  // There is output, or the session is closed. Called once until ConnectionSession::on_flushed().
  virtual void output_ready() = 0;
  // Input that was not consumed may be offered again.
  virtual void input_ready() = 0;
};

}  // namespace warren::session
