// SPDX-License-Identifier: Apache-2.0
// Turns hand-overs into commits: one atomic batch, one fsync, then the completions. The only writer
// of the store while shards run. Keeps: S4, S6, S10.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <thread>

#include "storage/engine/commit_group.h"
#include "storage/engine/shared_bodies.h"
#include "storage/kv/kv_store.h"

namespace warren::storage {

// Driven by its own thread (start) or step by step (step), never both.
class Committer {
 public:
  // `complete` gets the durable hand-overs of one shard, in order; called on the committing thread.
  using Complete = std::function<void(ShardIndex, HandOvers)>;

  Committer(KvStore& store, unsigned shard_count, std::size_t sweep_records_max, Complete complete);
  ~Committer();
  Committer(const Committer&) = delete;
  Committer& operator=(const Committer&) = delete;

  // What the last life had not swept. REQUIRES: nothing runs yet.
  void add_sweeps(std::span<const SweepKey> ranges) { bodies_.add_sweeps(ranges); }
  void start();

  // Thread safety: any thread; in order per shard.
  void submit(std::unique_ptr<HandOver> hand_over);

  // Commits one group, if there is one that can be committed, or else sweeps a little. False: there
  // was nothing to do. For use without the thread.
  bool step();

  // Something failed elsewhere: nothing is confirmed from now on. Thread safety: any thread.
  void fail(Error error);

  // Called once, on the committing thread, after the first failure. Without it: abort.
  void on_failure(std::function<void(const Error&)> handler);

  // Commits what can be committed and ends the thread. False when hand-overs remain: parts of
  // fan-outs whose other parts never came.
  bool drain();
  // Ends the thread after the group it is writing; the rest is dropped, as a crash would.
  void abandon();

  bool failed() const;

 private:
  void run();
  void commit(HandOvers group);
  void sweep();
  Status write(const HandOvers& group);
  void report_failure(const Error& error);

  KvStore& store_;  // borrowed: outlives the committer
  const unsigned shard_count_;
  const Complete complete_;
  SharedBodies bodies_;  // the committing thread's

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  CommitQueue queue_;           // guarded by mutex_
  std::optional<Error> error_;  // guarded by mutex_; set once
  bool reported_ = false;       // guarded by mutex_
  bool stopping_ = false;       // guarded by mutex_
  bool abandoned_ = false;      // guarded by mutex_
  bool news_ = false;           // guarded by mutex_: something changed since the thread looked
  std::function<void(const Error&)> failure_handler_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace warren::storage
