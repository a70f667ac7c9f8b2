// SPDX-License-Identifier: Apache-2.0
// THE door of storage: one Store is one RocksDB directory, serving one or more vhosts.
// A commit is an ordered, atomic, fsynced batch; confirms and -ok answers hang on CommitTokens and
// on nothing else.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "storage/base/clock.h"
#include "storage/base/executor.h"
#include "storage/base/result.h"
#include "storage/engine/definitions.h"
#include "storage/engine/queue_log.h"

namespace warren::storage {

struct StoreOptions {
  std::string directory;
  unsigned shard_count = 1;
  std::size_t block_cache_bytes = std::size_t{32} << 20;
  std::size_t write_buffer_bytes = std::size_t{32} << 20;  // bounds WAL replay at start
  bool direct_io = true;  // past the page cache, where the file system takes that
  // Settles and messages nobody waits for are handed over after this long at the latest.
  Duration idle_commit_delay = std::chrono::milliseconds(5);
  std::size_t chunk_bytes_max = std::size_t{256} << 10;
  // Smaller ones are stored per queue: in two queues counting would cost more than it saves.
  std::size_t shared_bytes_min = std::size_t{4} << 10;
  // Chunks of which a queue remembers what left out of its turn, per log, about.
  std::size_t fetched_chunks_max = 256;
  // What a deleted or purged queue referred to is released in steps of this many chunks.
  std::size_t sweep_records_max = 256;
};

// What a shard hears back. Runs on: that shard.
class StoreListener {
 public:
  virtual ~StoreListener() = default;
  // Durable, or settled before they needed to be. In the order of the appends within one log.
  virtual void on_committed(std::span<const CommitToken> tokens) = 0;
  // All that `log` appended in [first, last] is on disk: the queue may release it.
  virtual void on_stored(LogId log, Seq first, Seq last) = 0;
  // may_deliver() of this log may answer differently now.
  virtual void on_mark_raised(LogId log) = 0;
};

// One shard's side of the store. Runs on: that shard's thread, all of it. Owned by: Store.
class ShardStore {
 public:
  virtual ~ShardStore() = default;

  // Once, before anything else. Both are borrowed and outlive the Store's close().
  virtual void attach(Executor& executor, StoreListener& listener) = 0;

  // The log is ready at once. The reference is valid until drop_log.
  virtual QueueLog& open_log(const LogState& state) = 0;
  // Forgets the log and deletes its messages. Outstanding tokens come back; reads in flight are
  // answered with nothing.
  virtual void drop_log(LogId log) = 0;

  // Durable with the next commit, in call order. `token` comes back when it is.
  virtual void change_definitions(std::vector<DefinitionChange> changes,
                                  const CommitToken* token) = 0;

  // A token that comes back once everything this shard said so far is durable.
  virtual void barrier(const CommitToken& token) = 0;

  // One publish that reached several shards: each of them calls this in the turn in which it
  // appended its part, and the commit waits until all `shard_count` parts are in (S4). `fanout` is
  // unique in the process.
  virtual void join_fanout(std::uint64_t fanout, unsigned shard_count) = 0;
  // A name for a block that several logs will append as durable, on any shards, in one commit
  // (join_fanout): given to each append, the block is stored once. None when it is too small.
  virtual BodyId share(const Block& block) = 0;
  // While held nothing is handed over, whoever waits, but for what join_fanout() asks for. What is
  // held when the store is closed is lost, as in a crash (S4).
  virtual void hold(bool held) = 0;
  // A commit of this shard is being written.
  virtual bool hand_over_under_way() const = 0;

  // At the end of every loop turn: hands over what must not wait. Returns when to call again at the
  // latest, or Instant::max() when there is nothing to do.
  virtual Instant end_turn(Instant now) = 0;

  // Bytes appended and not yet committed: the measure for back-pressure. A shared block counts once
  // per shard, and a little for each further log.
  virtual std::uint64_t uncommitted_bytes() const = 0;
};

struct RecoveryReport {
  bool created = false;     // a new store
  bool clean_stop = false;  // the last process stopped cleanly
  std::uint64_t logs = 0;
  std::uint64_t messages = 0;
  std::uint64_t orphan_logs_dropped = 0;
  std::int64_t took_ms = 0;
};

class Store {
 public:
  virtual ~Store() = default;

  // Opens or creates the store. Refuses, without touching it, a directory that is not ours, newer,
  // in use or not writable.
  static Result<std::unique_ptr<Store>> open(const StoreOptions& options);

  virtual const RecoveryReport& recovery_report() const = 0;
  // Everything that was recovered; each may be called once.
  virtual std::vector<Definition> take_definitions() = 0;
  virtual std::vector<LogState> take_log_states() = 0;
  // The first of `count` consecutive numbers for new logs, at most kLogsPerQueueMax, never given
  // before. Thread safety: control shard only.
  virtual LogId new_log_ids(std::uint32_t count) = 0;
  LogId new_log_id() { return new_log_ids(1); }

  virtual ShardStore& shard(ShardIndex index) = 0;

  // Commits what was handed over and what is gathered, marks a clean stop, closes. Call when no
  // shard runs any more.
  virtual Status close() = 0;

  // Called once, from the committer's thread, after a failed write or fsync: nothing is confirmed
  // any more (S10). Without a handler the process aborts.
  virtual void on_failure(std::function<void(const Error&)> handler) = 0;
};

}  // namespace warren::storage
