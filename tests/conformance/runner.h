// SPDX-License-Identifier: Apache-2.0
// Plays a case against a world, step by step.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "tests/conformance/conversation.h"
#include "tests/conformance/wire_script.h"
#include "tests/conformance/world.h"

namespace warren::conformance {

// A run of one case. Transports that are still there die with it, as cut ones.
class Runner {
 public:
  Runner(World& world, const Case& script) : world_(world), script_(script) {}

  // All of it. Empty when it passed, else "queue/declare.wire:12: what was expected, what came".
  std::string run();
  // The first `count` steps only; what they expect still counts.
  std::string run_steps(std::size_t count);

  // The names of what the case may have declared and not deleted.
  static std::set<std::string> declared(const Case& script, std::string_view method,
                                        const Variables& variables);
  const Variables& variables() const { return variables_; }

 private:
  void play(const Step& step);
  void play_open(const Step& step);
  void play_send(const Step& step);
  void play_publish(const Step& step);
  void play_call(const Step& step);
  void play_get(const Step& step);
  void play_expect(const Step& step);
  bool play_expect_state(const Step& step);
  void play_refused(const Step& step);
  void play_dropped(const Step& step);
  void play_confirms(const Step& step);
  void play_bye(const Step& step);
  void play_frame(const Step& step);
  void play_together(const Step& step);
  void play_sync(const Step& step);
  void play_broker_end(const Step& step);
  void handshake(const Step& step, Conversation& conversation);
  void check_end();

  void fail(const Step& step, const std::string& why);
  bool failed() const { return !failure_.empty(); }
  Conversation* find(const Step& step);
  std::uint16_t channel_of(const Step& step) const;
  void send_method(const Step& step, std::string_view method,
                   const std::vector<Argument>& arguments);
  // The next message of the step's channel; fails and is empty if there is none.
  std::optional<Message> receive(const Step& step, std::string_view wanted);
  // Takes the next message if it fits; fails otherwise.
  void expect_message(const Step& step, std::string_view method,
                      const std::vector<Argument>& arguments);
  std::string mismatch_of(const Message& message, std::string_view method,
                          const std::vector<Argument>& arguments);
  std::string mismatch_of(const Message& message, const Argument& argument, std::size_t positional);
  Variables known(const Step& step) const;

  World& world_;
  const Case& script_;
  Variables variables_;  // captured
  Variables counters_;   // of the step that is under way
  std::map<std::string, std::unique_ptr<Conversation>> conversations_;
  std::string failure_;
};

}  // namespace warren::conformance
