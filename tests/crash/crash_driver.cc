// SPDX-License-Identifier: Apache-2.0
// Kills the broker at random moments under load, again and again, and holds what comes back against
// the ledger. Exit: 0 no promise broken, 1 a promise broken or the run failed, 2 usage.
//   crash_driver --broker build/release/bin/warrend --rounds 20 --seed 7
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <thread>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "tests/crash/crash_consumer.h"
#include "tests/crash/crash_publisher.h"
#include "tests/support/broker_process.h"
#include "tests/support/counted.h"

namespace warren::test {
namespace {

using std::chrono::milliseconds;

// Of so many acks, some must have been followed by a commit.
constexpr std::uint64_t kAcksJudged = 20'000;

struct Options {
  std::string broker;
  unsigned rounds = 20;
  unsigned threads = 1;
  std::uint64_t seed = 0;
  unsigned kill_after_min_ms = 5;
  unsigned kill_after_max_ms = 500;
  bool verbose = false;
};

class CrashRun {
 public:
  explicit CrashRun(const Options& options);
  Status run();
  bool clean() const { return world_.ledger.clean(); }
  void print_result() const;
  std::string broker_log() const { return broker_.log_tail(); }
  const std::string& folder() const { return folder_; }

 private:
  Status start_broker();
  Status declare_topology();
  Status check_topology();
  void start_clients();
  Status crash_once(unsigned round);
  void kill_broker();
  Status stop_clients();
  Status drain();
  unsigned random_between(unsigned from, unsigned to) {
    return std::uniform_int_distribution<unsigned>(from, to)(random_);
  }

  const Options& options_;
  std::mt19937_64 random_;
  std::string folder_;
  BrokerProcess broker_;
  CrashWorld world_;
  std::vector<std::string> queues_ = {"hot", "fan-1", "fan-2", "fan-3", "deep"};
  std::vector<std::unique_ptr<CrashPublisher>> publishers_;
  std::vector<std::unique_ptr<CrashConsumer>> consumers_;
  std::vector<std::thread> publisher_threads_;
  std::vector<std::thread> consumer_threads_;
  unsigned clean_stops_ = 0;
  unsigned kills_in_recovery_ = 0;
  Duration slowest_start_{};
};

std::string make_folder() {
  std::string name = (std::filesystem::temp_directory_path() / "warren_crash_XXXXXX").string();
  WARREN_ASSERT(::mkdtemp(name.data()) != nullptr);
  return name;
}

CrashRun::CrashRun(const Options& options)
    : options_(options),
      random_(options.seed),
      folder_(make_folder()),
      broker_(
          {.program = options.broker, .folder = folder_, .threads = options.threads, .more = {}}) {}

Status CrashRun::start_broker() {
  const Instant began = std::chrono::steady_clock::now();
  WARREN_CHECK(broker_.spawn());
  WARREN_CHECK(broker_.wait_ready());
  slowest_start_ = std::max(slowest_start_, std::chrono::steady_clock::now() - began);
  return {};
}

Status CrashRun::declare_topology() {
  perf::WireClient client;
  WARREN_CHECK(open_client(client, broker_.port()));
  WARREN_TRY([[maybe_unused]] const auto exchange,
             (client.call<amqp::ExchangeDeclareOk>(
                 kChannel, amqp::ExchangeDeclare{
                               .exchange = kFanoutExchange, .type = "fanout", .durable = true})));
  for (const std::string& queue : queues_) {
    world_.ledger.add_queue(queue);
    WARREN_TRY([[maybe_unused]] const auto declared,
               (client.call<amqp::QueueDeclareOk>(
                   kChannel, amqp::QueueDeclare{.queue = queue, .durable = true})));
    if (!queue.starts_with("fan-")) continue;
    WARREN_TRY([[maybe_unused]] const auto bound,
               (client.call<amqp::QueueBindOk>(
                   kChannel, amqp::QueueBind{.queue = queue, .exchange = kFanoutExchange})));
  }
  return client.close();
}

// S8: what was declared is there after any kill.
Status CrashRun::check_topology() {
  perf::WireClient client;
  WARREN_CHECK(open_client(client, broker_.port()));
  for (const std::string& queue : queues_) {
    if (!client
             .call<amqp::QueueDeclareOk>(kChannel,
                                         amqp::QueueDeclare{.queue = queue, .passive = true})
             .ok()) {
      world_.report(fmt::format("S8: queue '{}': {}", queue, client.why()));
      return {};
    }
  }
  return client.close();
}

void CrashRun::start_clients() {
  struct Publishing {
    const char* exchange;
    const char* key;
    std::vector<QueueIndex> targets;
    double transient_share;
  };
  const std::vector<Publishing> publishing = {{"", "hot", {0}, 0.05},
                                              {"", "hot", {0}, 0},
                                              {kFanoutExchange, "", {1, 2, 3}, 0},
                                              {"", "deep", {4}, 0}};
  for (const Publishing& it : publishing) {
    const PublisherIndex index = world_.ledger.add_publisher(it.targets);
    publishers_.push_back(std::make_unique<CrashPublisher>(
        world_, CrashPublisher::Options{.exchange = it.exchange,
                                        .routing_key = it.key,
                                        .index = index,
                                        .transient_share = it.transient_share,
                                        .seed = random_()}));
  }
  for (const QueueIndex queue : {0, 0, 1, 2, 3}) {
    const PublisherIndex fences = world_.ledger.add_publisher({queue});
    consumers_.push_back(std::make_unique<CrashConsumer>(
        world_, CrashConsumer::Options{
                    .queue = queues_[queue], .index = queue, .fences = fences, .seed = random_()}));
  }
  for (auto& publisher : publishers_) {
    publisher_threads_.emplace_back([&publisher] { publisher->run(); });
  }
  for (auto& consumer : consumers_) {
    consumer_threads_.emplace_back([&consumer] { consumer->run(); });
  }
}

void CrashRun::kill_broker() {
  world_.port = 0;
  broker_.kill_now();
  const std::lock_guard lock(world_.mutex);
  world_.ledger.broker_killed();
}

Status CrashRun::crash_once(unsigned round) {
  const unsigned after = random_between(options_.kill_after_min_ms, options_.kill_after_max_ms);
  std::this_thread::sleep_for(milliseconds(after));
  const bool clean_stop = random_between(0, 9) == 0;
  if (clean_stop) {
    world_.port = 0;
    ++clean_stops_;
    if (const int code = broker_.stop(); code != 0) {
      return Error{Errc::internal, fmt::format("SIGTERM ended in exit code {}", code)};
    }
  } else {
    kill_broker();
  }
  // Recovery itself is killed too: it must be repeatable (S12).
  for (unsigned times = random_between(0, 3) == 0 ? random_between(1, 3) : 0; times > 0; --times) {
    WARREN_CHECK(broker_.spawn());
    std::this_thread::sleep_for(milliseconds(random_between(0, 30)));
    broker_.kill_now();
    ++kills_in_recovery_;
  }
  WARREN_CHECK(start_broker());
  WARREN_CHECK(check_topology());
  world_.port = broker_.port();
  if (options_.verbose) {
    fmt::print("round {}: {} after {} ms\n", round, clean_stop ? "stopped" : "killed", after);
  }
  return {};
}

Status CrashRun::stop_clients() {
  world_.publishers_stop = true;
  for (std::thread& thread : publisher_threads_) thread.join();
  world_.consumers_stop = true;
  for (std::thread& thread : consumer_threads_) thread.join();
  return {};
}

Status CrashRun::drain() {
  kill_broker();
  WARREN_CHECK(start_broker());
  world_.port = broker_.port();
  world_.ledger.draining();
  for (QueueIndex queue = 0; queue < queues_.size(); ++queue) {
    CrashConsumer consumer(world_, {.queue = queues_[queue], .index = queue, .seed = random_()});
    WARREN_CHECK(consumer.drain());
  }
  world_.ledger.finish();
  if (const int code = broker_.stop(); code != 0) {
    return Error{Errc::internal, fmt::format("the last SIGTERM ended in exit code {}", code)};
  }
  return {};
}

Status CrashRun::run() {
  WARREN_CHECK(start_broker());
  WARREN_CHECK(declare_topology());
  world_.port = broker_.port();
  start_clients();
  Status rounds;
  std::uint64_t kills = 0;
  for (unsigned round = 1; kills < options_.rounds && rounds.ok(); ++round) {
    rounds = crash_once(round);
    const std::lock_guard lock(world_.mutex);
    if (!world_.ledger.clean()) break;
    kills = world_.ledger.counts().kills;
  }
  WARREN_CHECK(stop_clients());
  WARREN_CHECK(rounds);
  // The drain acks much, and none of it is held against anything.
  const MessageLedger::Counts counts = world_.ledger.counts();
  WARREN_CHECK(drain());
  if (world_.ledger.clean() && counts.acks >= kAcksJudged && counts.acks_firm == 0) {
    return Error{Errc::internal, fmt::format("R14 was not put to the test: of {} acks none was "
                                             "known to be durable",
                                             counts.acks)};
  }
  return {};
}

void CrashRun::print_result() const {
  const MessageLedger::Counts& counts = world_.ledger.counts();
  fmt::print(
      "{} kills ({} more in recovery), {} clean stops, slowest start {} ms\n"
      "{} sent, {} confirmed, {} pending at a kill\n"
      "{} deliveries ({} flagged), {} acks ({} firm), {} acks that were not firm came back\n",
      counts.kills, kills_in_recovery_, clean_stops_,
      std::chrono::duration_cast<milliseconds>(slowest_start_).count(), counts.sent,
      counts.confirmed, counts.pending_at_kill, counts.deliveries, counts.redelivered, counts.acks,
      counts.acks_firm, counts.acked_came_back);
  for (const std::string& text : world_.ledger.violations()) fmt::print("VIOLATION {}\n", text);
  fmt::print("{} violations\n", world_.ledger.violation_count());
  print_counted(counts.kills + kills_in_recovery_, "kills");
}

int drive(const Options& options) {
  CrashRun run(options);
  const Status status = run.run();
  run.print_result();
  if (!status.ok()) fmt::print("FAILED {}\n", status.error().text);
  if (status.ok() && run.clean()) {
    std::filesystem::remove_all(run.folder());
    return 0;
  }
  fmt::print("---- end of the broker's log\n{}\n---- data and log are kept in {}\n",
             run.broker_log(), run.folder());
  return 1;
}

}  // namespace
}  // namespace warren::test

int main(int argc, char** argv) {
  warren::test::Options options;
  options.seed = std::random_device{}() % 1'000'000;
  CLI::App app{"Kills warrend at random moments under load and checks its promises."};
  app.add_option("--broker", options.broker, "The warrend to run")->required();
  app.add_option("--rounds", options.rounds, "Kills, not counting those of starts")
      ->capture_default_str();
  app.add_option("--threads", options.threads, "Shard threads of the broker")
      ->capture_default_str();
  app.add_option("--seed", options.seed, "Repeats the choices of a run (not its timing)");
  app.add_option("--min-ms", options.kill_after_min_ms, "Earliest kill after a start")
      ->capture_default_str();
  app.add_option("--max-ms", options.kill_after_max_ms, "Latest kill")->capture_default_str();
  app.add_flag("--verbose", options.verbose, "A line per round");
  CLI11_PARSE(app, argc, argv);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  fmt::print("crash_driver --seed {} --rounds {} --threads {}\n", options.seed, options.rounds,
             options.threads);
  return warren::test::drive(options);
}
