// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/simulation.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "storage/inspect/store_check.h"
#include "storage/kv/memory_store.h"

#include "server/amqp/field_table_codec.h"
#include "server/amqp/properties.h"

#include "tests/support/sim_client.h"

namespace warren::test {

using namespace amqp;  // NOLINT: methods by their AMQP names

namespace {

template <class T>
T pick(std::mt19937_64& random, std::initializer_list<T> from) {
  return from.begin()[random() % from.size()];
}

// The drain's client is no actor.
constexpr std::uint32_t kDrainHolder = UINT32_MAX;

}  // namespace

SimShape Simulation::draw_shape(std::mt19937_64& random) {
  SimShape shape;
  shape.shards = static_cast<unsigned>(1 + random() % 3);
  shape.actors = static_cast<unsigned>(2 + random() % 5);
  shape.durable_queues = static_cast<unsigned>(2 + random() % 3);
  shape.floods = random() % 10 == 0;
  shape.large_bodies = !shape.floods && random() % 2 == 0;
  for (SimQueueIndex i = 0; i < shape.durable_queues; ++i) {
    if (random() % 4 == 0) shape.no_ack_queues.insert(i);
  }
  // Two durable queues; three; a durable one and the transient one.
  shape.fan_outs = {{0, 1}, {0, 1, shape.durable_queues - 1}, {1, shape.durable_queues}};
  if (shape.durable_queues == 2) shape.fan_outs[1] = {1, 0};
  if (random() % 4 == 0) return shape;
  shape.staying = draw_staying(random, shape.first_staying());
  // One that may refuse has no part in a fan-out: which of them said no is not told.
  if (!shape.staying[0].refuses) shape.fan_outs.push_back({0, shape.first_staying()});
  return shape;
}

// Some with features, a plain one, and the queue of their dead letters.
std::vector<SimFeatures> Simulation::draw_staying(std::mt19937_64& random, SimQueueIndex first) {
  std::vector<SimFeatures> staying(3 + random() % 3);
  const SimQueueIndex dead = first + static_cast<SimQueueIndex>(staying.size()) - 1;
  for (SimFeatures& features : staying) features.permanent = true;
  for (std::size_t i = 0; i + 2 < staying.size(); ++i) {
    SimFeatures& features = staying[i];
    if (random() % 4 != 0) features.dead_letters = dead;
    if (random() % 3 == 0) features.ttl_ms = pick<std::int64_t>(random, {0, 20, 200});
    if (random() % 3 == 0) {
      features.max_length = pick<unsigned>(random, {1, 5, 20});
      features.refuses = random() % 2 == 0;
    }
    if (random() % 3 == 0) {
      features.delivery_limit = pick<unsigned>(random, {0, 1, 3});
    } else if (random() % 2 == 0) {
      features.max_priority = pick<unsigned>(random, {1, 4, 9});
    }
  }
  return staying;
}

SimOptions Simulation::draw_options(std::mt19937_64& random, const SimShape& shape) {
  SimOptions options;
  options.shards = shape.shards;
  options.seed = random();
  options.broker_limits.queue_window_bytes = pick<std::uint64_t>(random, {1_KiB, 4_KiB, 64_KiB});
  options.broker_limits.windows_bytes_per_shard =
      pick<std::uint64_t>(random, {4_KiB, 64_KiB, 256_MiB});
  options.broker_limits.transient_bytes_per_shard =
      pick<std::uint64_t>(random, {2_KiB, 64_KiB, 256_MiB});
  options.store_options.chunk_bytes_max = pick<std::size_t>(random, {300, 4_KiB, 256_KiB});
  options.session_limits.frame_max = pick<std::uint32_t>(random, {4096, 131072});
  // Two of three share more than a broker would.
  options.store_options.shared_bytes_min =
      std::array<std::size_t, 3>{1, 1_KiB, 4_KiB}[options.seed % 3];
  options.store_options.sweep_records_max = 1 + options.seed % 7;
  // One of three is overloaded by a message or by a few.
  if (options.seed % 3 == 1) options.broker_limits.backlog_bytes = options.seed % 2 ? 500 : 4_KiB;
  return options;
}

namespace {

std::string arguments_of(const SimFeatures& features, const std::string& dead) {
  FieldTable table;
  if (features.max_priority > 0) table.set("x-max-priority", std::int64_t{features.max_priority});
  if (features.ttl_ms != kNever) table.set("x-message-ttl", features.ttl_ms);
  if (features.max_length > 0) table.set("x-max-length", std::int64_t{features.max_length});
  if (features.refuses) table.set("x-overflow", "reject-publish");
  if (features.delivery_limit) {
    table.set("x-queue-type", "quorum")
        .set("x-delivery-limit", std::int64_t{*features.delivery_limit});
  }
  if (features.dead_letters) {
    table.set("x-dead-letter-exchange", "").set("x-dead-letter-routing-key", dead);
  }
  std::string bytes;
  encode_table(bytes, table);
  return bytes;
}

}  // namespace

// Queues on any shards, and the exchanges that lead to them.
void Simulation::declare_staying() {
  for (SimQueueIndex i = 0; i < shape_.staying.size(); ++i) {
    const std::string& name = ledger_.queue(shape_.first_staying() + i).name;
    const std::string arguments =
        arguments_of(shape_.staying[i], ledger_.queue(shape_.dead()).name);
    SimClient& client = broker_.connect(static_cast<ShardIndex>(stage_.draw(shape_.shards)));
    client.call(1, QueueDeclare{.queue = name, .durable = true, .arguments = arguments});
    client.expect<QueueDeclareOk>(1);
    broker_.disconnect(client);
  }
  SimClient& client = broker_.connect(0);
  const auto exchange = [&client](const char* name, const char* type, const FieldTable& table) {
    std::string arguments;
    encode_table(arguments, table);
    client.call(1, ExchangeDeclare{
                       .exchange = name, .type = type, .durable = true, .arguments = arguments});
    client.expect<ExchangeDeclareOk>(1);
  };
  const auto bind = [&](SimQueueIndex queue, const char* from, const char* key) {
    const std::string& name = ledger_.queue(queue).name;
    client.call(1, QueueBind{.queue = name, .exchange = from, .routing_key = key});
    client.expect<QueueBindOk>(1);
  };
  exchange(kSimDelayed, "x-delayed-message", FieldTable().set("x-delayed-type", "fanout"));
  exchange("otherwise", "fanout", {});
  exchange(kSimAlternate, "direct", FieldTable().set("alternate-exchange", "otherwise"));
  bind(shape_.side(), kSimDelayed, "");
  bind(shape_.side(), "otherwise", "");
  bind(shape_.first_staying(), kSimAlternate, "a");
  broker_.disconnect(client);
  broker_.settle();
}

Simulation::Simulation(std::uint64_t seed)
    : random_(seed * 0x9E3779B97F4A7C15 + 1),
      shape_(draw_shape(random_)),
      broker_(draw_options(random_, shape_)),
      ledger_(broker_.clock()),
      stage_{broker_, ledger_, shape_, random_} {
  for (unsigned i = 0; i < shape_.durable_queues; ++i) {
    ledger_.add_queue(fmt::format("durable.{}", i), true);
  }
  ledger_.add_queue("passing", false);
  for (const SimFeatures& features : shape_.staying) {
    ledger_.add_queue(fmt::format("staying.{}", ledger_.queue_count()), true, features);
  }
  if (!shape_.staying.empty()) declare_staying();
  broker_.after_turn = [this] { note(); };
}

void Simulation::trace(SimMessageId id) {
  ledger_.trace(id);
  for (SimQueueIndex i = 0; id != 0 && i < ledger_.queue_count(); ++i) {
    const SimLedger::Queue& queue = ledger_.queue(i);
    const SimFeatures& features = queue.features;
    fmt::print(stderr, "{}: priority {} ttl {} length {}{} limit {} dead letters {}\n", queue.name,
               features.max_priority, features.ttl_ms == kNever ? -1 : features.ttl_ms,
               features.max_length, features.refuses ? " refuses" : "",
               features.delivery_limit ? static_cast<int>(*features.delivery_limit) : -1,
               features.dead_letters.has_value());
  }
}

std::string Simulation::run(unsigned steps) {
  for (unsigned i = 0; i < steps && ledger_.ok(); ++i) one_step();
  // Whatever waits for its time comes out.
  broker_.clock().advance(std::chrono::seconds(1));
  rest();
  drain_all();
  // What was settled does not come back after a clean stop, nor, committed as it is, after a crash.
  for (int i = 0; i < 2 && ledger_.ok(); ++i) {
    if (i == 0) {
      restart();
    } else {
      crash();
    }
    rest();
    drain_all();
  }
  return ledger_.failure();
}

void Simulation::one_step() {
  if (actors_.size() < shape_.actors && stage_.chance(5)) add_actor();
  const std::uint64_t roll = stage_.draw(1000);
  if (roll < 30 && !actors_.empty()) {
    broker_.clock().advance(std::chrono::milliseconds(stage_.draw(stage_.chance(5) ? 200 : 6)));
  } else if (roll < 400 && !actors_.empty()) {
    actors_[stage_.draw(actors_.size())]->act();
  } else if (roll < 997) {
    broker_.step();
  } else {
    disturb();
  }
  note();
}

void Simulation::disturb() {
  const std::uint64_t roll = stage_.draw(100);
  if (roll < 35) return crash();
  if (roll < 55) return restart();
  rest();
  if (roll < 70) drain_all();
}

void Simulation::add_actor() {
  const auto shard = static_cast<ShardIndex>(stage_.draw(shape_.shards));
  actors_.push_back(std::make_unique<SimActor>(stage_, next_actor_++, shard));
}

void Simulation::note() {
  const auto drop_gone = [this] {
    std::erase_if(actors_, [](const auto& actor) { return actor->gone(); });
  };
  drop_gone();
  for (const auto& actor : actors_) actor->note_taken();
  for (const auto& actor : actors_) actor->note_lost_channels();
  for (const auto& actor : actors_) actor->note_received();
  drop_gone();
}

void Simulation::settle() {
  for (int round = 0; round < 2; ++round) {
    for (const auto& actor : actors_) actor->resume_reading();
    broker_.settle();
  }
}

void Simulation::rest() {
  if (!ledger_.ok()) return;
  settle();
  if (!ledger_.ok()) return;
  check_rest();
  resolve_topology();
  ledger_.rested();
  for (const auto& actor : actors_) actor->note_consumed_queues();
  for (SimQueueIndex i = 0; i < ledger_.queue_count() && ledger_.ok(); ++i) check_counts(i);
}

void Simulation::check_rest() {
  for (const auto& actor : actors_) {
    const std::string missing = actor->unfinished();
    if (!missing.empty()) return ledger_.fail("at rest: " + missing);
  }
  if (broker_.backlog() != 0) {
    ledger_.fail(fmt::format("at rest: a backlog of {} bytes", broker_.backlog()));
  }
}

bool Simulation::exists(SimQueueIndex index) {
  const std::string& name = ledger_.queue(index).name;
  const bool first = broker_.shard(0).topology().find_vhost("/")->find_queue(name) != nullptr;
  for (ShardIndex shard = 1; shard < shape_.shards; ++shard) {
    const bool there = broker_.shard(shard).topology().find_vhost("/")->find_queue(name) != nullptr;
    if (there != first) ledger_.fail(fmt::format("shards disagree about queue '{}'", name));
  }
  return first;
}

bool Simulation::bound(SimQueueIndex index, int binding) {
  storage::BindingDefinition definition;
  definition.vhost = "/";
  definition.source = "amq.direct";
  definition.destination = ledger_.queue(index).name;
  definition.routing_key = binding_key(binding);
  const broker::Vhost* const vhost = broker_.shard(0).topology().find_vhost("/");
  return vhost->find_exchange("amq.direct")->find_binding(definition) != nullptr;
}

void Simulation::resolve_topology() {
  for (SimQueueIndex i = 0; i < ledger_.queue_count(); ++i) {
    const bool there = exists(i);
    ledger_.resolve(i, there);
    for (std::size_t binding = 0; there && binding < shape_.fan_outs.size(); ++binding) {
      const auto& queues = shape_.fan_outs[binding];
      if (std::find(queues.begin(), queues.end(), i) == queues.end()) continue;
      ledger_.resolve_binding(i, static_cast<int>(binding), bound(i, static_cast<int>(binding)));
    }
  }
}

// What is in the queue, for who reads a failure: it is empty afterwards.
std::string Simulation::contents(SimClient& client, const std::string& queue) {
  std::string text = "\n  there:";
  while (true) {
    client.call(1, BasicGet{.queue = queue, .no_ack = true});
    const Received received = client.take();
    PropertiesView properties;
    if (!std::holds_alternative<BasicGetOk>(received.method) ||
        !parse_properties(received.properties, properties)) {
      return text;
    }
    text += fmt::format(" {}", properties.message_id ? properties.message_id->value : "?");
  }
}

// The broker's own counts, and consumers that could be served and are not.
void Simulation::check_counts(SimQueueIndex index) {
  const SimLedger::Queue& queue = ledger_.queue(index);
  if (queue.existence != Existence::present) return;
  SimClient& client = broker_.connect(static_cast<ShardIndex>(stage_.draw(shape_.shards)));
  // Time passes until the answer is there: some may leave meanwhile, and be taken elsewhere.
  SimLedger::Counts ready = ledger_.ready(index);
  client.call(1, QueueDeclare{.queue = queue.name, .passive = true});
  const Received received = client.take();
  const auto* const ok = std::get_if<QueueDeclareOk>(&received.method);
  ready.widen(ledger_.ready(index));
  unsigned consumers = 0;
  bool could_take = false;
  for (const auto& actor : actors_) {
    consumers += actor->consumers_of(index);
    could_take |= actor->could_take_from(index);
  }
  if (ok == nullptr) {
    ledger_.fail(fmt::format("at rest: '{}' {}", queue.name, SimClient::describe(received)));
  } else if (ok->message_count < ready.min || ok->message_count > ready.max) {
    ledger_.fail(fmt::format("at rest: '{}' says {} messages are ready, expected {} to {}{}",
                             queue.name, ok->message_count, ready.min, ready.max,
                             ledger_.list(index) + contents(client, queue.name)));
  } else if (ok->consumer_count != consumers) {
    ledger_.fail(fmt::format("at rest: '{}' says {} consumers, expected {}", queue.name,
                             ok->consumer_count, consumers));
  } else if (could_take && ok->message_count > ready.late) {
    ledger_.fail(fmt::format("at rest: '{}' has {} messages ready and a consumer with room",
                             queue.name, ok->message_count));
  } else if (queue.features.max_length > 0 && !queue.features.refuses &&
             ok->message_count > queue.features.max_length) {
    ledger_.fail(fmt::format("at rest: '{}' has {} messages ready, above its limit", queue.name,
                             ok->message_count));
  }
  broker_.disconnect(client);
  broker_.settle();
}

void Simulation::crash() {
  for (const auto& actor : actors_) actor->abandon();
  actors_.clear();
  broker_.crash();
  check_disk();
  ledger_.crashed();
  broker_.start();
  resolve_topology();
}

// What a power loss leaves fits together (S5, S6, S15): checked from outside, before a start.
void Simulation::check_disk() {
  storage::MemoryStore disk(broker_.shared_disk());
  const auto checked = storage::check_store(disk);
  if (!checked.ok()) return ledger_.fail("on disk: " + checked.error().text);
  for (const std::string& problem : checked->problems) {
    // Between the removal of a definition and that of its logs.
    if (problem.find("belongs to no queue") == std::string::npos) {
      ledger_.fail("on disk: " + problem);
    }
  }
}

void Simulation::restart() {
  for (const auto& actor : actors_) actor->abandon();
  actors_.clear();
  broker_.stop();
  ledger_.stopped();
  broker_.start();
  resolve_topology();
}

void Simulation::drain_all() {
  if (!ledger_.ok()) return;
  for (const auto& actor : actors_) actor->vanish();
  actors_.clear();
  rest();
  for (SimQueueIndex i = 0; i < ledger_.queue_count() && ledger_.ok(); ++i) drain(i);
}

// With one consumer and nobody else about, everything comes in order, whatever happened before:
// what was delivered once first (B1).
void Simulation::drain(SimQueueIndex index) {
  const SimLedger::Queue& queue = ledger_.queue(index);
  if (queue.existence != Existence::present) return;
  SimClient& client = broker_.connect(static_cast<ShardIndex>(stage_.draw(shape_.shards)));
  client.call(1, BasicQos{.prefetch_count = static_cast<std::uint16_t>(stage_.draw(50))});
  client.expect<BasicQosOk>(1);
  client.call(1, BasicConsume{.queue = queue.name, .consumer_tag = "drain"});
  client.expect<BasicConsumeOk>(1);
  drained_last_.clear();
  drained_fresh_.clear();
  drained_lane_ = UINT_MAX;
  while (client.has_received() && ledger_.ok()) {
    std::uint64_t tag = 0;
    while (client.has_received() && ledger_.ok()) {
      const Received received = client.take();
      if (const auto* const deliver = std::get_if<BasicDeliver>(&received.method)) {
        tag = deliver->delivery_tag;
      }
      drain_delivery(index, received);
    }
    client.call(1, BasicAck{.delivery_tag = tag, .multiple = true});
  }
  if (ledger_.ok()) ledger_.drained(index);
  broker_.disconnect(client);
  broker_.settle();
  ledger_.rested();
  check_counts(index);
}

void Simulation::drain_delivery(SimQueueIndex index, const Received& received) {
  const auto* const deliver = std::get_if<BasicDeliver>(&received.method);
  if (deliver == nullptr) return ledger_.fail("drain: " + SimClient::describe(received));
  PropertiesView properties;
  SimMessageId id = 0;
  if (parse_properties(received.properties, properties) && properties.message_id) {
    const std::string_view text = *properties.message_id;
    std::from_chars(text.data(), text.data() + text.size(), id);
  }
  if (!ledger_.known(id)) return ledger_.fail("drain: a message that nobody sent");
  if (received.body != sim_body(id, ledger_.body_size(id))) {
    return ledger_.fail(fmt::format("drain: message {} with other bytes (R5)", id));
  }
  if (ledger_.ordered(id, index)) check_drained_order(id, index, deliver->redelivered);
  ledger_.delivered(id, index, kDrainHolder, deliver->redelivered);
  ledger_.settled(id, index);
}

void Simulation::check_drained_order(SimMessageId id, SimQueueIndex index, bool redelivered) {
  const std::string& queue = ledger_.queue(index).name;
  const unsigned lane = ledger_.lane(id, index);
  if (lane > drained_lane_) {
    return ledger_.fail(fmt::format("drain: message {} of priority {} after {} from '{}'", id, lane,
                                    drained_lane_, queue));
  }
  drained_lane_ = lane;
  SimMessageId& last = drained_last_[{ledger_.publisher(id), lane}];
  if (id <= last) {
    return ledger_.fail(fmt::format("drain: message {} after {} from '{}' (R15)", id, last, queue));
  }
  last = id;
  if (redelivered && drained_fresh_.contains(lane)) {
    return ledger_.fail(fmt::format("drain: redelivered message {} after fresh ones (B1)", id));
  }
  if (!redelivered) drained_fresh_.insert(lane);
}

}  // namespace warren::test
