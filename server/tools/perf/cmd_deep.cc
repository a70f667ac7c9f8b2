// SPDX-License-Identifier: Apache-2.0
// deep: long queues. Fills them, drains them, and measures how long a broker with full ones takes
// to deliver again.
#include <algorithm>
#include <csignal>
#include <memory>
#include <thread>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "server/tools/perf/commands.h"
#include "server/tools/perf/connect.h"
#include "server/tools/perf/crew.h"
#include "server/tools/perf/link.h"
#include "server/tools/perf/load_run.h"
#include "server/tools/perf/server_process.h"
#include "server/tools/perf/topology.h"

namespace warren::perf {
namespace {

constexpr double kLimitSeconds = 3600;
constexpr std::chrono::milliseconds kRetry(1);
constexpr std::chrono::seconds kStopTimeout(60);

struct Deep {
  LoadOptions load;
  std::uint64_t messages = 1'000'000;
  std::string data_dir;
};

struct Restart {
  BrokerOptions broker;
  QueueOptions queues;
  OutputOptions output;
  std::string command;
  std::string log;
  bool gently = false;
  bool stop = false;
  double timeout_seconds = 600;
};

int report(const Deep& deep, const LoadReport& report, std::uint64_t messages) {
  const std::uint64_t disk = deep.data_dir.empty() ? 0 : disk_bytes(deep.data_dir);
  if (deep.load.output.json) {
    boost::json::object out = to_json(report, deep.load);
    if (!deep.data_dir.empty()) out["disk_bytes"] = disk;
    print_json(out);
    return exit_code(report);
  }
  print(to_text(report, deep.load));
  if (!deep.data_dir.empty()) {
    print(fmt::format(
        "disk        {:.1f} MiB, {:.0f} bytes per message\n", mebibytes(disk),
        static_cast<double>(disk) / static_cast<double>(std::max<std::uint64_t>(1, messages))));
  }
  return exit_code(report);
}

int fill(Deep& deep) {
  deep.load.traffic.publish_count = deep.messages;
  if (const Status status = deep.load.resolve(); !status.ok()) return fail(status.error());
  const auto done = run_load(deep.load);
  return done.ok() ? report(deep, *done, deep.messages) : fail(done.error());
}

Result<std::uint64_t> ready_messages(const Uri& uri, const QueueOptions& queues) {
  const Topology topology(queues);
  WARREN_TRY(auto crew, connect_crew(uri, topology.queues().size()));
  const auto count = topology.ready_messages(crew);
  if (!count.ok()) return explain("counting the messages", count.error());
  WARREN_CHECK(close_crew(crew));
  return *count;
}

int drain(Deep& deep) {
  deep.load.queues.passive = true;
  if (const Status status = deep.load.resolve(); !status.ok()) return fail(status.error());
  const auto count = ready_messages(deep.load.broker.uri, deep.load.queues);
  if (!count.ok()) return fail(count.error());
  if (*count == 0) return fail({Errc::internal, "the queues are empty: nothing to drain"});
  deep.load.traffic.consume_count = *count;
  const auto done = run_load(deep.load);
  return done.ok() ? report(deep, *done, *count) : fail(done.error());
}

struct RestartTimes {
  double connected = 0;  // from the start of the process on
  double delivered = 0;
  std::uint64_t messages = 0;  // ready, when it was up
};

// Waits for the first message of one queue.
Status first_delivery(WireClient& client, const std::string& queue, Duration timeout) {
  WARREN_TRY([[maybe_unused]] const auto limited,
             (client.call<amqp::BasicQosOk>(kSetUpChannel, amqp::BasicQos{.prefetch_count = 1})));
  client.append(kSetUpChannel, amqp::BasicConsume{.queue = queue, .consumer_tag = "first"});
  WARREN_CHECK(client.flush());
  const Instant deadline = std::chrono::steady_clock::now() + timeout;
  amqp::Frame frame;
  while (true) {
    const auto got = client.read(frame, deadline - std::chrono::steady_clock::now());
    if (got == WireClient::Got::timeout)
      return Error{Errc::internal, "no delivery in time (--timeout)"};
    if (got == WireClient::Got::lost) return Error{Errc::io_error, client.why()};
    if (frame.type == amqp::kFrameMethod && !close_text(frame.payload).empty()) {
      return explain("", {Errc::io_error, close_text(frame.payload)});
    }
    if (frame.type == amqp::kFrameHeader) return {};
  }
}

Result<WireClient> connect_until(const Restart& options, int pid, Instant deadline) {
  while (true) {
    auto client = connect(options.broker.uri);
    if (client.ok() || std::chrono::steady_clock::now() >= deadline) return client;
    if (process_ended(pid)) {
      return Error{Errc::internal,
                   fmt::format("what --command started has ended; {}",
                               options.log.empty() ? "--log FILE keeps what it says"
                                                   : fmt::format("see {}", options.log))};
    }
    std::this_thread::sleep_for(kRetry);
  }
}

Result<RestartTimes> measure_restart(const Restart& options, const std::string& queue, int& pid) {
  const auto since = [](Instant began) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  };
  const std::chrono::duration<double> seconds(options.timeout_seconds);
  const auto timeout = std::chrono::duration_cast<Duration>(seconds);
  RestartTimes times;
  const Instant began = std::chrono::steady_clock::now();
  WARREN_TRY(pid, start_process(options.command, options.log));
  WARREN_TRY(WireClient client, connect_until(options, pid, began + timeout));
  times.connected = since(began);
  WARREN_CHECK(first_delivery(client, queue, timeout));
  times.delivered = since(began);
  client.close_socket();  // the message goes back
  WARREN_TRY(times.messages, ready_messages(options.broker.uri, options.queues));
  return times;
}

Status stop_running(const Restart& options) {
  const int pid = find_broker(options.broker);
  if (pid == 0) return {};
  return end_process(pid, options.gently ? SIGTERM : SIGKILL, kStopTimeout);
}

int restart(Restart& options) {
  LoadOptions load;
  load.broker = options.broker;
  load.queues = options.queues;
  if (const Status status = load.resolve(); !status.ok()) return fail(status.error());
  options.broker = load.broker;
  options.queues = load.queues;
  if (options.broker.pid == 0 && !is_local(options.broker.uri.host)) {
    return fail({Errc::invalid_argument,
                 fmt::format("--uri: '{}' is not 127.0.0.1: --pid has to say which process to stop",
                             options.broker.uri.host)});
  }
  const std::string queue = Topology(options.queues).queues().front();
  if (const Status status = stop_running(options); !status.ok()) return fail(status.error());
  int pid = 0;
  const auto times = measure_restart(options, queue, pid);
  if (options.stop && pid != 0 && !process_ended(pid)) {
    const Status stopped = end_process(pid, SIGTERM, kStopTimeout);
    if (times.ok() && !stopped.ok()) return fail(stopped.error());
  }
  if (!times.ok()) return fail(times.error());
  if (options.output.json) {
    print_json({{"connected_seconds", rounded(times->connected, 4)},
                {"first_delivery_seconds", rounded(times->delivered, 4)},
                {"killed", !options.gently},
                {"messages", times->messages},
                {"pid", pid}});
  } else {
    print(
        fmt::format("after the start of process {}: logged in after {:.3f} s, first delivery "
                    "after {:.3f} s, with {} messages in the queues\n",
                    pid, times->connected, times->delivered, times->messages));
  }
  return kExitFine;
}

void add_load(CLI::App& command, Deep& deep) {
  deep.load.run.seconds = kLimitSeconds;
  add_broker_options(command, deep.load.broker);
  add_traffic_options(command, deep.load.traffic);
  add_queue_options(command, deep.load.queues);
  add_run_options(command, deep.load.run);
  add_output_options(command, deep.load.output);
  add_csv_option(command, deep.load.output);
  command.add_option("--data-dir", deep.data_dir, "Report the bytes on disk of this directory")
      ->type_name("DIR")
      ->check(CLI::ExistingDirectory.description(""));
}

void add_fill(CLI::App& deep, Chosen& chosen) {
  CLI::App* const command = deep.add_subcommand("fill", "Publishes so many messages");
  const auto options = std::make_shared<Deep>();
  TrafficOptions& traffic = options->load.traffic;
  traffic.consumers = 0;
  traffic.sizes_text = "100";
  traffic.persistent = true;
  traffic.confirm_window = 5000;
  command->add_option("-n,--messages", options->messages, "How many")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 40).description(""))
      ->capture_default_str();
  add_load(*command, *options);
  command->callback([options, &chosen] { chosen = [options] { return fill(*options); }; });
}

void add_drain(CLI::App& deep, Chosen& chosen) {
  CLI::App* const command = deep.add_subcommand("drain", "Consumes all that is in the queues");
  const auto options = std::make_shared<Deep>();
  TrafficOptions& traffic = options->load.traffic;
  traffic.publishers = 0;
  traffic.ack_batch = 100;
  traffic.prefetch = 1000;
  add_load(*command, *options);
  command->callback([options, &chosen] { chosen = [options] { return drain(*options); }; });
}

void add_restart(CLI::App& deep, Chosen& chosen) {
  CLI::App* const command =
      deep.add_subcommand("restart", "Kills the broker, starts it: how long until it delivers");
  const auto options = std::make_shared<Restart>();
  add_broker_options(*command, options->broker);
  add_queue_options(*command, options->queues);
  add_output_options(*command, options->output);
  command->add_option("--command", options->command, "Starts the broker, in the foreground")
      ->required()
      ->type_name("COMMAND");
  command->add_option("--log", options->log, "Where its output goes")->type_name("FILE");
  command->add_flag("--gently", options->gently,
                    "Stop the running one with SIGTERM instead of SIGKILL");
  command->add_flag("--stop", options->stop, "Stop the new one afterwards (SIGTERM)");
  command->add_option("--timeout", options->timeout_seconds, "Seconds until it has to deliver")
      ->capture_default_str();
  command->callback([options, &chosen] { chosen = [options] { return restart(*options); }; });
}

}  // namespace

void add_deep(CLI::App& app, Chosen& chosen) {
  CLI::App* const command = app.add_subcommand("deep", "Long queues: fill, drain, restart");
  command->require_subcommand(1);
  add_fill(*command, chosen);
  add_drain(*command, chosen);
  add_restart(*command, chosen);
  command->footer(
      "Examples:\n"
      "  warren-perf deep fill -n 3000000 -s 100 --data-dir ./data\n"
      "  warren-perf deep restart --command 'warrend --data-dir ./data'\n"
      "  warren-perf deep drain -V\n");
}

}  // namespace warren::perf
