// SPDX-License-Identifier: Apache-2.0
#include "server/tools/perf/load_links.h"

#include <algorithm>

#include <fmt/format.h>

#include "server/amqp/field_table_codec.h"
#include "server/tools/perf/connect.h"

namespace warren::perf {
namespace {

unsigned thread_count(const LoadOptions& options) {
  const unsigned links = std::max(1U, options.traffic.publishers + options.traffic.consumers);
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  return std::min(options.run.client_threads != 0 ? options.run.client_threads : cores, links);
}

// Of `total`, the part of user `n` of `users`.
std::uint64_t part_of(std::uint64_t total, unsigned users, unsigned n) {
  return total / users + (n < total % users ? 1 : 0);
}

}  // namespace

LoadLinks::LoadLinks(const LoadOptions& options, const Topology& topology)
    : options_(options), topology_(topology) {
  const amqp::FieldTable& arguments = options.traffic.consumer_arguments;
  if (!arguments.empty()) amqp::encode_table(consumer_arguments_, arguments);
  left_ = static_cast<std::int64_t>(options.traffic.consume_count);
}

Status LoadLinks::open() {
  for (unsigned i = 0; i < thread_count(options_); ++i) lanes_.push_back(std::make_unique<Lane>());
  for (unsigned i = 0; i < options_.traffic.consumers; ++i) WARREN_CHECK(open_consumers(i));
  for (unsigned i = 0; i < options_.traffic.publishers; ++i) WARREN_CHECK(open_publishers(i));
  return {};
}

Status LoadLinks::prepare_channel(WireClient& client, std::uint16_t channel, bool publishes) {
  const TrafficOptions& traffic = options_.traffic;
  if (channel != kSetUpChannel) {
    WARREN_TRY([[maybe_unused]] const auto opened,
               (client.call<amqp::ChannelOpenOk>(channel, amqp::ChannelOpen{})));
  }
  if ((publishes ? traffic.publish_tx : traffic.ack_tx) != 0) {
    WARREN_TRY([[maybe_unused]] const auto selected,
               (client.call<amqp::TxSelectOk>(channel, amqp::TxSelect{})));
  }
  if (publishes && traffic.confirm_window != 0) {
    WARREN_TRY([[maybe_unused]] const auto selected,
               (client.call<amqp::ConfirmSelectOk>(channel, amqp::ConfirmSelect{})));
  }
  if (!publishes && traffic.prefetch != 0) {
    WARREN_TRY([[maybe_unused]] const auto limited,
               (client.call<amqp::BasicQosOk>(channel,
                                              amqp::BasicQos{.prefetch_count = traffic.prefetch})));
  }
  return {};
}

Consumer::Part LoadLinks::consumer_part(unsigned number) {
  Consumer::Part part;
  part.queues = Topology::share(topology_.queues().size(), options_.traffic.consuming(), number);
  for (const unsigned queue : part.queues) part.names.push_back(topology_.queues()[queue]);
  part.arguments = consumer_arguments_;
  part.left = options_.traffic.consume_count != 0 ? &left_ : nullptr;
  return part;
}

Publisher::Part LoadLinks::publisher_part(unsigned number) {
  const TrafficOptions& traffic = options_.traffic;
  Publisher::Part part;
  part.index = number;
  for (const unsigned target :
       Topology::share(topology_.targets().size(), traffic.publishing(), number)) {
    part.targets.push_back(topology_.targets()[target]);
  }
  part.first_stream = streams_;
  streams_ += static_cast<std::uint32_t>(part.targets.size()) * traffic.priorities.count();
  if (traffic.publish_count != 0) {
    part.count = part_of(traffic.publish_count, traffic.publishing(), number);
  }
  return part;
}

Status LoadLinks::open_consumers(unsigned index) {
  const unsigned channels = options_.traffic.consumer_channels;
  const std::string name = fmt::format("consumer {}", index + 1);
  WARREN_TRY(WireClient client, connect(options_.broker.uri));
  for (unsigned i = 0; i < channels; ++i) {
    const auto channel = static_cast<std::uint16_t>(i + 1);
    Status done = prepare_channel(client, channel, false);
    if (options_.queues.exclusive) {
      for (const unsigned queue : consumer_part(index * channels + i).queues) {
        if (done.ok()) done = topology_.declare(client, queue);
      }
    }
    if (!done.ok()) return explain(name, done.error());
  }
  Lane& lane = *lanes_[index % lanes_.size()];
  auto link = std::make_unique<Link>(lane.shared(), std::move(client), name);
  for (unsigned i = 0; i < channels; ++i) {
    auto role = std::make_unique<Consumer>(*link, static_cast<std::uint16_t>(i + 1), options_,
                                           consumer_part(index * channels + i));
    lane.consumers.push_back(role.get());
    link->add(std::move(role));
  }
  lane.links.push_back(std::move(link));
  return {};
}

Status LoadLinks::open_publishers(unsigned index) {
  const unsigned channels = options_.traffic.publisher_channels;
  const std::string name = fmt::format("publisher {}", index + 1);
  WARREN_TRY(WireClient client, connect(options_.broker.uri));
  for (unsigned i = 0; i < channels; ++i) {
    const Status done = prepare_channel(client, static_cast<std::uint16_t>(i + 1), true);
    if (!done.ok()) return explain(name, done.error());
  }
  // Publishers and consumers of equal number meet on different threads where there are several.
  Lane& lane = *lanes_[(index + 1) % lanes_.size()];
  auto link = std::make_unique<Link>(lane.shared(), std::move(client), name);
  for (unsigned i = 0; i < channels; ++i) {
    auto role = std::make_unique<Publisher>(*link, static_cast<std::uint16_t>(i + 1), options_,
                                            publisher_part(index * channels + i));
    lane.publishers.push_back(role.get());
    link->add(std::move(role));
  }
  if (streams_ >= kStreamsMax) {
    return Error{Errc::invalid_argument,
                 fmt::format("more than {} pairs of publisher and target", kStreamsMax)};
  }
  lane.links.push_back(std::move(link));
  return {};
}

template <class F>
void LoadLinks::tell(F task) {
  for (const auto& lane : lanes_) lane->post([task, &at = *lane] { task(at); });
}

template <class F>
bool LoadLinks::ask(F question) {
  return std::all_of(lanes_.begin(), lanes_.end(), [&](const std::unique_ptr<Lane>& lane) {
    return lane->ask([&] { return question(*lane); });
  });
}

void LoadLinks::start_consumers(Instant stamps_from) {
  const std::uint64_t from = options_.traffic.publishers != 0 ? to_microseconds(stamps_from) : 0;
  tell([from](Lane& lane) {
    for (Consumer* const consumer : lane.consumers) consumer->begin(from);
    for (const auto& link : lane.links) link->start();
  });
}

bool LoadLinks::consumers_ready() const {
  return std::all_of(lanes_.begin(), lanes_.end(), [](const auto& lane) {
    return std::all_of(lane->consumers.begin(), lane->consumers.end(),
                       [](const Consumer* consumer) { return consumer->ready(); });
  });
}

void LoadLinks::start_publishers(Instant at) {
  tell([at](Lane& lane) {
    for (Publisher* const publisher : lane.publishers) publisher->begin(at);
  });
}

void LoadLinks::stop_publishers() {
  tell([](Lane& lane) {
    for (Publisher* const publisher : lane.publishers) publisher->stop();
  });
}

void LoadLinks::stop_consumers() {
  tell([](Lane& lane) {
    for (Consumer* const consumer : lane.consumers) consumer->stop();
  });
}

void LoadLinks::begin_close() {
  tell([](Lane& lane) {
    for (const auto& link : lane.links) link->begin_close();
  });
}

bool LoadLinks::publishers_finished() {
  return ask([](Lane& lane) {
    return std::all_of(lane.publishers.begin(), lane.publishers.end(),
                       [](const Publisher* publisher) { return publisher->finished(); });
  });
}

bool LoadLinks::consumers_finished() {
  return ask([](Lane& lane) {
    return std::all_of(lane.consumers.begin(), lane.consumers.end(),
                       [](const Consumer* consumer) { return consumer->finished(); });
  });
}

bool LoadLinks::closed() {
  return ask([](Lane& lane) {
    return std::all_of(lane.links.begin(), lane.links.end(),
                       [](const auto& link) { return link->closed(); });
  });
}

std::string LoadLinks::failure() {
  std::string why;
  for (const auto& lane : lanes_) {
    if (!why.empty() || !lane->failed()) continue;
    why = lane->ask([&links = lane->links] {
      std::string first;
      for (const auto& link : links) {
        if (first.empty()) first = link->failure();
      }
      return first;
    });
  }
  return why;
}

Counters LoadLinks::counters() const {
  Counters sum;
  for (const auto& lane : lanes_) {
    for (const Publisher* const publisher : lane->publishers) {
      sum.published += publisher->published();
      sum.confirmed += publisher->confirmed();
      sum.published_bytes += publisher->bytes();
    }
    for (const Consumer* const consumer : lane->consumers) {
      sum.consumed += consumer->consumed();
      sum.consumed_bytes += consumer->bytes();
    }
  }
  return sum;
}

Latencies LoadLinks::latencies() {
  Latencies sum;
  for (const auto& lane : lanes_) {
    const auto one = lane->ask([&shared = lane->shared()] {
      return std::make_unique<Latencies>(Latencies{shared.delivery, shared.confirm});
    });
    sum.delivery.merge(one->delivery);
    sum.confirm.merge(one->confirm);
  }
  return sum;
}

std::vector<double> LoadLinks::cpu_seconds() {
  std::vector<double> out;
  for (const auto& lane : lanes_) out.push_back(lane->cpu_seconds());
  return out;
}

Verdict LoadLinks::verdict(std::uint64_t refused) const {
  std::vector<const Verifier*> seen;
  std::vector<std::uint64_t> published(options_.traffic.publishers != 0 ? streams_ : 0);
  for (const auto& lane : lanes_) {
    for (const Consumer* const consumer : lane->consumers) seen.push_back(&consumer->verifier());
    for (const Publisher* const publisher : lane->publishers) {
      std::copy(publisher->sent_by_stream().begin(), publisher->sent_by_stream().end(),
                published.begin() + publisher->first_stream());
    }
  }
  Verdict verdict = Verifier::judge(seen, published);
  // What the broker refused or gave back is not lost.
  verdict.lost -= std::min(verdict.lost, refused);
  return verdict;
}

void LoadLinks::collect(LoadReport& report) {
  ask([&report](Lane& lane) {
    for (const Publisher* const publisher : lane.publishers) {
      report.nacked += publisher->nacked();
      report.returned += publisher->returned();
    }
    for (const Consumer* const consumer : lane.consumers) {
      report.redelivered += consumer->redelivered();
      report.empty_gets += consumer->empty_gets();
    }
    return true;
  });
  if (options_.run.verify) report.verdict = verdict(report.nacked + report.returned);
}

}  // namespace warren::perf
