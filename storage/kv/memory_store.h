// SPDX-License-Identifier: Apache-2.0
// A KvStore in memory that can lose power: for tests and the simulator. The "disk" outlives the
// store, so that a crash is: drop the store, lose_unsynced(), open a new store on the same disk.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "storage/kv/kv_store.h"

namespace warren::storage {

// Thread safety: any thread.
class MemoryDisk {
 public:
  // Power loss: what was not synced is gone.
  void lose_unsynced();

  // The next commits fail after this many good ones, and all after them. With `applied`, the first
  // that fails takes effect all the same, as a failed fsync may.
  void fail_after(std::size_t commits, bool applied);
  void heal();

  std::size_t commits() const;  // synced ones
  std::size_t key_count(Family family) const;
  // A copy of the family's records.
  std::map<std::string, std::string, std::less<>> records(Family family) const;
  // Changes a stored value behind the store's back: bit rot. False if there is no such key.
  bool overwrite(Family family, const std::string& key, const std::string& value);

 private:
  friend class MemoryStore;
  using Table = std::map<std::string, std::string, std::less<>>;
  using Tables = std::array<Table, kFamilyCount>;
  static void apply(Tables& tables, const KvOp& op);
  Status commit(std::span<const KvBatch* const> batches, WriteMode mode);

  mutable std::mutex mutex_;
  Tables current_;  // as the running store sees it
  Tables durable_;  // as it comes back after a power loss
  std::size_t commits_ = 0;
  std::size_t good_commits_left_ = 0;
  bool failing_ = false;
  bool failed_applies_ = false;
};

class MemoryStore final : public KvStore {
 public:
  explicit MemoryStore(std::shared_ptr<MemoryDisk> disk) : disk_(std::move(disk)) {}

  Result<std::optional<std::string>> get(Family family, Bytes key) override;
  std::unique_ptr<KvCursor> scan(Family family, Bytes from, Bytes to) override;
  using KvStore::commit;
  Status commit(std::span<const KvBatch* const> batches, WriteMode mode) override;
  Status clear(Family family) override;
  void on_background_error(std::function<void(const Error&)> handler) override;
  Status close() override { return {}; }

 private:
  std::shared_ptr<MemoryDisk> disk_;  // shared: it outlives a crash of the store
};

}  // namespace warren::storage
