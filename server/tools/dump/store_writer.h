// SPDX-License-Identifier: Apache-2.0
// Writes into a stopped store through the engine's door, with one shard that runs on the caller's
// thread. What finish() said ok to is fsynced.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "storage/engine/store.h"

namespace warren::dump {

// Runs on: one thread, the caller's.
class StoreWriter final : public Executor, public storage::StoreListener {
 public:
  // Holds the store until the writer is gone. Errors: as Store::open.
  static Result<std::unique_ptr<StoreWriter>> open(const std::string& data_dir);

  // What the store had when it was opened.
  const std::vector<storage::Definition>& definitions() const { return definitions_; }

  // A new queue gets its logs here: the first of them. Durable with finish().
  LogId define(storage::Definition definition);
  struct Message {
    LogId log;
    BlockRef block;
    storage::MessageNotes notes;  // `returns` too is kept
  };
  // REQUIRES: the log is of a queue that was there or defined. Blocks while much is not committed
  // yet; false once the store has failed.
  bool append(Message message);

  // Waits until everything is durable and stops the store cleanly.
  Status finish();

  void post(std::function<void()> function) override;
  void on_committed(std::span<const storage::CommitToken> tokens) override;
  void on_stored(LogId log, Seq first, Seq last) override;
  void on_mark_raised(LogId) override {}

 private:
  StoreWriter() = default;
  struct Log {
    storage::QueueLog* log = nullptr;  // the store's
    Seq next = 1;
  };
  Log& log_of(LogId id);
  // Runs what was posted; waits for it when `wait`. False once the store has failed.
  bool run_posted(bool wait);
  void end_turn();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> posted_;  // guarded by mutex_
  std::optional<Error> error_;                // guarded by mutex_

  std::vector<storage::Definition> definitions_;
  std::map<LogId, Log> logs_;
  std::uint64_t barriers_ = 0;
  std::unique_ptr<storage::Store> store_;  // dies first: it posts to this
};

}  // namespace warren::dump
