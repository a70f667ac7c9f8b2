// SPDX-License-Identifier: Apache-2.0
// One shard's side of the store: gathers what its logs and definitions changed, hands it over, and
// passes on what became of it. Keeps: S3, S8.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "storage/engine/committer.h"
#include "storage/engine/queue_log_impl.h"
#include "storage/engine/reader_pool.h"
#include "storage/engine/store.h"

namespace warren::storage {

// Owned by: the Store, and by what it posted to its executor (hence shared: a completion that comes
// after the store is gone finds nothing).
class ShardStoreImpl final : public ShardStore,
                             private ReadStarter,
                             public std::enable_shared_from_this<ShardStoreImpl> {
 public:
  // `body_origin`: of the names that share() gives; no other shard's, in no life.
  ShardStoreImpl(ShardIndex index, const StoreOptions& options, std::uint64_t body_origin,
                 Committer& committer, ReaderPool& readers);

  void attach(Executor& executor, StoreListener& listener) override;
  QueueLog& open_log(const LogState& state) override;
  void drop_log(LogId log) override;
  void change_definitions(std::vector<DefinitionChange> changes, const CommitToken* token) override;
  void barrier(const CommitToken& token) override;
  void join_fanout(std::uint64_t fanout, unsigned shard_count) override;
  BodyId share(const Block& block) override;
  void hold(bool held) override { held_ = held; }
  bool held() const { return held_; }
  bool hand_over_under_way() const override { return in_flight_ > 0; }
  Instant end_turn(Instant now) override;
  std::uint64_t uncommitted_bytes() const override { return gathering_.uncommitted_bytes; }

  // --- the store's side ---
  // Puts a record into the next hand-over.
  void put(Family family, std::string key, std::string value);
  // Durable hand-overs of this shard, in order. Thread safety: the committing thread.
  void post_completion(HandOvers done);
  // Everything gathered, and the exact state of every log. REQUIRES: the shard runs no more.
  std::unique_ptr<HandOver> final_hand_over();

 private:
  bool anything_gathered() const;
  bool must_hand_over(Instant now);
  bool hopes_in_vain(Instant now);
  std::unique_ptr<HandOver> gather(Instant now);
  void give_back_ready();
  void complete(HandOvers& done);
  void finish_read(LogId log, ReadRequest::Kind kind, Result<ReadOutcome>& outcome);
  void start_read(const ReadRequest& request) override;

  const ShardIndex index_;
  const Duration idle_commit_delay_;
  const LogLimits log_limits_;
  const std::size_t shared_bytes_min_;
  Committer& committer_;               // borrowed: outlives the shards
  ReaderPool& readers_;                // borrowed: outlives the shards
  Executor* executor_ = nullptr;       // borrowed since attach()
  StoreListener* listener_ = nullptr;  // borrowed since attach()

  std::unordered_map<LogId, std::unique_ptr<QueueLogImpl>> logs_;
  Gathering gathering_;
  KvBatch changes_;                  // definitions, drops
  KvBatch spill_changes_;            // drops
  std::vector<CommitToken> tokens_;  // of definitions and barriers
  std::vector<FanoutPart> fanouts_;
  std::vector<SweepKey> sweeps_;  // of drops
  BodyId last_body_;
  bool held_ = false;
  bool definitions_changed_ = false;
  std::optional<Instant> oldest_;  // since when something is gathered
  std::optional<Instant> hope_;    // since when what was gathered then may wait for its settlement
  std::size_t in_flight_ = 0;      // hand-overs that are not durable yet
};

}  // namespace warren::storage
