// SPDX-License-Identifier: Apache-2.0
// The threads that read chunks, so that no shard ever waits for a disk.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "storage/engine/log_reader.h"

namespace warren::storage {

// Driven by its own threads (start) or step by step (step_read, step_answer), never both.
// Bound: one job per log that has a read in flight.
class ReaderPool {
 public:
  using Done = std::function<void(Result<ReadOutcome>)>;  // called on a reader thread

  explicit ReaderPool(KvStore& store) : store_(store) {}
  ~ReaderPool() { stop(); }
  ReaderPool(const ReaderPool&) = delete;
  ReaderPool& operator=(const ReaderPool&) = delete;

  void start(unsigned thread_count);
  // Thread safety: any thread.
  void submit(ReadRequest request, Done done);
  // For use without threads: does the oldest job, if there is one, and keeps what it read ...
  bool step_read();
  // ... until this gives the oldest of it. Between the two the disk may change, as under threads.
  bool step_answer();
  // Drops the jobs that wait, finishes the ones that run.
  void stop();

 private:
  struct Job {
    ReadRequest request;
    Done done;
  };
  struct Answer {
    Result<ReadOutcome> outcome;
    Done done;
  };
  std::optional<Job> take_job();
  void run();

  KvStore& store_;  // borrowed: outlives the pool
  const std::shared_ptr<SharedBlocks> blocks_ = std::make_shared<SharedBlocks>();
  std::deque<Answer> answers_;  // of step_read()
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> jobs_;   // guarded by mutex_
  bool stopping_ = false;  // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace warren::storage
