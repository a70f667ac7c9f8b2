// SPDX-License-Identifier: Apache-2.0
// churn: makes and removes one kind of thing as fast as the broker answers.
#include <functional>
#include <memory>
#include <thread>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "server/tools/perf/commands.h"
#include "server/tools/perf/connect.h"
#include "server/tools/perf/link.h"
#include "server/tools/perf/stamp.h"

namespace warren::perf {
namespace {

struct Churn {
  BrokerOptions broker;
  WaitOptions wait;
  OutputOptions output;
  unsigned clients = 1;
  double seconds = 5;
  bool transient = false;
  std::string kind;
};

// One client of the churn: what it does again and again.
class Churner {
 public:
  Churner(const Churn& churn, unsigned number)
      : churn_(churn), name_(fmt::format("perf-churn-{}-{}", ::getpid(), number)) {}

  Status prepare();
  // Makes one and removes it again.
  Status once(std::uint64_t n);
  Status finish();

 private:
  Status connection();
  Status channel();
  Status queue(const std::string& name);
  Status binding(std::uint64_t n);
  Status consumer();
  bool needs_queue() const { return churn_.kind == "bindings" || churn_.kind == "consumers"; }

  const Churn& churn_;
  const std::string name_;
  WireClient client_;
};

Status Churner::prepare() {
  WARREN_TRY(client_, connect(churn_.broker.uri, churn_.wait.waiting()));
  if (!needs_queue()) return {};
  WARREN_TRY([[maybe_unused]] const auto declared,
             (client_.call<amqp::QueueDeclareOk>(
                 kSetUpChannel, amqp::QueueDeclare{.queue = name_,
                                                   .durable = !churn_.transient,
                                                   .exclusive = churn_.transient})));
  return {};
}

Status Churner::finish() {
  if (needs_queue()) {
    WARREN_TRY(
        [[maybe_unused]] const auto deleted,
        (client_.call<amqp::QueueDeleteOk>(kSetUpChannel, amqp::QueueDelete{.queue = name_})));
  }
  return client_.close();
}

Status Churner::connection() {
  WireClient client(churn_.wait.waiting());
  WARREN_CHECK(client.open(churn_.broker.uri));
  return client.close();
}

Status Churner::channel() {
  constexpr std::uint16_t kOther = kSetUpChannel + 1;
  WARREN_TRY([[maybe_unused]] const auto opened,
             (client_.call<amqp::ChannelOpenOk>(kOther, amqp::ChannelOpen{})));
  WARREN_TRY([[maybe_unused]] const auto closed,
             (client_.call<amqp::ChannelCloseOk>(kOther, amqp::ChannelClose{.reply_code = 200})));
  return {};
}

Status Churner::queue(const std::string& name) {
  WARREN_TRY([[maybe_unused]] const auto declared,
             (client_.call<amqp::QueueDeclareOk>(
                 kSetUpChannel,
                 amqp::QueueDeclare{
                     .queue = name, .durable = !churn_.transient, .exclusive = churn_.transient})));
  WARREN_TRY([[maybe_unused]] const auto deleted,
             (client_.call<amqp::QueueDeleteOk>(kSetUpChannel, amqp::QueueDelete{.queue = name})));
  return {};
}

Status Churner::binding(std::uint64_t n) {
  const std::string key = fmt::format("key-{}", n);
  WARREN_TRY([[maybe_unused]] const auto bound,
             (client_.call<amqp::QueueBindOk>(
                 kSetUpChannel,
                 amqp::QueueBind{.queue = name_, .exchange = "amq.direct", .routing_key = key})));
  WARREN_TRY([[maybe_unused]] const auto unbound,
             (client_.call<amqp::QueueUnbindOk>(
                 kSetUpChannel,
                 amqp::QueueUnbind{.queue = name_, .exchange = "amq.direct", .routing_key = key})));
  return {};
}

Status Churner::consumer() {
  WARREN_TRY([[maybe_unused]] const auto consuming,
             (client_.call<amqp::BasicConsumeOk>(
                 kSetUpChannel, amqp::BasicConsume{.queue = name_, .consumer_tag = "c"})));
  WARREN_TRY(
      [[maybe_unused]] const auto cancelled,
      (client_.call<amqp::BasicCancelOk>(kSetUpChannel, amqp::BasicCancel{.consumer_tag = "c"})));
  return {};
}

Status Churner::once(std::uint64_t n) {
  if (churn_.kind == "connections") return connection();
  if (churn_.kind == "channels") return channel();
  if (churn_.kind == "queues") return queue(fmt::format("{}-{}", name_, n));
  if (churn_.kind == "bindings") return binding(n);
  return consumer();
}

struct Outcome {
  std::uint64_t pairs = 0;
  LatencyHistogram latency;
  Status status;
};

void work(Churner& churner, Instant deadline, Outcome& outcome) {
  while (outcome.status.ok()) {
    const Instant before = std::chrono::steady_clock::now();
    if (before >= deadline) return;
    outcome.status = churner.once(outcome.pairs);
    if (!outcome.status.ok()) return;
    ++outcome.pairs;
    outcome.latency.add(steady_microseconds() - to_microseconds(before));
  }
}

int report(const Churn& churn, const Outcome& sum, double seconds,
           const std::optional<ServerCost>& server) {
  const double rate = static_cast<double>(sum.pairs) / seconds;
  const double cpu =
      server && sum.pairs != 0 ? server->cpu_seconds * 1e6 / static_cast<double>(sum.pairs) : 0;
  if (churn.output.json) {
    boost::json::object out = {{"churn", churn.kind},
                               {"clients", churn.clients},
                               {"durable", !churn.transient},
                               {"busy_wait", churn.wait.busy},
                               {"seconds", rounded(seconds, 3)},
                               {"pairs", sum.pairs},
                               {"pairs_per_second", rounded(rate, 1)},
                               {"p50_ms", sum.latency.percentile_ms(0.5)},
                               {"p99_ms", sum.latency.percentile_ms(0.99)},
                               {"max_ms", sum.latency.max_ms()}};
    if (server) out["server_cpu_us_per_pair"] = rounded(cpu, 2);
    print_json(out);
    return kExitFine;
  }
  const bool kept = churn.kind == "queues" || churn.kind == "bindings";
  print(fmt::format("{}{}, {} client{}: {:.0f}/s made and removed ({} in {:.1f} s)\n",
                    kept ? (churn.transient ? "transient " : "durable ") : "", churn.kind,
                    churn.clients, churn.clients == 1 ? "" : "s", rate, sum.pairs, seconds));
  print(fmt::format("both steps  median {:.2f}  p99 {:.2f}  max {:.2f} ms\n",
                    sum.latency.percentile_ms(0.5), sum.latency.percentile_ms(0.99),
                    sum.latency.max_ms()));
  if (server) {
    print(fmt::format("broker      {:.1f} us CPU for both, {:.2f} cores, {:.0f} MiB anonymous\n",
                      cpu, server->cpu_seconds / seconds, mebibytes(server->anonymous_bytes)));
  }
  return kExitFine;
}

int churn(Churn& options) {
  if (const Status status = resolve(options.broker); !status.ok()) return fail(status.error());
  auto probe = ServerProbe::find(options.broker);
  if (!probe.ok()) return fail(probe.error());
  std::vector<std::unique_ptr<Churner>> churners;
  for (unsigned i = 0; i < options.clients; ++i) {
    churners.push_back(std::make_unique<Churner>(options, i));
    const Status prepared = churners.back()->prepare();
    if (!prepared.ok()) return fail(prepared.error());
  }
  std::vector<Outcome> outcomes(options.clients);
  std::vector<std::thread> threads;
  probe->begin();
  const Instant began = std::chrono::steady_clock::now();
  const std::chrono::duration<double> length(options.seconds);
  const Instant deadline = began + std::chrono::duration_cast<Duration>(length);
  for (unsigned i = 0; i < options.clients; ++i) {
    threads.emplace_back(work, std::ref(*churners[i]), deadline, std::ref(outcomes[i]));
  }
  for (std::thread& thread : threads) thread.join();
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - began;
  const auto cost = probe->cost();
  Outcome sum;
  for (unsigned i = 0; i < options.clients; ++i) {
    sum.pairs += outcomes[i].pairs;
    sum.latency.merge(outcomes[i].latency);
    // Each removes what it made, also when another one failed.
    Status done = churners[i]->finish();
    if (!outcomes[i].status.ok()) done = outcomes[i].status;
    if (sum.status.ok() && !done.ok()) {
      sum.status = explain(fmt::format("client {}", i + 1), done.error());
    }
  }
  if (!sum.status.ok()) return fail(sum.status.error());
  return report(options, sum, passed.count(), cost);
}

}  // namespace

void add_churn(CLI::App& app, Chosen& chosen) {
  CLI::App* const command =
      app.add_subcommand("churn", "Makes and removes things: how many per second");
  const auto options = std::make_shared<Churn>();
  command->require_subcommand(1);
  add_broker_options(*command, options->broker);
  command->add_option("-x,--clients", options->clients, "Clients at the same time")
      ->check(CLI::Range(1, 1000).description(""))
      ->capture_default_str();
  command->add_option("-z,--seconds,--time", options->seconds, "How long")
      ->check(CLI::Range(0.1, 86400.0).description(""))
      ->capture_default_str();
  command->add_flag("--transient-queue", options->transient,
                    "Exclusive queues that are not durable, and bindings of such");
  add_wait_options(*command, options->wait);
  add_output_options(*command, options->output);
  const std::pair<const char*, const char*> kinds[] = {
      {"connections", "Connect, log in, open a virtual host; close"},
      {"channels", "channel.open, channel.close on one connection"},
      {"queues", "queue.declare, queue.delete"},
      {"bindings", "queue.bind to amq.direct, queue.unbind"},
      {"consumers", "basic.consume, basic.cancel"}};
  for (const auto& [name, text] : kinds) {
    CLI::App* const kind = command->add_subcommand(name, text);
    kind->fallthrough()->set_help_flag();
    kind->callback([options, &chosen, kind] {
      options->kind = kind->get_name();
      chosen = [options] { return churn(*options); };
    });
  }
  command->footer("Example: warren-perf churn queues -x 4 -z 10\n");
}

}  // namespace warren::perf
