// SPDX-License-Identifier: Apache-2.0
#include "storage/engine/committer.h"

#include <cstdlib>
#include <utility>

#include "storage/base/assert.h"
#include "storage/base/log.h"
#include "storage/base/units.h"

namespace warren::storage {
namespace {

// More in one batch only costs latency.
constexpr std::size_t kGroupBytesMax = 32_MiB;

}  // namespace

Committer::Committer(KvStore& store, unsigned shard_count, std::size_t sweep_records_max,
                     Complete complete)
    : store_(store),
      shard_count_(shard_count),
      complete_(std::move(complete)),
      bodies_(store, sweep_records_max),
      queue_(shard_count) {}

Committer::~Committer() {
  abandon();
}

void Committer::start() {
  WARREN_ASSERT(!thread_.joinable());
  thread_ = std::thread([this] { run(); });
}

void Committer::submit(std::unique_ptr<HandOver> hand_over) {
  {
    const std::lock_guard lock(mutex_);
    queue_.add(std::move(hand_over));
    news_ = true;
  }
  wake_.notify_one();
}

void Committer::run() {
  bool sweeping = bodies_.sweeping();
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [&] { return news_ || stopping_ || sweeping; });
    news_ = false;
    if (abandoned_) return;
    if (error_.has_value()) {
      if (!std::exchange(reported_, true)) {
        lock.unlock();
        report_failure(*error_);
        lock.lock();
      }
      if (stopping_) return;
      sweeping = false;
      continue;
    }
    HandOvers group = queue_.take(kGroupBytesMax);
    if (group.empty() && stopping_) return;
    if (group.empty() && !sweeping) continue;
    if (!group.empty()) news_ = true;  // look again when this group is done
    lock.unlock();
    if (!group.empty()) commit(std::move(group));
    // A step behind every group: under load the sweeps go on, and hold up nobody for long.
    sweep();
    sweeping = bodies_.sweeping();
    lock.lock();
  }
}

bool Committer::step() {
  HandOvers group;
  {
    const std::lock_guard lock(mutex_);
    if (!error_.has_value()) group = queue_.take(kGroupBytesMax);
  }
  const bool found = !group.empty() || (bodies_.sweeping() && !failed());
  if (group.empty()) {
    sweep();
  } else {
    commit(std::move(group));
  }
  bool report = false;
  {
    const std::lock_guard lock(mutex_);
    report = error_.has_value() && !std::exchange(reported_, true);
  }
  if (report) report_failure(*error_);
  return found;
}

Status Committer::write(const HandOvers& group) {
  std::vector<const KvBatch*> spills;
  std::vector<const KvBatch*> batches;
  for (const auto& hand_over : group) {
    if (!hand_over->spill.empty()) spills.push_back(&hand_over->spill);
    if (!hand_over->batch.empty()) batches.push_back(&hand_over->batch);
  }
  if (!spills.empty()) WARREN_CHECK(store_.commit(spills, WriteMode::unlogged));
  KvBatch shared;
  WARREN_CHECK(bodies_.settle(group, shared));
  if (!shared.empty()) batches.push_back(&shared);
  // What came before is synced already: a group without changes is durable as it is.
  if (!batches.empty()) WARREN_CHECK(store_.commit(batches, WriteMode::synced));
  for (const auto& hand_over : group) bodies_.add_sweeps(hand_over->sweeps);
  return {};
}

void Committer::sweep() {
  // S10
  if (!bodies_.sweeping() || failed()) return;
  if (const Status swept = bodies_.sweep(); !swept.ok()) fail(swept.error());
}

void Committer::commit(HandOvers group) {
  if (const Status written = write(group); !written.ok()) {
    fail(written.error());
    return;
  }
  // S10: a failure that came from elsewhere meanwhile holds back this group, too.
  if (failed()) return;
  std::vector<HandOvers> by_shard(shard_count_);
  for (auto& hand_over : group) {
    hand_over->batch = KvBatch();  // its memory goes here, not on the shard's thread
    hand_over->spill = KvBatch();
    hand_over->shared.clear();
    by_shard[hand_over->shard].push_back(std::move(hand_over));
  }
  for (ShardIndex shard = 0; shard < shard_count_; ++shard) {
    if (!by_shard[shard].empty()) complete_(shard, std::move(by_shard[shard]));
  }
}

void Committer::fail(Error error) {
  {
    const std::lock_guard lock(mutex_);
    if (error_.has_value()) return;
    error_ = std::move(error);
    news_ = true;
  }
  wake_.notify_one();
}

void Committer::report_failure(const Error& error) {
  WLOG(error, "store failed, nothing is confirmed any more error=\"{}\"", error.text);
  std::function<void(const Error&)> handler;
  {
    const std::lock_guard lock(mutex_);
    handler = failure_handler_;
  }
  if (!handler) std::abort();
  handler(error);
}

void Committer::on_failure(std::function<void(const Error&)> handler) {
  const std::lock_guard lock(mutex_);
  failure_handler_ = std::move(handler);
}

bool Committer::drain() {
  if (thread_.joinable()) {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      news_ = true;
    }
    wake_.notify_one();
    thread_.join();
  } else {
    while (step()) {
    }
  }
  const std::lock_guard lock(mutex_);
  return queue_.size() == 0;
}

void Committer::abandon() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    abandoned_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

bool Committer::failed() const {
  const std::lock_guard lock(mutex_);
  return error_.has_value();
}

}  // namespace warren::storage
