// SPDX-License-Identifier: Apache-2.0
// What a script talks to: a broker in this process, or one behind a socket.
#pragma once

#include <memory>
#include <string>

#include "storage/base/bytes.h"
#include "storage/base/clock.h"

namespace warren::conformance {

// One connection's bytes. Dies with the connection: the peer sees it vanish.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual void send(Bytes bytes) = 0;
  // Appends what came; waits for the first byte, at most that long. False: nothing came.
  virtual bool receive(std::string& in, Duration wait) = 0;
  // The peer has closed, and all that it sent has been received.
  virtual bool closed() = 0;
};

struct Login {
  std::string user = "guest";
  std::string password = "guest";
  std::string vhost = "/";
};

class World {
 public:
  virtual ~World() = default;
  // Null when nobody answers.
  virtual std::unique_ptr<Transport> connect() = 0;
  virtual void wait(Duration duration) = 0;
  // How long an answer may take, and how long silence has to last to be believed.
  virtual Duration answer_wait() const = 0;
  virtual Duration silence_wait() const = 0;
  virtual Login login() const = 0;
  // REQUIRES: the broker is ours, and no transport is there.
  virtual bool can_restart() const = 0;
  virtual void restart() = 0;
  virtual void crash() = 0;
};

}  // namespace warren::conformance
