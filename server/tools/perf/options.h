// SPDX-License-Identifier: Apache-2.0
// What the commands of warren-perf are told. Each group of options is defined once (options.cc) and
// taken by every command that means it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/result.h"

#include "server/amqp/field_value.h"
#include "server/tools/perf/arguments.h"
#include "server/tools/perf/body_sizes.h"
#include "server/tools/perf/uri.h"
#include "server/tools/perf/wire_client.h"

namespace CLI {  // NOLINT(readability-identifier-naming)
class App;
}

namespace warren::perf {

inline constexpr const char* kDefaultUri = "amqp://guest:guest@127.0.0.1:5672";

struct BrokerOptions {
  std::string uri_text = kDefaultUri;
  int pid = 0;  // 0: looked for by the port, when the broker is on this machine

  Uri uri;
};

// Of commands that wait for every answer.
struct WaitOptions {
  bool busy = false;

  Waiting waiting() const { return busy ? Waiting::busy : Waiting::asleep; }
};

struct TrafficOptions {
  unsigned publishers = 1;
  unsigned consumers = 1;
  unsigned publisher_channels = 1;  // each a publisher, on one connection
  unsigned consumer_channels = 1;
  std::string sizes_text = "16";
  bool persistent = false;
  bool mandatory = false;
  std::uint32_t confirm_window = 0;  // 0: no confirms
  std::uint32_t publish_tx = 0;      // commit after so many; 0: no transactions
  std::uint32_t ack_tx = 0;
  std::uint32_t ack_batch = 0;  // 0: auto-ack
  std::uint16_t prefetch = 0;   // 0: unlimited
  bool poll = false;            // basic.get instead of basic.consume
  double rate = 0;              // per second and publisher; 0: unlimited
  double total_rate = 0;        // of all publishers
  double consumer_rate = 0;     // per second and consumer
  std::string priority_text;
  std::vector<std::string> property_texts;
  std::vector<std::string> header_texts;
  std::vector<std::string> consumer_argument_texts;
  std::uint64_t publish_count = 0;  // of all publishers; 0: until the time is over
  std::uint64_t consume_count = 0;  // of all consumers

  BodySizes sizes;
  Priorities priorities;
  MessageProperties properties;
  amqp::FieldTable consumer_arguments;

  unsigned publishing() const { return publishers * publisher_channels; }
  unsigned consuming() const { return consumers * consumer_channels; }
  // Messages per second of one publisher; 0: unlimited.
  double rate_each() const;
};

struct QueueOptions {
  std::string queue = "perf-test";
  std::string pattern_text;  // with %d; empty: from `queue` and `queues`
  unsigned from = 1;
  unsigned pattern_to = 1;
  unsigned queues = 1;
  bool transient = false;
  bool exclusive = false;
  bool auto_delete = false;
  bool passive = false;
  std::vector<std::string> argument_texts;
  std::string exchange;
  std::string exchange_type;  // empty: the exchange is there
  std::string routing_key;
  std::string binding_key;
  bool purge = false;
  bool remove = false;

  std::string pattern;  // of all queues; without %d there is one
  unsigned to = 1;
  amqp::FieldTable arguments;
};

struct RunOptions {
  double seconds = 10;
  double warm_up_seconds = 0;
  bool latency = false;
  bool verify = false;
  unsigned client_threads = 0;  // 0: as the machine has, but not more than connections
};

struct OutputOptions {
  bool json = false;
  bool quiet = false;
  std::string csv;
};

// Everything about one load on one broker.
struct LoadOptions {
  BrokerOptions broker;
  TrafficOptions traffic;
  QueueOptions queues;
  RunOptions run;
  OutputOptions output;

  // Reads the texts above and checks that the options go together. The error names the option.
  Status resolve();
};

// Digits and units as in "16,64KiB"; for lists of steps.
Result<std::vector<double>> parse_numbers(std::string_view text);

void add_broker_options(CLI::App& app, BrokerOptions& options);
void add_wait_options(CLI::App& app, WaitOptions& options);
void add_traffic_options(CLI::App& app, TrafficOptions& options);
void add_count_options(CLI::App& app, TrafficOptions& options);
void add_queue_options(CLI::App& app, QueueOptions& options);
void add_run_options(CLI::App& app, RunOptions& options);
void add_output_options(CLI::App& app, OutputOptions& options);
void add_csv_option(CLI::App& app, OutputOptions& options);

Status resolve(BrokerOptions& options);

}  // namespace warren::perf
