// SPDX-License-Identifier: Apache-2.0
#include "server/tools/perf/options.h"

#include <algorithm>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "server/tools/perf/stamp.h"

namespace warren::perf {
namespace {

constexpr unsigned kConnectionsMax = 20'000;
constexpr unsigned kLinksMax = 100'000;
constexpr unsigned kQueuesMax = 1'000'000;
constexpr double kMessagesMax = 1e12;

CLI::Validator between(double min, double max) {
  return CLI::Range(min, max).description("");
}

template <class T>
CLI::Option* number(CLI::App& app, const char* names, T& value, const char* text, double min,
                    double max) {
  return app.add_option(names, value, text)
      ->take_last()
      ->check(between(min, max))
      ->capture_default_str();
}

Status refuse(std::string text) {
  return Error{Errc::invalid_argument, std::move(text)};
}

// Says of which option an error speaks.
template <class T>
Status take(std::string_view option, Result<T> parsed, T& out) {
  if (!parsed.ok()) return refuse(fmt::format("{}: {}", option, parsed.error().text));
  out = parsed.take();
  return {};
}

Status resolve_traffic(TrafficOptions& traffic) {
  WARREN_CHECK(take("--size", BodySizes::parse(traffic.sizes_text), traffic.sizes));
  WARREN_CHECK(take("--priority", Priorities::parse(traffic.priority_text), traffic.priorities));
  WARREN_CHECK(take("--property",
                    MessageProperties::parse(traffic.property_texts, traffic.header_texts),
                    traffic.properties));
  WARREN_CHECK(take("--consumer-args", parse_arguments(traffic.consumer_argument_texts),
                    traffic.consumer_arguments));
  if (traffic.confirm_window != 0 && traffic.publish_tx != 0) {
    return refuse("--confirm and --tx: a channel has confirms or transactions, not both");
  }
  if (traffic.ack_tx != 0 && traffic.ack_batch == 0) {
    return refuse("--ack-tx needs --ack: there is nothing to commit with auto-ack");
  }
  if (traffic.publishers == 0 && traffic.consumers == 0) {
    return refuse("nothing to do: neither publishers (-x) nor consumers (-y)");
  }
  if (traffic.publish_count != 0 && traffic.publishers == 0) {
    return refuse("--publish-count needs publishers (-x)");
  }
  if (traffic.consume_count != 0 && traffic.consumers == 0) {
    return refuse("--consume-count needs consumers (-y)");
  }
  if (traffic.publishing() > kLinksMax || traffic.consuming() > kLinksMax) {
    return refuse(fmt::format("more than {} channels that publish or consume", kLinksMax));
  }
  return {};
}

Status resolve_queues(QueueOptions& queues) {
  WARREN_CHECK(take("--queue-args", parse_arguments(queues.argument_texts), queues.arguments));
  if (queues.pattern_text.empty()) {
    queues.to = queues.from + queues.queues - 1;
    queues.pattern = queues.queues == 1 ? queues.queue : queues.queue + "-%d";
  } else if (queues.pattern_text.find("%d") == std::string::npos) {
    return refuse(fmt::format("--queue-pattern: '{}' has no %d", queues.pattern_text));
  } else {
    queues.pattern = queues.pattern_text;
    queues.to = queues.pattern_to;
  }
  if (queues.to < queues.from) {
    return refuse("--queue-pattern-to is less than --queue-pattern-from");
  }
  if (queues.to - queues.from >= kQueuesMax) {
    return refuse(fmt::format("--queue-pattern-to: more than {} queues", kQueuesMax));
  }
  if (!queues.exchange_type.empty() && queues.exchange.empty()) {
    return refuse("--exchange-type needs --exchange");
  }
  if (!queues.binding_key.empty() && queues.exchange.empty()) {
    return refuse("--binding-key needs --exchange: the default exchange has no bindings");
  }
  return {};
}

}  // namespace

double TrafficOptions::rate_each() const {
  if (total_rate > 0) return total_rate / std::max(1U, publishing());
  return rate;
}

Result<std::vector<double>> parse_numbers(std::string_view text) {
  std::vector<double> out;
  while (true) {
    const std::size_t comma = text.find(',');
    WARREN_TRY(const std::uint32_t value, parse_bytes(text.substr(0, comma)));
    out.push_back(value);
    if (comma == text.npos) return out;
    text = text.substr(comma + 1);
  }
}

Status resolve(BrokerOptions& options) {
  return take("--uri", parse_uri(options.uri_text), options.uri);
}

Status LoadOptions::resolve() {
  WARREN_CHECK(perf::resolve(broker));
  WARREN_CHECK(resolve_traffic(traffic));
  WARREN_CHECK(resolve_queues(queues));
  if ((run.latency || run.verify) && traffic.publishers != 0 &&
      traffic.sizes.smallest() < kStampBytes) {
    return refuse(fmt::format("--latency and --verify need bodies of at least {} bytes (--size)",
                              kStampBytes));
  }
  if (run.verify && traffic.publishers != 0 && traffic.consume_count != 0) {
    return refuse("--verify and --consume-count: what is not consumed would count as lost");
  }
  if (run.verify && traffic.consumers == 0) return refuse("--verify needs consumers (-y)");
  return {};
}

void add_broker_options(CLI::App& app, BrokerOptions& options) {
  app.add_option("--uri", options.uri_text, "amqp://user:password@host:port/vhost")
      ->type_name("URI")
      ->capture_default_str();
  app.add_option("--pid", options.pid,
                 "Process id of the broker, to report its CPU and memory; found by the port when "
                 "it runs on this machine")
      ->type_name("PID");
}

void add_wait_options(CLI::App& app, WaitOptions& options) {
  app.add_flag("--busy-wait", options.busy,
               "Wait for answers without sleeping: leaves out how long the machine takes to wake "
               "this client, takes a core per client");
}

void add_traffic_options(CLI::App& app, TrafficOptions& options) {
  number(app, "-x,--publishers", options.publishers, "Connections that publish", 0,
         kConnectionsMax);
  number(app, "-y,--consumers", options.consumers, "Connections that consume", 0, kConnectionsMax);
  number(app, "-X,--publisher-channels", options.publisher_channels,
         "Channels of each publishing connection, each a publisher", 1, 2000);
  number(app, "-Y,--consumer-channels", options.consumer_channels,
         "Channels of each consuming connection, each a consumer", 1, 2000);
  app.add_option("-s,--size", options.sizes_text,
                 "Body: 1024, 4KiB, 16-4096, or size:weight as 16:50,1024:30,65536:20")
      ->type_name("BYTES")
      ->take_last()
      ->capture_default_str();
  app.add_flag("-p,--persistent", options.persistent, "Persistent messages (delivery mode 2)");
  app.add_flag("--mandatory", options.mandatory, "What no queue takes is returned, and counted");
  number(app, "-c,--confirm", options.confirm_window,
         "Publisher confirms, with at most so many messages open; 0: none", 0, 1 << 20);
  number(app, "-t,--tx", options.publish_tx, "Publish in transactions of so many; 0: none", 0,
         1 << 20);
  number(app, "-a,--ack", options.ack_batch,
         "Acknowledge every so many messages (multiple=true); 0: auto-ack", 0, 1 << 20);
  number(app, "-T,--ack-tx", options.ack_tx, "Acknowledge in transactions of so many; 0: none", 0,
         1 << 20);
  number(app, "-P,--prefetch", options.prefetch, "Prefetch of each consumer; 0: unlimited", 0,
         65535);
  app.add_flag("-g,--poll", options.poll, "Poll with basic.get instead of consuming");
  number(app, "-r,--rate", options.rate, "Messages per second and publisher; 0: unlimited", 0, 1e8);
  number(app, "--total-rate", options.total_rate,
         "Messages per second of all publishers, instead of --rate; 0: unlimited", 0, 1e8);
  number(app, "-R,--consumer-rate", options.consumer_rate,
         "Messages per second and consumer; 0: unlimited", 0, 1e8);
  app.add_option("--priority", options.priority_text, "Priority: 5, or 0-9 for each in turn")
      ->type_name("N[-N]");
  app.add_option("--property", options.property_texts,
                 "Message properties: content_type=text/plain,expiration=60000")
      ->allow_extra_args(false)
      ->type_name("NAME=VALUE");
  app.add_option("--header", options.header_texts, "Message headers, written as --queue-args")
      ->allow_extra_args(false)
      ->type_name("NAME=VALUE");
  app.add_option("--consumer-args", options.consumer_argument_texts,
                 "Arguments of basic.consume, written as --queue-args")
      ->allow_extra_args(false)
      ->type_name("NAME=VALUE");
}

void add_count_options(CLI::App& app, TrafficOptions& options) {
  app.add_option("-C,--publish-count,--pmessages", options.publish_count,
                 "Stop after so many published, of all publishers together")
      ->type_name("N")
      ->check(between(0, kMessagesMax));
  app.add_option("-D,--consume-count,--cmessages", options.consume_count,
                 "Stop after so many consumed, of all consumers together")
      ->type_name("N")
      ->check(between(0, kMessagesMax));
}

void add_queue_options(CLI::App& app, QueueOptions& options) {
  app.add_option("-u,--queue", options.queue, "Queue; declared durable")
      ->type_name("NAME")
      ->capture_default_str();
  CLI::Option* const queues = number(app, "--queues", options.queues,
                                     "So many queues, NAME-1 and on, shared out", 1, kQueuesMax);
  CLI::Option* const pattern =
      app.add_option("--queue-pattern", options.pattern_text, "Queues by number, as q-%d")
          ->type_name("PATTERN")
          ->excludes(queues);
  number(app, "--queue-pattern-from", options.from, "First number of the pattern", 0, 1e9)
      ->needs(pattern);
  number(app, "--queue-pattern-to", options.pattern_to, "Last number of the pattern", 0, 1e9)
      ->needs(pattern);
  app.add_flag("--transient-queue", options.transient, "Declare the queues as not durable");
  app.add_flag("--exclusive", options.exclusive,
               "Exclusive queues, declared by the connection that consumes");
  app.add_flag("--auto-delete", options.auto_delete, "Auto-delete queues");
  app.add_flag("--passive", options.passive, "The queues must be there; take them as they are");
  app.add_option("--queue-args", options.argument_texts,
                 "x-max-length=1000,x-note:string=5 or a JSON object; may be repeated")
      ->allow_extra_args(false)
      ->type_name("NAME=VALUE");
  app.add_option("-e,--exchange", options.exchange,
                 "Exchange to publish to, bound to the queues; %d is the number of the queue")
      ->type_name("NAME");
  app.add_option("--exchange-type", options.exchange_type, "Declare the exchange, of this type")
      ->type_name("TYPE");
  app.add_option("-k,--routing-key", options.routing_key,
                 "Routing key, the queue's name if not given; %d is the number of the queue")
      ->type_name("KEY");
  app.add_option("--binding-key", options.binding_key,
                 "Key of the bindings, the routing key if not given")
      ->type_name("KEY");
  app.add_flag("--purge", options.purge, "Empty the queues first");
  app.add_flag("--delete", options.remove, "Delete the queues afterwards");
}

void add_run_options(CLI::App& app, RunOptions& options) {
  number(app, "-z,--seconds,--time", options.seconds,
         "How long to measure; with -C or -D the limit after which the run has failed", 0.1, 1e6);
  number(app, "-w,--warm-up", options.warm_up_seconds, "Seconds of load before the measuring", 0,
         3600);
  app.add_flag("-l,--latency", options.latency,
               "Measure latencies: end to end, and of confirms. With a rate they count from when "
               "a message was due");
  app.add_flag("-V,--verify", options.verify,
               "Check that nothing is lost, repeated, out of order or damaged");
  app.add_option("--client-threads", options.client_threads, "Threads of this client")
      ->check(between(1, 256));
}

void add_output_options(CLI::App& app, OutputOptions& options) {
  app.add_flag("-j,--json", options.json, "JSON on stdout instead of text");
  app.add_flag("-q,--quiet", options.quiet, "No progress on stderr");
}

void add_csv_option(CLI::App& app, OutputOptions& options) {
  app.add_option("--csv", options.csv, "Write a row per second to this file (warren-perf plot)")
      ->type_name("FILE");
}

}  // namespace warren::perf
