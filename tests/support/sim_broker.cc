// SPDX-License-Identifier: Apache-2.0
#include "tests/support/sim_broker.h"

#include <algorithm>

#include "storage/base/assert.h"
#include "storage/base/log.h"

#include "server/auth/password.h"
#include "server/broker/recovered_topology.h"

#include "tests/support/sim_client.h"

namespace warren::test {

struct SimBroker::Link final : broker::ShardLink {
  explicit Link(SimBroker& owner) : sim(owner) {}
  void send(ShardIndex from, ShardIndex to, std::vector<broker::ShardMessage> batch) override {
    sim.shards_[to]->inboxes[from].push_back(std::move(batch));
  }
  SimBroker& sim;
};

SimBroker::SimBroker(SimOptions options)
    : options_(std::move(options)),
      random_(options_.seed),
      disk_(std::make_shared<storage::MemoryDisk>()) {
  spdlog::set_level(spdlog::level::off);  // thousands of refusals a second are what tests are for
  start();
}

SimBroker::~SimBroker() {
  clients_.clear();
  shards_.clear();
}

void SimBroker::start() {
  WARREN_ASSERT(store_ == nullptr);
  storage::StoreOptions store_options = options_.store_options;
  store_options.shard_count = options_.shards;
  auto opened = storage::StoreImpl::open_on(std::make_unique<storage::MemoryStore>(disk_), "sim",
                                            store_options, storage::Drive::steps);
  WARREN_ASSERT(opened.ok());
  store_ = opened.take();
  gauges_ = std::make_unique<broker::ShardGauges>(options_.shards);
  link_ = std::make_unique<Link>(*this);
  for (unsigned i = 0; i < options_.shards; ++i) {
    auto shard = std::make_unique<Shard>();
    shard->inboxes.resize(options_.shards);
    broker::BrokerShardParts parts;
    parts.self = i;
    parts.shard_count = options_.shards;
    parts.link = link_.get();
    parts.gauges = gauges_.get();
    parts.store = &store_->shard(i);
    parts.new_log_ids = [this](std::uint32_t count) { return store_->new_log_ids(count); };
    parts.clock = &clock_;
    parts.limits = options_.broker_limits;
    shard->broker = std::make_unique<broker::BrokerShard>(std::move(parts));
    auth::UserStore* const users = &shard->users;
    shard->broker->on_access_changed = [users](const storage::DefinitionChange& change) {
      users->apply(change);
    };
    store_->shard(i).attach(shard->executor, *shard->broker);
    shards_.push_back(std::move(shard));
  }
  load();
}

// Users and the vhost are made anew each time; all else comes from the disk.
void SimBroker::load() {
  storage::UserDefinition guest;
  guest.name = "guest";
  guest.password_hash = auth::hash_password("guest", auth::Salt{'s', 'a', 'l', 't'});
  guest.hashing_algorithm = auth::kHashingSha256;
  guest.tags = {"administrator"};
  std::vector<storage::Definition> definitions = store_->take_definitions();
  definitions.insert(definitions.end(),
                     {storage::VhostDefinition{"/"}, guest,
                      storage::PermissionDefinition{"guest", "/", ".*", ".*", ".*"}});
  const auto changes = broker::recovered_topology(std::move(definitions), options_.shards);
  boost::unordered_flat_map<broker::QueueId, storage::LogState> states;
  for (const storage::LogState& state : store_->take_log_states()) states.emplace(state.id, state);
  for (const auto& shard : shards_) shard->broker->load(changes, states);
}

SimClient& SimBroker::connect_raw(ShardIndex shard) {
  clients_.push_back(std::make_unique<SimClient>(*this, shard));
  return *clients_.back();
}

SimClient& SimBroker::connect(ShardIndex shard) {
  SimClient& client = connect_raw(shard);
  client.handshake();
  client.open_channel(1);
  return client;
}

void SimBroker::disconnect(SimClient& client) {
  client.session().on_disconnect();
  std::erase_if(clients_, [&client](const auto& one) { return one.get() == &client; });
}

std::size_t SimBroker::draw_part(std::size_t whole, bool partial) {
  if (!partial || whole == 0) return whole;
  // All of it most of the time, so that a run gets somewhere.
  return random_() % 4 != 0 ? whole : random_() % (whole + 1);
}

bool SimBroker::run_shard(ShardIndex index, bool partial) {
  Shard& shard = *shards_[index];
  bool worked = shard.broker->has_work();
  for (std::size_t n = draw_part(shard.executor.queue.size(), partial); n > 0; --n) {
    const auto function = std::move(shard.executor.queue.front());
    shard.executor.queue.pop_front();
    function();
    worked = true;
  }
  for (ShardIndex from = 0; from < options_.shards; ++from) {
    auto& inbox = shard.inboxes[from];
    for (std::size_t n = draw_part(inbox.size(), partial); n > 0; --n) {
      shard.broker->receive(from, std::move(inbox.front()));
      inbox.pop_front();
      worked = true;
    }
  }
  const Instant next = shard.broker->run_turn(clock_.now());
  for (const auto& client : clients_) {
    if (client->shard() != index) continue;
    if (client->move_bytes(draw_part(client->unsent_bytes(), partial))) worked = true;
  }
  if (after_turn) after_turn();
  return worked || next <= clock_.now();
}

void SimBroker::settle() {
  bool worked = true;
  int idle_rounds = 0;
  // What an alarm did in an idle round is still to be committed.
  const auto uncommitted = [this] { return !options_.manual_commit && backlog() > 0; };
  // A queue lets its publishers go on after a while.
  const auto held = [](const auto& client) {
    return client->unsent_bytes() > 0 && client->session().held_by_queue();
  };
  const auto unfinished = [&] {
    return uncommitted() || std::any_of(clients_.begin(), clients_.end(), held);
  };
  while (worked || idle_rounds < 2 || (idle_rounds < 100 && unfinished())) {
    worked = false;
    for (ShardIndex i = 0; i < options_.shards; ++i) worked |= run_shard(i, false);
    if (!options_.manual_commit && store_->step_commit()) worked = true;
    while (store_->step_read()) worked = true;
    if (worked) {
      idle_rounds = 0;
    } else {
      ++idle_rounds;
      clock_.advance(options_.store_options.idle_commit_delay);
    }
  }
}

bool SimBroker::step() {
  const auto draw = static_cast<ShardIndex>(random_() % (options_.shards + 3));
  if (draw == options_.shards) return store_->step_commit();
  if (draw == options_.shards + 1) return store_->begin_read();
  if (draw == options_.shards + 2) return store_->end_read();
  return run_shard(draw, true);
}

bool SimBroker::commit() {
  return store_->step_commit();
}

void SimBroker::advance(Duration by) {
  clock_.advance(by);
  for (const auto& client : clients_) client->session().on_tick(clock_.now());
  settle();
}

void SimBroker::drop_clients() {
  clients_.clear();
}

void SimBroker::crash() {
  drop_clients();
  store_.reset();
  shards_.clear();
  disk_->lose_unsynced();
}

void SimBroker::stop() {
  for (const auto& client : clients_) client->session().on_disconnect();
  settle();
  drop_clients();
  const Status closed = store_->close();
  WARREN_ASSERT(closed.ok());
  store_.reset();
  shards_.clear();
}

}  // namespace warren::test
