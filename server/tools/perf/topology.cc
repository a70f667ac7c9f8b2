// SPDX-License-Identifier: Apache-2.0
#include "server/tools/perf/topology.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "server/amqp/field_table_codec.h"
#include "server/tools/perf/crew.h"
#include "server/tools/perf/link.h"

namespace warren::perf {

std::string with_number(const std::string& pattern, std::uint64_t number) {
  std::string out = pattern;
  const std::string digits = std::to_string(number);
  for (std::size_t at = out.find("%d"); at != out.npos; at = out.find("%d", at + digits.size())) {
    out.replace(at, 2, digits);
  }
  return out;
}

Topology::Topology(const QueueOptions& options) : options_(options) {
  if (!options.arguments.empty()) amqp::encode_table(arguments_, options.arguments);
  std::set<std::pair<std::string, std::string>> known;
  for (std::uint64_t number = options.from; number <= options.to; ++number) {
    queues_.push_back(with_number(options.pattern, number));
    const std::string& key =
        options.routing_key.empty() ? queues_.back() : with_number(options.routing_key, number);
    Target target{with_number(options.exchange, number), key};
    if (known.emplace(target.exchange, target.routing_key).second) {
      targets_.push_back(std::move(target));
    }
  }
}

std::vector<unsigned> Topology::share(std::size_t count, unsigned users, unsigned n) {
  std::vector<unsigned> out;
  if (count <= users) {
    out.push_back(static_cast<unsigned>(n % count));
    return out;
  }
  for (std::size_t at = n; at < count; at += users) out.push_back(static_cast<unsigned>(at));
  return out;
}

Status Topology::declare_exchanges(WireClient& client) const {
  if (options_.exchange_type.empty()) return {};
  std::set<std::string> done;
  for (const Target& target : targets_) {
    if (!done.insert(target.exchange).second) continue;
    WARREN_TRY([[maybe_unused]] const auto declared,
               (client.call<amqp::ExchangeDeclareOk>(
                   kSetUpChannel, amqp::ExchangeDeclare{.exchange = target.exchange,
                                                        .type = options_.exchange_type,
                                                        .durable = !options_.transient})));
  }
  return {};
}

// What is asked here is answered in the same order by take_declared().
void Topology::append_declare(WireClient& client, std::size_t index) const {
  const std::string& name = queues_[index];
  const bool durable = !options_.transient && !options_.exclusive;
  client.append(kSetUpChannel, amqp::QueueDeclare{.queue = name,
                                                  .passive = options_.passive,
                                                  .durable = durable,
                                                  .exclusive = options_.exclusive,
                                                  .auto_delete = options_.auto_delete,
                                                  .arguments = arguments_});
  if (options_.purge) client.append(kSetUpChannel, amqp::QueuePurge{.queue = name});
  if (options_.exchange.empty()) return;
  const std::uint64_t number = options_.from + index;
  const std::string& pattern =
      options_.binding_key.empty() ? options_.routing_key : options_.binding_key;
  const std::string exchange = with_number(options_.exchange, number);
  const std::string key = pattern.empty() ? name : with_number(pattern, number);
  client.append(kSetUpChannel,
                amqp::QueueBind{.queue = name, .exchange = exchange, .routing_key = key});
}

Status Topology::take_declared(WireClient& client, std::size_t index) const {
  const auto take = [&]() -> Status {
    WARREN_CHECK(client.receive<amqp::QueueDeclareOk>(kSetUpChannel));
    if (options_.purge) WARREN_CHECK(client.receive<amqp::QueuePurgeOk>(kSetUpChannel));
    if (options_.exchange.empty()) return {};
    WARREN_CHECK(client.receive<amqp::QueueBindOk>(kSetUpChannel));
    return {};
  };
  const Status taken = take();
  if (taken.ok()) return {};
  return explain(fmt::format("declaring queue '{}'", queues_[index]), taken.error());
}

Status Topology::declare(WireClient& client, unsigned index) const {
  append_declare(client, index);
  return take_declared(client, index);
}

Status Topology::declare_all(std::span<WireClient> crew) const {
  return ask_many(
      crew, queues_.size(),
      [this](WireClient& client, std::size_t index) { append_declare(client, index); },
      [this](WireClient& client, std::size_t index) { return take_declared(client, index); });
}

Result<std::uint64_t> Topology::ready_messages(std::span<WireClient> crew) const {
  std::uint64_t count = 0;
  WARREN_CHECK(ask_many(
      crew, queues_.size(),
      [this](WireClient& client, std::size_t index) {
        client.append(kSetUpChannel, amqp::QueueDeclare{.queue = queues_[index], .passive = true});
      },
      [&count](WireClient& client, std::size_t) -> Status {
        WARREN_TRY(const auto declared, client.receive<amqp::QueueDeclareOk>(kSetUpChannel));
        count += declared.message_count;
        return {};
      }));
  return count;
}

Status Topology::remove(std::span<WireClient> crew) const {
  WARREN_CHECK(ask_many(
      crew, queues_.size(),
      [this](WireClient& client, std::size_t index) {
        client.append(kSetUpChannel, amqp::QueueDelete{.queue = queues_[index]});
      },
      [](WireClient& client, std::size_t) -> Status {
        WARREN_CHECK(client.receive<amqp::QueueDeleteOk>(kSetUpChannel));
        return {};
      }));
  WireClient& client = crew.front();
  std::set<std::string> done;
  for (const Target& target : targets_) {
    if (options_.exchange_type.empty() || !done.insert(target.exchange).second) continue;
    WARREN_TRY([[maybe_unused]] const auto deleted,
               (client.call<amqp::ExchangeDeleteOk>(
                   kSetUpChannel, amqp::ExchangeDelete{.exchange = target.exchange})));
  }
  return {};
}

}  // namespace warren::perf
