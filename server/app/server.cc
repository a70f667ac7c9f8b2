// SPDX-License-Identifier: Apache-2.0
#include "server/app/server.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <future>
#include <random>
#include <string_view>
#include <thread>

#include <fmt/format.h>
#include <unistd.h>

#include "storage/base/assert.h"
#include "storage/base/log.h"
#include "storage/base/units.h"

#include "server/app/first_definitions.h"
#include "server/broker/recovered_topology.h"

namespace warren::app {
namespace {

constexpr auto kGoodbyeTimeout = std::chrono::seconds(5);
constexpr std::string_view kShutdownReason =
    "broker forced connection closure with reason 'shutdown'";
// Rounds in which every shard drains what the others sent it. A message causes others at most this
// deep (session -> queue -> control -> every shard -> control -> session).
constexpr int kQuiesceRounds = 8;
constexpr auto kQuiesceTimeout = std::chrono::seconds(5);

session::SessionLimits session_limits(const config::Config& config) {
  session::SessionLimits limits;
  limits.frame_max = config.frame_max;
  limits.channel_max = config.channel_max;
  limits.heartbeat_s = config.heartbeat;
  limits.message_bytes_max = config.max_message_size;
  limits.consumers_per_channel_max = config.consumer_max_per_channel;
  limits.handshake_timeout = std::chrono::milliseconds(config.handshake_timeout_ms);
  limits.product = config.compat_product;
  limits.version = config.compat_version;
  return limits;
}

// What the store needs to come to rest when no more is published: a flush, and the log it replaces.
std::uint64_t disk_free_limit(const config::Config& config) {
  if (config.disk_free_limit == 0) return 0;
  return std::max<std::uint64_t>(config.disk_free_limit, 2 * config.write_buffer_mb * 1_MiB);
}

broker::BrokerLimits broker_limits(const config::Config& config) {
  broker::BrokerLimits limits;
  limits.queue_window_bytes = config.queue_window_kb * 1_KiB;
  limits.windows_bytes_per_shard = config.queue_windows_mb * 1_MiB / config.threads;
  limits.queues_max = config.queue_max;
  limits.transient_bytes_per_shard = config.transient_memory_mb * 1_MiB / config.threads;
  return limits;
}

}  // namespace

Server::Server(const config::Config& config)
    : config_(config),
      limits_(session_limits(config)),
      gauges_(config.threads),
      disk_alarm_(disk_free_limit(config)) {}

Server::~Server() {
  listeners_.clear();
  loops_.clear();  // sessions go first
}

Status Server::open_store() {
  storage::StoreOptions options;
  options.directory = config_.data_dir;
  options.shard_count = config_.threads;
  options.block_cache_bytes = config_.block_cache_mb * 1_MiB;
  options.write_buffer_bytes = config_.write_buffer_mb * 1_MiB;
  options.direct_io = config_.direct_io;
  options.idle_commit_delay = std::chrono::milliseconds(config_.idle_commit_ms);
  WARREN_TRY(store_, storage::Store::open(options));
  store_->on_failure([](const Error& error) {
    // S10: nothing is confirmed any more. A restart recovers; going on could only lie.
    WLOG(critical, "storage failed, the broker stops error='{}'", error.text);
    spdlog::default_logger()->flush();
    ::_exit(1);
  });
  const storage::RecoveryReport& report = store_->recovery_report();
  WLOG(info,
       "store opened data_dir='{}' created={} clean_stop={} logs={} messages={} "
       "orphan_logs_dropped={} took_ms={}",
       config_.data_dir, report.created, report.clean_stop, report.logs, report.messages,
       report.orphan_logs_dropped, report.took_ms);
  make_shards();
  load();
  return {};
}

void Server::make_shards() {
  std::vector<net::ShardLoop*> loops;
  for (unsigned i = 0; i < config_.threads; ++i) {
    loops_.push_back(std::make_unique<net::ShardLoop>());
    loops.push_back(loops_.back().get());
  }
  link_ = std::make_unique<net::ThreadLink>(loops);
  std::random_device entropy;
  for (unsigned i = 0; i < config_.threads; ++i) {
    auto shard = std::make_unique<Shard>();
    broker::BrokerShardParts parts;
    parts.self = i;
    parts.shard_count = config_.threads;
    parts.link = link_.get();
    parts.gauges = &gauges_;
    parts.store = &store_->shard(i);
    parts.new_log_ids = [this](std::uint32_t count) { return store_->new_log_ids(count); };
    parts.clock = &clock_;
    parts.limits = broker_limits(config_);
    shard->broker = std::make_unique<broker::BrokerShard>(std::move(parts));
    auth::UserStore* const users = &shard->users;
    shard->broker->on_access_changed = [users](const storage::DefinitionChange& change) {
      users->apply(change);
    };
    store_->shard(i).attach(*loops[i], *shard->broker);
    net::ShardLoopParts loop_parts;
    loop_parts.broker = shard->broker.get();
    loop_parts.users = users;
    loop_parts.limits = &limits_;
    loop_parts.clock = &clock_;
    loop_parts.random_seed = (static_cast<std::uint64_t>(entropy()) << 32) | entropy();
    loops[i]->set_parts(loop_parts);
    shards_.push_back(std::move(shard));
  }
}

void Server::bootstrap(std::vector<storage::Definition>& definitions) {
  const bool has_vhost = std::any_of(
      definitions.begin(), definitions.end(), [](const storage::Definition& definition) {
        return std::holds_alternative<storage::VhostDefinition>(definition);
      });
  if (has_vhost) return;
  std::vector<storage::DefinitionChange> changes;
  for (storage::Definition& definition : first_definitions()) {
    changes.push_back({storage::DefinitionChange::Kind::put, definition});
    definitions.push_back(std::move(definition));
  }
  // Committed with the first turn; if the process dies before, the next start makes them again.
  store_->shard(broker::BrokerShard::kControlShard).change_definitions(std::move(changes), nullptr);
}

void Server::load() {
  std::vector<storage::Definition> definitions = store_->take_definitions();
  bootstrap(definitions);
  boost::unordered_flat_map<broker::QueueId, storage::LogState> states;
  for (storage::LogState& state : store_->take_log_states()) states.emplace(state.id, state);
  const auto changes = broker::recovered_topology(std::move(definitions), config_.threads);
  // Each touches its own shard, and reads what they share.
  std::vector<std::thread> others;
  for (std::size_t i = 1; i < shards_.size(); ++i) {
    others.emplace_back([&, i] { shards_[i]->broker->load(changes, states); });
  }
  shards_.front()->broker->load(changes, states);
  for (std::thread& other : others) other.join();
}

Status Server::listen() {
  std::vector<net::ShardLoop*> loops;
  for (const auto& loop : loops_) loops.push_back(loop.get());
  for (const config::ListenAddress& address : config_.listen) {
    auto listener = std::make_unique<net::Listener>(loops);
    WARREN_CHECK(listener->open(address.host, address.port));
    listeners_.push_back(std::move(listener));
  }
  return {};
}

std::vector<std::string> Server::start() {
  running_ = true;
  std::vector<std::string> addresses;
  for (const auto& listener : listeners_) {
    for (std::string& address : listener->addresses()) addresses.push_back(std::move(address));
    listener->start();
  }
  for (const auto& loop : loops_) loop->start();
  return addresses;
}

Duration Server::watch_disk() {
  constexpr auto kFarInterval = std::chrono::seconds(1);
  constexpr auto kNearInterval = std::chrono::milliseconds(100);
  constexpr std::uint64_t kNearBytes = 2_GiB;
  if (disk_alarm_.limit() == 0) return kFarInterval;
  std::error_code error;
  const auto space = std::filesystem::space(config_.data_dir, error);
  if (error) {
    if (!disk_unknown_) {
      WLOG(error,
           "free space cannot be read, the disk alarm stands as it is data_dir='{}' error='{}'",
           config_.data_dir, error.message());
    }
    disk_unknown_ = true;
    return kFarInterval;
  }
  disk_unknown_ = false;
  if (disk_alarm_.update(space.available)) {
    if (disk_alarm_.raised()) {
      WLOG(warn, "disk alarm raised, publishers are blocked free_bytes={} limit_bytes={}",
           space.available, disk_alarm_.limit());
    } else {
      WLOG(warn, "disk alarm cleared, publishers go on free_bytes={} limit_bytes={}",
           space.available, disk_alarm_.limit());
    }
  }
  gauges_.set_disk(space.available, disk_alarm_.raised());
  const bool near = space.available < disk_alarm_.limit() + kNearBytes;
  return near ? Duration(kNearInterval) : Duration(kFarInterval);
}

Status Server::stop() {
  if (running_) {
    running_ = false;
    loops_.front()->run_and_wait([this] {
      for (const auto& listener : listeners_) listener->close();
    });
    std::vector<std::future<void>> gone;
    for (const auto& loop : loops_) {
      gone.push_back(loop->all_gone());
      loop->run_and_wait([&loop] { loop->close_connections(kShutdownReason); });
    }
    const auto deadline = std::chrono::steady_clock::now() + kGoodbyeTimeout;
    for (const std::future<void>& one : gone) one.wait_until(deadline);
    bring_to_rest();
    for (const auto& loop : loops_) loop->stop();
  }
  return store_ == nullptr ? Status{} : store_->close();
}

// What clients settled before they left is on its way between shards: let it arrive. A publish of
// several shards may wait for a commit that is being written: let it have its own (S4).
void Server::bring_to_rest() {
  const auto deadline = std::chrono::steady_clock::now() + kQuiesceTimeout;
  bool at_rest = false;
  for (int round = 0; round < kQuiesceRounds || !at_rest; ++round) {
    if (round >= kQuiesceRounds && std::chrono::steady_clock::now() > deadline) break;
    at_rest = true;
    for (std::size_t i = 0; i < loops_.size(); ++i) {
      loops_[i]->run_and_wait([&] { at_rest = at_rest && shards_[i]->broker->at_rest(); });
    }
  }
}

}  // namespace warren::app
