// SPDX-License-Identifier: Apache-2.0
#include "storage/kv/memory_store.h"

#include <utility>

#include "storage/base/assert.h"

namespace warren::storage {
namespace {

// Owns a copy of its range: one moment's view.
class MemoryCursor final : public KvCursor {
 public:
  explicit MemoryCursor(std::vector<std::pair<std::string, std::string>> records)
      : records_(std::move(records)) {}

  bool valid() const override { return at_ < records_.size(); }
  Bytes key() const override { return records_[at_].first; }
  Bytes value() const override { return records_[at_].second; }
  void next() override { ++at_; }
  Status status() const override { return {}; }

 private:
  std::vector<std::pair<std::string, std::string>> records_;
  std::size_t at_ = 0;
};

bool written_once(Family family) {
  return family == Family::queue_log || family == Family::queue_shared || family == Family::bodies;
}

}  // namespace

void MemoryDisk::apply(Tables& tables, const KvOp& op) {
  Table& table = tables[family_index(op.family)];
  switch (op.kind) {
    case KvOp::Kind::put:
      // These are written once: what makes erase_once of them legal.
      WARREN_ASSERT(!written_once(op.family) || table.find(op.key) == table.end());
      table.insert_or_assign(op.key, op.value);
      return;
    case KvOp::Kind::erase:
      table.erase(op.key);
      return;
    case KvOp::Kind::erase_once:
      // The contract that RocksDB relies on, checked where it is cheap.
      WARREN_ASSERT(table.erase(op.key) == 1);
      return;
    case KvOp::Kind::erase_range:
      if (op.key < op.value) table.erase(table.lower_bound(op.key), table.lower_bound(op.value));
      return;
  }
}

void MemoryDisk::lose_unsynced() {
  const std::lock_guard lock(mutex_);
  current_ = durable_;
}

void MemoryDisk::fail_after(std::size_t commits, bool applied) {
  const std::lock_guard lock(mutex_);
  failing_ = true;
  good_commits_left_ = commits;
  failed_applies_ = applied;
}

void MemoryDisk::heal() {
  const std::lock_guard lock(mutex_);
  failing_ = false;
}

std::size_t MemoryDisk::commits() const {
  const std::lock_guard lock(mutex_);
  return commits_;
}

std::size_t MemoryDisk::key_count(Family family) const {
  const std::lock_guard lock(mutex_);
  return current_[family_index(family)].size();
}

std::map<std::string, std::string, std::less<>> MemoryDisk::records(Family family) const {
  const std::lock_guard lock(mutex_);
  return current_[family_index(family)];
}

bool MemoryDisk::overwrite(Family family, const std::string& key, const std::string& value) {
  const std::lock_guard lock(mutex_);
  Table& table = current_[family_index(family)];
  if (table.find(key) == table.end()) return false;
  table[key] = value;
  durable_[family_index(family)][key] = value;
  return true;
}

Status MemoryDisk::commit(std::span<const KvBatch* const> batches, WriteMode mode) {
  const std::lock_guard lock(mutex_);
  bool refuse = false;
  if (failing_) {
    refuse = good_commits_left_ == 0;
    if (!refuse) --good_commits_left_;
  }
  if (refuse && !std::exchange(failed_applies_, false)) {
    return Error{Errc::io_error, "the memory disk was told to fail"};
  }
  const bool synced = mode == WriteMode::synced;
  for (const KvBatch* batch : batches) {
    for (const KvOp& op : batch->ops()) {
      apply(current_, op);
      if (synced) apply(durable_, op);
    }
  }
  if (synced) ++commits_;
  if (refuse) return Error{Errc::io_error, "the memory disk was told to fail"};
  return {};
}

Result<std::optional<std::string>> MemoryStore::get(Family family, Bytes key) {
  const std::lock_guard lock(disk_->mutex_);
  const auto& table = disk_->current_[family_index(family)];
  const auto found = table.find(key);
  if (found == table.end()) return std::optional<std::string>();
  return std::optional<std::string>(found->second);
}

std::unique_ptr<KvCursor> MemoryStore::scan(Family family, Bytes from, Bytes to) {
  const std::lock_guard lock(disk_->mutex_);
  const auto& table = disk_->current_[family_index(family)];
  std::vector<std::pair<std::string, std::string>> records;
  for (auto at = table.lower_bound(from); at != table.end() && at->first < to; ++at) {
    records.emplace_back(at->first, at->second);
  }
  return std::make_unique<MemoryCursor>(std::move(records));
}

Status MemoryStore::commit(std::span<const KvBatch* const> batches, WriteMode mode) {
  return disk_->commit(batches, mode);
}

Status MemoryStore::clear(Family family) {
  const std::lock_guard lock(disk_->mutex_);
  disk_->current_[family_index(family)].clear();
  disk_->durable_[family_index(family)].clear();
  return {};
}

void MemoryStore::on_background_error(std::function<void(const Error&)>) {}

}  // namespace warren::storage
