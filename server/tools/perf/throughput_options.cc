// SPDX-License-Identifier: Apache-2.0
#include "server/tools/perf/throughput_options.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace warren::perf {
namespace {

constexpr unsigned kConnectionsMax = 20000;

CLI::Validator between(double min, double max) {
  return CLI::Range(min, max).description("");
}

void add_load_options(CLI::App& app, ThroughputOptions& options) {
  app.add_option("--uri", options.uri_text, "amqp://user:password@host:port/vhost")
      ->capture_default_str();
  app.add_option("-x,--publishers", options.publishers, "Publishers, one connection each")
      ->check(between(0U, kConnectionsMax))
      ->capture_default_str();
  app.add_option("-y,--consumers", options.consumers, "Consumers, one connection each")
      ->check(between(0U, kConnectionsMax))
      ->capture_default_str();
  app.add_option("-s,--size", options.body_bytes, "Body, in bytes (at least 16 with -l)")
      ->check(between(0, 64 << 20))
      ->capture_default_str();
  app.add_flag("-p,--persistent", options.persistent, "Persistent messages (delivery mode 2)");
  app.add_option("-c,--confirm", options.confirm_window,
                 "Publisher confirms, with at most so many messages open; 0: none")
      ->check(between(0, 1 << 20))
      ->capture_default_str();
  app.add_option("-a,--ack", options.ack_batch,
                 "Acknowledge every so many messages (multiple=true); 0: auto-ack")
      ->check(between(0, 1 << 20))
      ->capture_default_str();
  app.add_option("-P,--prefetch", options.prefetch, "Prefetch of each consumer; 0: unlimited")
      ->check(between(0, 65535))
      ->capture_default_str();
  app.add_option("-r,--rate", options.rate, "Messages per second and publisher; 0: unlimited")
      ->check(between(0.0, 1e8))
      ->capture_default_str();
}

void add_run_options(CLI::App& app, ThroughputOptions& options) {
  app.add_option("-u,--queue", options.queue, "Queue, declared durable; its name")
      ->capture_default_str();
  app.add_option("--queues", options.queues, "So many queues, named QUEUE-1 and so on, in turn")
      ->check(between(1, 100000))
      ->capture_default_str();
  app.add_option("-z,--seconds", options.seconds,
                 "How long to measure; with -C or -D the limit after which the run has failed")
      ->check(between(0.1, 86400.0))
      ->capture_default_str();
  app.add_option("-w,--warm-up", options.warm_up_seconds, "Seconds of load before the measuring")
      ->check(between(0.0, 3600.0))
      ->capture_default_str();
  app.add_option("-C,--publish-count", options.publish_count, "Stop after so many per publisher");
  app.add_option("-D,--consume-count", options.consume_count, "Stop after so many per consumer");
  app.add_flag("-l,--latency", options.latency, "Measure latencies (end to end, and confirms)");
  app.add_option("--pid", options.server_pid,
                 "Process id of the broker: report its CPU and memory");
  app.add_option("--client-threads", options.client_threads, "Threads of this client")
      ->check(between(1, 64));
  app.add_flag("--purge", options.purge, "Empty the queues first");
  app.add_flag("--delete", options.delete_queues, "Delete the queues afterwards");
  app.add_flag("--json", options.json, "One JSON object on stdout instead of text");
}

}  // namespace

std::string ThroughputOptions::queue_name(unsigned n) const {
  return queues == 1 ? queue : fmt::format("{}-{}", queue, n % queues + 1);
}

void add_throughput_options(CLI::App& app, ThroughputOptions& options) {
  add_load_options(app, options);
  add_run_options(app, options);
}

}  // namespace warren::perf
