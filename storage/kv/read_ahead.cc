// SPDX-License-Identifier: Apache-2.0
#include "storage/kv/read_ahead.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "storage/kv/pages.h"

namespace warren::storage {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

constexpr unsigned kThreads = 2;

// What is read ahead of one file. Step i of the file has slot i % kSlots.
class Window {
 public:
  explicit Window(std::unique_ptr<rocksdb::FSRandomAccessFile> file) : file_(std::move(file)) {}

  const rocksdb::FSRandomAccessFile& file() const { return *file_; }
  // Nothing when not all of it was read ahead. Waits for what is being read.
  std::optional<std::size_t> take(std::uint64_t offset, std::size_t size, char* to);
  // Notes a read of so much; says which steps to read now.
  std::vector<std::uint64_t> note_read(std::uint64_t offset, std::size_t size);
  // Reads a step that note_read() named.
  void fill(std::uint64_t step);
  // Lets go of the memory, and forgets that the file was read from front to back.
  void stop();

 private:
  static constexpr std::size_t kSlots = kReadAheadSteps + 1;
  static constexpr std::uint64_t kNone = UINT64_MAX;
  struct Slot {
    std::uint64_t step = kNone;
    bool reading = false;
    std::size_t bytes = 0;  // fewer than a step at the end of the file
    Pages memory;
  };
  Slot& slot(std::uint64_t step) { return slots_[step % kSlots]; }

  const std::unique_ptr<rocksdb::FSRandomAccessFile> file_;
  std::mutex mutex_;
  std::condition_variable filled_;
  std::array<Slot, kSlots> slots_;  // guarded by mutex_
  std::uint64_t next_ = kNone;      // guarded by mutex_: where a reader goes on
  int in_row_ = 0;                  // guarded by mutex_: reads, each behind the one before
  std::uint64_t end_ = kNone;       // guarded by mutex_: of the file, once it was met
};

std::optional<std::size_t> Window::take(std::uint64_t offset, std::size_t size, char* to) {
  std::unique_lock lock(mutex_);
  std::size_t done = 0;
  while (done < size) {
    const std::uint64_t at = offset + done;
    const std::uint64_t step = at / kReadAheadStep;
    Slot& found = slot(step);
    filled_.wait(lock, [&] { return found.step != step || !found.reading; });
    if (found.step != step) return std::nullopt;
    const std::size_t from = at % kReadAheadStep;
    if (from >= found.bytes) break;
    const std::size_t bytes = std::min(size - done, found.bytes - from);
    std::memcpy(to + done, found.memory.get() + from, bytes);
    done += bytes;
    if (found.bytes < kReadAheadStep) break;
  }
  return done;
}

std::vector<std::uint64_t> Window::note_read(std::uint64_t offset, std::size_t size) {
  const std::lock_guard lock(mutex_);
  // What follows may begin on the page that the read before ended on.
  const bool follows = offset <= next_ && offset + kPageBytes >= next_ && next_ != kNone;
  in_row_ = follows ? in_row_ + 1 : 0;
  next_ = offset + size;
  std::vector<std::uint64_t> out;
  if (in_row_ < 2) return out;
  const std::uint64_t first = next_ / kReadAheadStep;
  for (std::uint64_t step = first; step < first + kReadAheadSteps; ++step) {
    Slot& free = slot(step);
    if (free.step == step || free.reading || step * kReadAheadStep >= end_) continue;
    free.step = step;
    free.reading = true;
    out.push_back(step);
  }
  return out;
}

void Window::fill(std::uint64_t step) {
  Pages memory;
  {
    const std::lock_guard lock(mutex_);
    memory = std::move(slot(step).memory);
  }
  if (memory == nullptr) memory = make_pages(kReadAheadStep);
  Slice got;
  const std::uint64_t offset = step * kReadAheadStep;
  const IOStatus status =
      file_->Read(offset, kReadAheadStep, IOOptions(), &got, memory.get(), nullptr);
  const std::lock_guard lock(mutex_);
  Slot& filled = slot(step);
  filled.reading = false;
  filled.bytes = got.size();
  filled.memory = std::move(memory);
  // The reader will see for itself what is wrong.
  if (!status.ok() || got.data() != filled.memory.get()) filled.step = kNone;
  if (status.ok() && got.size() < kReadAheadStep) end_ = std::min(end_, offset + got.size());
  filled_.notify_all();
}

void Window::stop() {
  const std::lock_guard lock(mutex_);
  in_row_ = 0;
  for (Slot& each : slots_) {
    if (!each.reading) each = Slot();
  }
}

}  // namespace

class ReadAheadPool {
 public:
  ReadAheadPool() = default;
  ReadAheadPool(const ReadAheadPool&) = delete;
  ReadAheadPool& operator=(const ReadAheadPool&) = delete;
  ~ReadAheadPool() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  void submit(const std::shared_ptr<Window>& window, const std::vector<std::uint64_t>& steps) {
    if (steps.empty()) return;
    std::shared_ptr<Window> oldest;
    {
      const std::lock_guard lock(mutex_);
      while (threads_.size() < kThreads) threads_.emplace_back([this] { run(); });
      for (const std::uint64_t step : steps) jobs_.push_back(Job{window, step});
      if (std::ranges::find(active_, window) == active_.end()) active_.push_back(window);
      if (active_.size() > kReadAheadFilesMax) {
        oldest = std::move(active_.front());
        active_.pop_front();
      }
    }
    wake_.notify_all();
    if (oldest != nullptr) oldest->stop();
  }
  void forget(const std::shared_ptr<Window>& window) {
    const std::lock_guard lock(mutex_);
    std::erase(active_, window);
  }

 private:
  // Of shared ownership: a step may be under way when its file is closed.
  struct Job {
    std::shared_ptr<Window> window;
    std::uint64_t step = 0;
  };

  void run() {
    while (true) {
      Job job;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
        if (stopping_) return;
        job = std::move(jobs_.front());
        jobs_.pop_front();
      }
      job.window->fill(job.step);
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> jobs_;                        // guarded by mutex_
  std::deque<std::shared_ptr<Window>> active_;  // guarded by mutex_, by when they began
  bool stopping_ = false;                       // guarded by mutex_
  std::vector<std::thread> threads_;            // guarded by mutex_ until stopping_
};

namespace {

class ReadAheadFile final : public rocksdb::FSRandomAccessFileWrapper {
 public:
  ReadAheadFile(rocksdb::FSRandomAccessFile* target, std::shared_ptr<Window> window,
                std::shared_ptr<ReadAheadPool> pool)
      : FSRandomAccessFileWrapper(target), window_(std::move(window)), pool_(std::move(pool)) {}
  ~ReadAheadFile() override { pool_->forget(window_); }

  IOStatus Read(std::uint64_t offset, std::size_t size, const IOOptions& options, Slice* result,
                char* scratch, IODebugContext* dbg) const override {
    const auto ahead = window_->take(offset, size, scratch);
    if (ahead.has_value()) *result = Slice(scratch, *ahead);
    const IOStatus status = ahead.has_value()
                                ? IOStatus::OK()
                                : target()->Read(offset, size, options, result, scratch, dbg);
    if (status.ok()) pool_->submit(window_, window_->note_read(offset, result->size()));
    return status;
  }

 private:
  const std::shared_ptr<Window> window_;  // shared: steps may be under way
  const std::shared_ptr<ReadAheadPool> pool_;
};

}  // namespace

std::shared_ptr<ReadAheadPool> make_read_ahead_pool() {
  return std::make_shared<ReadAheadPool>();
}

std::unique_ptr<rocksdb::FSRandomAccessFile> read_ahead(
    std::unique_ptr<rocksdb::FSRandomAccessFile> file, std::shared_ptr<ReadAheadPool> pool) {
  rocksdb::FSRandomAccessFile* const target = file.get();
  return std::make_unique<ReadAheadFile>(target, std::make_shared<Window>(std::move(file)),
                                         std::move(pool));
}

}  // namespace warren::storage
