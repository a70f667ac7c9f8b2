// SPDX-License-Identifier: Apache-2.0
// Reads *.wire files: named cases, each a list of steps. README.md has the language. Knows nothing
// of AMQP but the shape of a line; what a method is called is the conversation's matter.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "storage/base/clock.h"
#include "storage/base/result.h"

#include "tests/conformance/wire_value.h"

namespace warren::conformance {

// name=value, name~value, name!=value, name=>$variable, name (a true flag), !name (a false one).
// Positional values (`404 "text"`) have an empty name.
struct Argument {
  enum class Operator { equal, contains, differs, capture, is_set, not_set };

  std::string name;
  Operator op = Operator::equal;
  Value value;
  std::string variable;  // of a capture
};

enum class Verb {
  open,      // a connection with channel 1, or one more channel
  connect,   // a transport, nothing said
  send,      // one method frame
  publish,   // method, header and body frames
  call,      // a method and its answer
  get,       // basic.get and its answer
  expect,    // the next thing that came
  refused,   // channel.close came: answer it, open the channel again
  dropped,   // connection.close came: answer it, the transport is closed
  confirms,  // each of these publishes is answered, in any grouping
  bye,       // connection.close and its answer, then the transport vanishes
  cut,       // the transport vanishes
  raw,       // bytes
  frame,     // a frame with these bytes in it
  wait,      // time passes
  sync,      // what was sent has had its effects
  restart,   // the broker stops and starts
  crash,     // the broker loses power and starts
  together,  // the expectations up to `done` are met in any order
};

struct Step {
  int line = 0;
  Verb verb = Verb::sync;
  std::string text;        // as written, for messages
  std::string connection;  // "a" of a.1
  int channel = -1;        // 1 of a.1; -1: none was written
  std::string what;        // a method, or another word that the verb knows
  std::vector<Argument> arguments;
  std::vector<Argument> answer;  // behind "->"
  std::string bytes;             // of raw and frame
  Duration duration{};
  Variables counters;       // of the repeats around it
  std::vector<Step> steps;  // of together
};

struct Case {
  std::string file;  // "queue/declare", below the cases' directory
  std::string name;
  int line = 0;
  std::vector<int> rules;
  bool slow = false;  // takes more than a second of real time
  std::vector<Step> steps;

  // The broker has to be ours: it is stopped or crashed.
  bool restarts() const;
  std::string full_name() const { return file + ": " + name; }
};

// The cases of one file's text; `file` is for messages. The error names the line.
Result<std::vector<Case>> read_cases(std::string_view text, const std::string& file);

// Every *.wire below the directory, in order of name. An error if one cannot be read, or if two
// cases of a file have the same name.
Result<std::vector<Case>> load_cases(const std::string& directory);

}  // namespace warren::conformance
