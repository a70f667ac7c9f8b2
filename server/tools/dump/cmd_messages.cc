// SPDX-License-Identifier: Apache-2.0
// messages: what is in a queue, without taking anything out.
#include <cstdio>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "storage/base/clock.h"
#include "storage/base/log.h"
#include "storage/inspect/store_view.h"

#include "server/amqp/properties.h"
#include "server/tools/dump/commands.h"
#include "server/tools/dump/filter_options.h"
#include "server/tools/dump/message_json.h"

namespace warren::dump {
namespace {

struct MessagesOptions {
  FilterOptions filter;
  std::uint64_t limit = 0;  // 0: all
  std::string format = "table";
};

constexpr std::size_t kPreviewBytes = 60;

void print_row(const FoundMessage& found) {
  const broker::MessageView message(*found.block);
  amqp::PropertiesView properties;
  std::string id;
  if (amqp::parse_properties(message.properties(), properties) &&
      properties.message_id.has_value()) {
    id = properties.message_id->value;
  }
  print_line(fmt::format(
      "{:<10} {} {:>9} {:<1} {}  {}  {}  {}", found.seq, time_text(message.published_ms()),
      message.body().size(), found.maybe_delivered ? "R" : "-", printable(message.exchange()),
      printable(message.routing_key()), printable(id), printable(message.body(), kPreviewBytes)));
}

void print_hex(const FoundMessage& found) {
  const broker::MessageView message(*found.block);
  boost::json::object head = message_json(found.seq, message);
  head.erase("body");
  head.erase("body_base64");
  print_line(fmt::format("{} {} bytes", boost::json::serialize(head), message.body().size()));
  std::fputs(hex_text(message.body()).c_str(), stdout);
}

void print(const FoundMessage& found, const std::string& format) {
  if (format == "json") {
    boost::json::object object = message_json(found.seq, broker::MessageView(*found.block));
    object["maybe_delivered"] = found.maybe_delivered;
    if (found.returns > 0) object["returns"] = found.returns;
    print_json(object);
  } else if (format == "raw") {
    const Bytes body = broker::MessageView(*found.block).body();
    std::fwrite(body.data(), 1, body.size(), stdout);
  } else if (format == "hex") {
    print_hex(found);
  } else {
    print_row(found);
  }
}

int run(const Common& common, const MessagesOptions& options) {
  const auto filter = make_filter(options.filter, SystemClock().wall_ms());
  if (!filter.ok()) return fail(kExitUsage, filter.error());
  const auto view = storage::open_store_view(common.data_dir);
  if (!view.ok()) return cannot_open(view.error());
  const auto catalog = storage::read_catalog(*view->database);
  if (!catalog.ok()) return fail(kExitProblems, catalog.error());
  const auto* const queue = find_queue(*catalog, options.filter.vhost, options.filter.queue);
  if (queue == nullptr) {
    return fail(kExitProblems, no_such_queue(options.filter));
  }
  const std::string format = common.json ? "json" : options.format;
  if (format == "table") {
    print_line(
        "position   published                    bytes R exchange  routing key  message id  body");
  }
  std::uint64_t shown = 0;
  int code = kExitFine;
  WalkHandlers handlers;
  handlers.on_message = [&](const FoundMessage& found) {
    print(found, format);
    ++shown;
    return (options.limit == 0 || shown < options.limit) && std::ferror(stdout) == 0;
  };
  handlers.on_damage = [&](const std::string& what) {
    std::fflush(stdout);
    say("damaged: " + what);
    code = kExitProblems;
  };
  walk_queue(*view->database, *catalog, *queue, *filter, handlers);
  return code;
}

}  // namespace

void add_messages(CLI::App& app, const Common& common, Chosen& chosen) {
  const auto options = std::make_shared<MessagesOptions>();  // shared with the callback
  CLI::App* const command = app.add_subcommand(
      "messages",
      "The messages of a queue that are not settled, in order; nothing is taken out.\n"
      "R marks those that would be flagged as redelivered after a crash.");
  add_filter_options(*command, options->filter, QueueOption::required);
  must_be_whole_number(*command->add_option("--limit", options->limit, "Stop after so many; 0: all")
                            ->type_name("N"));
  command
      ->add_option("--format", options->format,
                   "table; json: one object a line with properties and body;\n"
                   "raw: the bodies and nothing else; hex: properties and a hex dump")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"table", "json", "raw", "hex"}).description(""))
      ->capture_default_str();
  command->callback([&common, &chosen, options] {
    chosen = [&common, options] { return run(common, *options); };
  });
}

}  // namespace warren::dump
