// SPDX-License-Identifier: Apache-2.0
#include "server/tools/dump/filter_options.h"

#include <charconv>
#include <system_error>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "storage/base/log.h"

#include "server/tools/dump/output.h"

namespace warren::dump {
namespace {

Result<std::optional<std::int64_t>> moment(std::string_view option, const std::string& text,
                                           std::int64_t now_ms) {
  if (text.empty()) return std::optional<std::int64_t>();
  std::int64_t unix_ms = 0;
  if (parse_time(text, now_ms, unix_ms)) return std::optional<std::int64_t>(unix_ms);
  return Error{Errc::invalid_argument,
               fmt::format("{}: '{}' is neither an age such as 90s, 15m, 2h or 7d nor a time such "
                           "as 2026-01-31T10:00:00",
                           option, text)};
}

}  // namespace

void add_filter_options(CLI::App& command, FilterOptions& options, QueueOption queue) {
  command.add_option("QUEUE", options.queue, "Name of the queue")
      ->required(queue == QueueOption::required);
  command.add_option("--vhost", options.vhost, "Its virtual host")
      ->type_name("NAME")
      ->capture_default_str();
  must_be_whole_number(
      *command
           .add_option("--from", options.from, "Start at this position; the first one ever was 1")
           ->type_name("POSITION"));
  command
      .add_option("--newer", options.newer,
                  "Published since this time (UTC, 2026-01-31T10:00:00) or age (90s, 15m, 2h, 7d)")
      ->type_name("TIME");
  command.add_option("--older", options.older, "Published before this time or age")
      ->type_name("TIME");
  command
      .add_option_function<std::string>(
          "--key",
          [&options](const std::string& key) {
            options.routing_key = key;
            options.has_routing_key = true;
          },
          "With this routing key")
      ->type_name("KEY");
  command.add_option("--header", options.headers, "With this header; may be repeated")
      ->type_name("NAME=VALUE");
  command.add_option("--id", options.message_id, "With this message-id")->type_name("ID");
}

void must_be_whole_number(CLI::Option& option) {
  const auto check = [](const std::string& text) {
    std::uint64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error == std::errc() && stop == end) return std::string();
    return fmt::format("'{}' is not a whole number from 0 on", text);
  };
  option.check(CLI::Validator(check, ""));
}

Error no_such_queue(const FilterOptions& options) {
  return Error{Errc::not_found, fmt::format("there is no durable queue '{}' in vhost '{}'",
                                            printable(options.queue), printable(options.vhost))};
}

Result<MessageFilter> make_filter(const FilterOptions& options, std::int64_t now_ms) {
  MessageFilter filter;
  filter.from = options.from;
  WARREN_TRY(filter.newer_ms, moment("--newer", options.newer, now_ms));
  WARREN_TRY(filter.older_ms, moment("--older", options.older, now_ms));
  if (options.has_routing_key) filter.routing_key = options.routing_key;
  if (!options.message_id.empty()) filter.message_id = options.message_id;
  for (const std::string& header : options.headers) {
    const std::size_t equals = header.find('=');
    if (equals == std::string::npos) {
      return Error{Errc::invalid_argument, fmt::format("--header: '{}' is not NAME=VALUE", header)};
    }
    filter.headers.emplace_back(header.substr(0, equals), header.substr(equals + 1));
  }
  return filter;
}

}  // namespace warren::dump
