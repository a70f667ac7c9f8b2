// SPDX-License-Identifier: Apache-2.0
// The options that choose messages of a queue, shared by `messages` and `export`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "storage/base/result.h"

#include "server/tools/dump/queue_walk.h"

namespace CLI {  // NOLINT(readability-identifier-naming)
class App;
class Option;
}  // namespace CLI

namespace warren::dump {

struct FilterOptions {
  std::string queue;
  std::string vhost = "/";
  Seq from = 0;
  std::string newer;
  std::string older;
  std::string routing_key;
  bool has_routing_key = false;
  std::string message_id;
  std::vector<std::string> headers;  // name=value
};

enum class QueueOption : std::uint8_t { required, optional };
void add_filter_options(CLI::App& command, FilterOptions& options, QueueOption queue);

// Refuses what std::uint64_t cannot hold: CLI11 takes -1, and what is too large, for its largest.
void must_be_whole_number(CLI::Option& option);

Error no_such_queue(const FilterOptions& options);

// Errc::invalid_argument names the option that does not parse.
Result<MessageFilter> make_filter(const FilterOptions& options, std::int64_t now_ms);

}  // namespace warren::dump
