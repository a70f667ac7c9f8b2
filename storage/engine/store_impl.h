// SPDX-License-Identifier: Apache-2.0
// The wiring of the engine. Internal: users include store.h; tests and the simulator open a store
// on a KvStore of their own here, and may drive it step by step.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/engine/committer.h"
#include "storage/engine/reader_pool.h"
#include "storage/engine/recovery.h"
#include "storage/engine/shard_store.h"
#include "storage/engine/store.h"
#include "storage/engine/store_directory.h"

namespace warren::storage {

enum class Drive : std::uint8_t {
  threads,  // a committer and readers of its own
  steps,    // nothing happens but in step_commit() and step_read()
};

class StoreImpl final : public Store {
 public:
  static Result<std::unique_ptr<StoreImpl>> open_on(std::unique_ptr<KvStore> kv,
                                                    const std::string& store_id,
                                                    const StoreOptions& options, Drive drive);
  // Without close() this is a crash: what was not committed is gone.
  ~StoreImpl() override;

  const RecoveryReport& recovery_report() const override { return recovered_.report; }
  std::vector<Definition> take_definitions() override;
  std::vector<LogState> take_log_states() override;
  LogId new_log_ids(std::uint32_t count) override;
  ShardStore& shard(ShardIndex index) override;
  Status close() override;
  void on_failure(std::function<void(const Error&)> handler) override;

  // Drive::steps: one commit, one read. False when there was nothing to do.
  bool step_commit() { return committer_->step(); }
  // One read of the disk, and its answer to the shard.
  bool step_read() {
    const bool read = begin_read();
    return end_read() || read;
  }
  bool begin_read() { return readers_->step_read(); }
  bool end_read() { return readers_->step_answer(); }

  // The directory is held until the store is gone.
  void hold(StoreDirectory directory) { directory_.emplace(std::move(directory)); }
  void set_recovery_time(std::int64_t ms) { recovered_.report.took_ms = ms; }

 private:
  StoreImpl(std::unique_ptr<KvStore> kv, Recovered recovered, const StoreOptions& options);
  void stop();

  // In the order in which they die last.
  std::optional<StoreDirectory> directory_;
  std::unique_ptr<KvStore> kv_;
  Recovered recovered_;
  std::unique_ptr<Committer> committer_;
  std::unique_ptr<ReaderPool> readers_;
  std::vector<std::shared_ptr<ShardStoreImpl>> shards_;  // shared: see ShardStoreImpl
  bool closed_ = false;
};

}  // namespace warren::storage
