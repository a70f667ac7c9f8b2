// SPDX-License-Identifier: Apache-2.0
#include "server/net/shard_loop.h"

#include <algorithm>
#include <chrono>
#include <future>

#include <boost/asio/post.hpp>

#include "storage/base/assert.h"
#include "storage/base/log.h"
#include "storage/base/units.h"

namespace warren::net {
namespace {

namespace asio = boost::asio;

// Read at once from one socket; more than the largest frame that is left over from the read before.
constexpr std::size_t kReadBytes = 256_KiB;
constexpr auto kTickInterval = std::chrono::milliseconds(500);
// While publishers are held back, how often the backlog is looked at.
constexpr auto kThrottleInterval = std::chrono::milliseconds(2);
// Handlers run at once at most.
constexpr int kHandlersAtOnce = 256;
// How often it is looked who is ready between two turns at most, and how many are read each time.
constexpr int kPassesPerTurn = 8;
constexpr int kReadsPerPass = 64;
// Read between two turns at most, of publishers and of the others: a fast publisher must not outrun
// the deliveries, which are made once per turn.
constexpr std::size_t kInputPerTurnBytes = 256_KiB;
// Of it each of many publishers gets at least this much: less costs more system calls and turns
// (16 KiB: 15 % fewer messages from 300 publishers).
constexpr std::size_t kShareBytesMin = 64_KiB;
// The last read of a turn asks for so much at least.
constexpr std::size_t kReadBytesMin = 16_KiB;
// After so much of publishers' input it is looked whether somebody else waits for the next turn.
constexpr std::size_t kLookBytes = 64_KiB;

}  // namespace

ShardLoop::ShardLoop()
    : keep_running_(asio::make_work_guard(io_)), tick_(io_), read_buffer_(kReadBytes) {}

ShardLoop::~ShardLoop() {
  stop();
}

void ShardLoop::set_parts(const ShardLoopParts& parts) {
  parts_ = parts;
  random_.seed(parts_.random_seed);
}

void ShardLoop::start() {
  WARREN_ASSERT(parts_.broker != nullptr);
  arm_tick();
  thread_ = std::thread([this] { run(); });
}

void ShardLoop::stop() {
  if (!thread_.joinable()) return;
  post([this] { stopping_ = true; });
  thread_.join();
}

void ShardLoop::post(std::function<void()> function) {
  asio::post(io_, std::move(function));
}

void ShardLoop::wake() {
  asio::post(io_, [] {});
}

void ShardLoop::run_and_wait(std::function<void()> function) {
  std::promise<void> done;
  post([&] {
    function();
    done.set_value();
  });
  done.get_future().wait();
}

void ShardLoop::run() {
  while (!stopping_) {
    const Instant next = turn();
    if (stopping_) break;
    wait(next);
  }
  ready_.clear();
  ready_publishers_.clear();
  connections_.clear();
}

// One turn of everything that does not wait. Returns when to come again.
Instant ShardLoop::turn() {
  broker::BrokerShard& broker = *parts_.broker;
  for (Mailbox::Batch& batch : mailbox_.take()) {
    broker.receive(batch.from, std::move(batch.messages));
  }
  Instant next = broker.run_turn(parts_.clock->now());

  std::vector<std::shared_ptr<Connection>> list;
  list.swap(to_flush_);
  for (const auto& connection : list) connection->flush();
  list.clear();
  list.swap(to_feed_);
  const bool fed = !list.empty();
  for (const auto& connection : list) connection->feed();
  resume_throttled();

  // What was written and fed may have said things to the store and to other shards: another turn
  // hands them over.
  const bool more = fed || broker.has_work() || broker.has_output();
  if (more || !to_flush_.empty() || !to_feed_.empty()) return Instant::min();
  if (!throttled_.empty()) next = std::min(next, parts_.clock->now() + kThrottleInterval);
  return next;
}

void ShardLoop::wait(Instant until) {
  if (!ready_.empty() || !ready_publishers_.empty()) until = Instant::min();
  if (until == Instant::max()) {
    io_.run_one();
  } else if (until != Instant::min()) {
    io_.run_one_until(until);
  }
  read_ready();
}

void ShardLoop::run_ready_handlers() {
  for (int i = 0; i < kHandlersAtOnce; ++i) {
    if (io_.poll_one() == 0) return;
  }
}

void ShardLoop::read_ready() {
  other_input_ = publisher_input_ = 0;
  for (int pass = 0; pass < kPassesPerTurn; ++pass) {
    run_ready_handlers();
    if (ready_.empty() && ready_publishers_.empty()) return;
    const bool more_of_others = read_others();
    if (!read_publishers() || !more_of_others) return;
  }
}

// False: it is enough for one turn.
bool ShardLoop::read_others() {
  for (int reads = 0; !ready_.empty(); ++reads) {
    if (reads == kReadsPerPass || other_input_ >= kInputPerTurnBytes) return false;
    read_next(ready_, kInputPerTurnBytes, other_input_);
  }
  return true;
}

// False: it is enough for one turn, or somebody else became ready for the next one. One is read in
// any case.
bool ShardLoop::read_publishers() {
  std::size_t look_at = publisher_input_ + kLookBytes;
  for (int reads = 0; !ready_publishers_.empty(); ++reads) {
    if (reads == kReadsPerPass || publisher_input_ >= kInputPerTurnBytes) return false;
    const std::size_t share = kInputPerTurnBytes / ready_publishers_.size();
    read_next(ready_publishers_, std::max(share, kShareBytesMin), publisher_input_);
    if (publisher_input_ < look_at) continue;
    look_at = publisher_input_ + kLookBytes;
    run_ready_handlers();
    if (!ready_.empty()) return false;
  }
  return true;
}

void ShardLoop::read_next(std::deque<std::shared_ptr<Connection>>& ready, std::size_t share,
                          std::size_t& input) {
  const std::size_t left = kInputPerTurnBytes - input;
  const std::shared_ptr<Connection> connection = std::move(ready.front());
  ready.pop_front();
  input += connection->read(std::min(share, std::max(left, kReadBytesMin)));
}

void ShardLoop::resume_throttled() {
  std::vector<std::shared_ptr<Connection>> list;
  if (!throttled_.empty() && !parts_.broker->overloaded()) list.swap(throttled_);
  for (const auto& connection : list) connection->unthrottle();
  if (held_.empty() || releases_ == parts_.broker->releases()) return;
  releases_ = parts_.broker->releases();
  list.clear();
  list.swap(held_);
  for (const auto& connection : list) connection->unthrottle();
}

void ShardLoop::arm_tick() {
  tick_.expires_after(kTickInterval);
  tick_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    on_tick();
    arm_tick();
  });
}

void ShardLoop::on_tick() {
  const Instant now = parts_.clock->now();
  const std::vector<std::shared_ptr<Connection>> all(connections_.begin(), connections_.end());
  for (const auto& connection : all) connection->on_tick(now);
}

void ShardLoop::adopt(asio::ip::tcp::socket socket) {
  if (closing_) return;
  auto connection = Connection::create(*this, std::move(socket));
  if (connection == nullptr) return;
  connections_.insert(connection);
  connection->start();
}

void ShardLoop::close_connections(std::string_view reason) {
  closing_ = true;
  const std::vector<std::shared_ptr<Connection>> all(connections_.begin(), connections_.end());
  if (all.empty()) all_gone_.set_value();
  for (const auto& connection : all) connection->force_close(reason);
}

void ShardLoop::drop(Connection& connection) {
  const std::size_t dropped = connections_.erase(connection.shared_from_this());
  if (closing_ && dropped > 0 && connections_.empty()) all_gone_.set_value();
}

}  // namespace warren::net
