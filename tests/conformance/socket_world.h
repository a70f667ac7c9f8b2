// SPDX-License-Identifier: Apache-2.0
// A broker behind TCP, in real time. It is not ours: it is neither stopped nor crashed.
#pragma once

#include <memory>

#include "server/tools/perf/uri.h"

#include "tests/conformance/wire_script.h"
#include "tests/conformance/world.h"

namespace warren::conformance {

class SocketWorld final : public World {
 public:
  explicit SocketWorld(perf::Uri uri) : uri_(std::move(uri)) {}

  std::unique_ptr<Transport> connect() override;
  void wait(Duration duration) override;
  Duration answer_wait() const override { return std::chrono::seconds(5); }
  Duration silence_wait() const override { return std::chrono::milliseconds(150); }
  Login login() const override { return {uri_.user, uri_.password, uri_.vhost}; }
  bool can_restart() const override { return false; }
  void restart() override;
  void crash() override;

  // Plays the case and deletes what it declared, before (an earlier run may have been killed) and
  // afterwards. Empty when it passed.
  std::string run(const Case& script);

 private:
  void clean_up(const Case& script, const Variables& variables);

  perf::Uri uri_;
};

}  // namespace warren::conformance
