// SPDX-License-Identifier: Apache-2.0
// counts: holds many of one kind and says what each costs the broker.
#include <algorithm>
#include <memory>
#include <thread>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "server/tools/perf/commands.h"
#include "server/tools/perf/connect.h"
#include "server/tools/perf/crew.h"
#include "server/tools/perf/link.h"

namespace warren::perf {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kSettle(500);

struct Counts {
  BrokerOptions broker;
  WaitOptions wait;
  OutputOptions output;
  unsigned count = 1000;
  unsigned channels = 1;
  bool transient = false;
  bool together = false;
  double hold_seconds = 0;
  std::string kind;
};

// All that is held, and the way back.
class Holder {
 public:
  explicit Holder(const Counts& counts)
      : counts_(counts), name_(fmt::format("perf-counts-{}", ::getpid())) {}

  Status open();
  Status add_all();
  Status release();

 private:
  Status add(unsigned n);
  amqp::QueueDeclare declaring(const std::string& name) const;
  Status declare(const std::string& name);
  Status add_together();
  Status remove_queues();

  const Counts& counts_;
  const std::string name_;
  WireClient client_;
  std::vector<WireClient> crew_;  // of --together
  std::vector<WireClient> connections_;
  std::vector<std::string> queues_;
};

amqp::QueueDeclare Holder::declaring(const std::string& name) const {
  return {.queue = name, .durable = !counts_.transient, .exclusive = counts_.transient};
}

Status Holder::declare(const std::string& name) {
  WARREN_TRY([[maybe_unused]] const auto declared,
             (client_.call<amqp::QueueDeclareOk>(kSetUpChannel, declaring(name))));
  queues_.push_back(name);
  return {};
}

Status Holder::add_together() {
  std::vector<std::string> names;
  for (unsigned n = 0; n < counts_.count; ++n) names.push_back(fmt::format("{}-{}", name_, n));
  queues_ = names;  // some may be there when it fails
  return ask_many(
      std::span(crew_), names.size(),
      [&](WireClient& client, std::size_t n) { client.append(kSetUpChannel, declaring(names[n])); },
      [](WireClient& client, std::size_t) -> Status {
        WARREN_CHECK(client.receive<amqp::QueueDeclareOk>(kSetUpChannel));
        return {};
      });
}

Status Holder::remove_queues() {
  // An exclusive queue is let go of by who declared it: the same one, in the same order.
  const std::span<WireClient> all = crew_.empty() ? std::span(&client_, 1) : std::span(crew_);
  return ask_many(
      all, queues_.size(),
      [&](WireClient& client, std::size_t n) {
        client.append(kSetUpChannel, amqp::QueueDelete{.queue = queues_[n]});
      },
      [](WireClient& client, std::size_t) -> Status {
        WARREN_CHECK(client.receive<amqp::QueueDeleteOk>(kSetUpChannel));
        return {};
      });
}

Status Holder::open() {
  WARREN_TRY(client_, connect(counts_.broker.uri, counts_.wait.waiting()));
  if (counts_.kind == "bindings") return declare(name_);
  if (counts_.together && counts_.kind == "queues") {
    WARREN_TRY(crew_, connect_crew(counts_.broker.uri, counts_.count));
  }
  return {};
}

Status Holder::add_all() {
  if (!crew_.empty()) return add_together();
  for (unsigned i = 0; i < counts_.count; ++i) {
    const Status added = add(i);
    if (added.ok()) continue;
    return explain(fmt::format("number {} of {}", i + 1, counts_.count), added.error());
  }
  return {};
}

Status Holder::add(unsigned n) {
  if (counts_.kind == "queues") return declare(fmt::format("{}-{}", name_, n));
  if (counts_.kind == "bindings") {
    const std::string key = fmt::format("key-{}", n);
    WARREN_TRY([[maybe_unused]] const auto bound,
               (client_.call<amqp::QueueBindOk>(
                   kSetUpChannel,
                   amqp::QueueBind{.queue = name_, .exchange = "amq.direct", .routing_key = key})));
    return {};
  }
  WARREN_TRY(WireClient client, connect(counts_.broker.uri, counts_.wait.waiting()));
  for (unsigned i = 1; i < counts_.channels; ++i) {
    const auto channel = static_cast<std::uint16_t>(kSetUpChannel + i);
    WARREN_TRY([[maybe_unused]] const auto opened,
               (client.call<amqp::ChannelOpenOk>(channel, amqp::ChannelOpen{})));
  }
  connections_.push_back(std::move(client));
  return {};
}

Status Holder::release() {
  WARREN_CHECK(remove_queues());
  for (WireClient& client : connections_) WARREN_CHECK(client.close());
  connections_.clear();
  return {};
}

struct Figures {
  double seconds = 0;  // to make them
  bool server = false;
  std::uint64_t before = 0;
  std::uint64_t held = 0;
  std::uint64_t after = 0;

  double each(unsigned count) const {
    return (static_cast<double>(held) - static_cast<double>(before)) / count;
  }
};

std::uint64_t anonymous_now(ServerProbe& probe) {
  std::this_thread::sleep_for(kSettle);
  const auto cost = probe.cost();
  return cost ? cost->anonymous_bytes : 0;
}

void report(const Counts& counts, const Figures& figures) {
  if (counts.output.json) {
    boost::json::object out = {{"counts", counts.kind},
                               {"count", counts.count},
                               {"channels", counts.channels},
                               {"durable", !counts.transient},
                               {"busy_wait", counts.wait.busy},
                               {"together", counts.together},
                               {"seconds", rounded(figures.seconds, 3)},
                               {"per_second", rounded(counts.count / figures.seconds, 1)}};
    if (figures.server) {
      out["server_anonymous_before_bytes"] = figures.before;
      out["server_anonymous_held_bytes"] = figures.held;
      out["server_anonymous_after_bytes"] = figures.after;
      out["bytes_each"] = rounded(figures.each(counts.count), 1);
    }
    return print_json(out);
  }
  print(fmt::format("{} {} made in {:.2f} s: {:.0f}/s\n", counts.count, counts.kind,
                    figures.seconds, counts.count / figures.seconds));
  if (!figures.server) return print("the broker's process is not known: no memory (--pid)\n");
  print(
      fmt::format("broker      {:.1f} MiB anonymous before, {:.1f} with them: {:.2f} KiB each; "
                  "{:.1f} after they are gone\n",
                  mebibytes(figures.before), mebibytes(figures.held),
                  figures.each(counts.count) / 1024, mebibytes(figures.after)));
}

Status hold(const Counts& counts, ServerProbe& probe, Figures& figures) {
  Holder holder(counts);
  WARREN_CHECK(holder.open());
  figures.server = probe.known();
  if (figures.server) figures.before = anonymous_now(probe);
  const Instant began = std::chrono::steady_clock::now();
  if (const Status added = holder.add_all(); !added.ok()) {
    static_cast<void>(holder.release());  // what is durable would stay
    return added;
  }
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - began;
  figures.seconds = std::max(passed.count(), 1e-9);
  if (figures.server) figures.held = anonymous_now(probe);
  std::this_thread::sleep_for(std::chrono::duration<double>(counts.hold_seconds));
  WARREN_CHECK(holder.release());
  if (figures.server) figures.after = anonymous_now(probe);
  return {};
}

int counts(Counts& options) {
  if (const Status status = resolve(options.broker); !status.ok()) return fail(status.error());
  auto probe = ServerProbe::find(options.broker);
  if (!probe.ok()) return fail(probe.error());
  Figures figures;
  const Status held = hold(options, *probe, figures);
  if (!held.ok()) return fail(held.error());
  report(options, figures);
  return kExitFine;
}

}  // namespace

void add_counts(CLI::App& app, Chosen& chosen) {
  CLI::App* const command =
      app.add_subcommand("counts", "Holds many things: what each costs the broker");
  const auto options = std::make_shared<Counts>();
  command->require_subcommand(1);
  add_broker_options(*command, options->broker);
  command->add_option("-n,--count", options->count, "How many")
      ->check(CLI::Range(1, 10'000'000).description(""))
      ->capture_default_str();
  command->add_option("--channels", options->channels, "Channels of each connection")
      ->check(CLI::Range(1, 2000).description(""))
      ->capture_default_str();
  command->add_flag("--transient-queue", options->transient,
                    "Exclusive queues that are not durable, and bindings of such");
  command->add_flag("--together", options->together,
                    "Queues: made by up to 32 connections at once, each with several under way");
  command->add_option("--hold", options->hold_seconds, "Seconds to hold them")
      ->check(CLI::Range(0.0, 86400.0).description(""))
      ->capture_default_str();
  add_wait_options(*command, options->wait);
  add_output_options(*command, options->output);
  const std::pair<const char*, const char*> kinds[] = {
      {"connections", "Connections, each with a channel (--channels)"},
      {"queues", "Queues without messages"},
      {"bindings", "Bindings of one queue to amq.direct"}};
  for (const auto& [name, text] : kinds) {
    CLI::App* const kind = command->add_subcommand(name, text);
    kind->fallthrough()->set_help_flag();
    kind->callback([options, &chosen, kind] {
      options->kind = kind->get_name();
      chosen = [options] { return counts(*options); };
    });
  }
  command->footer(
      "Memory is anonymous memory of the broker's process (RssAnon), half a second after.\n"
      "Example: warren-perf counts connections -n 10000\n");
}

}  // namespace warren::perf
