// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/sim_world.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "storage/base/assert.h"
#include "storage/inspect/store_check.h"

#include "tests/conformance/runner.h"
#include "tests/support/sim_client.h"

namespace warren::conformance {
namespace {

constexpr Duration kSlice = std::chrono::milliseconds(100);
constexpr unsigned kRandomStepsMax = 24;

// What any client may ask of a broker, whatever others have done to it.
constexpr std::string_view kService = R"(
case ServesANewClient
  open z
  call z.1 queue.declare queue="sanity" durable -> message-count=0 consumer-count=0
  call z.1 confirm.select
  publish z.1 key="sanity" delivery-mode=2 body="still here"
  confirms z.1 ack=[1]
  get z.1 queue="sanity" -> body="still here" message-count=0 !redelivered
  send z.1 basic.ack tag=1
  call z.1 queue.delete queue="sanity" -> message-count=0
  bye z
)";

test::SimOptions options(unsigned shards, std::uint64_t seed) {
  test::SimOptions options;
  options.shards = shards;
  options.seed = seed;
  return options;
}

}  // namespace

class SimTransport final : public Transport {
 public:
  SimTransport(SimWorld& world, test::SimClient& client)
      : world_(world), client_(client), generation_(world.generation_) {
    client_.on_output = [this](Bytes bytes) { in_.append(bytes); };
  }
  ~SimTransport() override {
    if (generation_ == world_.generation_) world_.broker_.disconnect(client_);
  }
  void send(Bytes bytes) override { client_.send_bytes(bytes); }
  bool receive(std::string& in, Duration) override {
    world_.settle();
    in += in_;
    return !std::exchange(in_, {}).empty();
  }
  bool closed() override { return in_.empty() && client_.closed_by_server(); }

 private:
  SimWorld& world_;
  test::SimClient& client_;
  unsigned generation_;
  std::string in_;
};

SimWorld::SimWorld(unsigned shards, std::uint64_t seed) : broker_(options(shards, seed)) {}

SimWorld::~SimWorld() = default;

std::unique_ptr<Transport> SimWorld::connect() {
  const unsigned shards = broker_.options().shards;
  return std::make_unique<SimTransport>(*this, broker_.connect_raw(++connections_ % shards));
}

void SimWorld::settle() {
  if (broker_.options().shards > 1) {
    for (auto steps = broker_.random()() % kRandomStepsMax; steps > 0; --steps) broker_.step();
  }
  broker_.settle();
}

// In slices, so that what one deadline sets off can meet the next.
void SimWorld::wait(Duration duration) {
  settle();
  while (duration > Duration::zero()) {
    const Duration slice = std::min(duration, kSlice);
    broker_.advance(slice);
    duration -= slice;
  }
}

void SimWorld::restart() {
  broker_.stop();
  broker_.start();
  ++generation_;
}

void SimWorld::crash() {
  broker_.crash();
  broker_.start();
  ++generation_;
}

std::string SimWorld::check_sanity() {
  settle();
  if (std::string why = check_left_behind(); !why.empty()) return why;
  const auto service = read_cases(kService, "sanity");
  WARREN_ASSERT(service.ok());
  if (std::string why = Runner(*this, service.value().front()).run(); !why.empty()) return why;
  return check_store();
}

// Exclusive queues, consumers and unacked messages of connections that are gone.
std::string SimWorld::check_left_behind() {
  for (ShardIndex i = 0; i < broker_.options().shards; ++i) {
    if (const std::size_t sessions = broker_.shard(i).session_count(); sessions != 0) {
      return fmt::format("{} sessions are left on shard {}", sessions, i);
    }
  }
  const broker::Vhost* const vhost = broker_.shard(0).topology().find_vhost("/");
  WARREN_ASSERT(vhost != nullptr);
  std::vector<std::string> names;
  for (const auto& [name, queue] : vhost->queues) {
    if (queue->definition->exclusive) return fmt::format("exclusive queue '{}' is left", name);
    names.push_back(name);
  }
  test::SimClient& client = broker_.connect();
  std::string why;
  for (const std::string& name : names) {
    client.send(1, amqp::QueueDeclare{.queue = name, .passive = true});
    broker_.settle();
    const test::Received answer = client.take();
    const auto* const ok = std::get_if<amqp::QueueDeclareOk>(&answer.method);
    if (ok == nullptr) break;  // it has expired meanwhile
    if (ok->consumer_count != 0) why = fmt::format("queue '{}' has a consumer", name);
  }
  broker_.disconnect(client);
  return why;
}

std::string SimWorld::check_store() {
  broker_.stop();
  storage::MemoryStore store(broker_.shared_disk());
  const auto checked = storage::check_store(store);
  if (!checked.ok()) return checked.error().text;
  return checked.value().problems.empty() ? std::string() : checked.value().problems.front();
}

}  // namespace warren::conformance
