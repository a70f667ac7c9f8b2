// SPDX-License-Identifier: Apache-2.0
#include "storage/engine/reader_pool.h"

#include <utility>

namespace warren::storage {

void ReaderPool::start(unsigned thread_count) {
  for (unsigned i = 0; i < thread_count; ++i) threads_.emplace_back([this] { run(); });
}

void ReaderPool::submit(ReadRequest request, Done done) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    jobs_.push_back(Job{request, std::move(done)});
  }
  wake_.notify_one();
}

std::optional<ReaderPool::Job> ReaderPool::take_job() {
  const std::lock_guard lock(mutex_);
  if (jobs_.empty()) return std::nullopt;
  Job job = std::move(jobs_.front());
  jobs_.pop_front();
  return job;
}

bool ReaderPool::step_read() {
  std::optional<Job> job = take_job();
  if (!job) return false;
  answers_.push_back({read_log(store_, job->request, blocks_.get()), std::move(job->done)});
  return true;
}

bool ReaderPool::step_answer() {
  if (answers_.empty()) return false;
  Answer answer = std::move(answers_.front());
  answers_.pop_front();
  answer.done(std::move(answer.outcome));
  return true;
}

void ReaderPool::run() {
  while (true) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      if (stopping_) return;
    }
    if (std::optional<Job> job = take_job())
      job->done(read_log(store_, job->request, blocks_.get()));
  }
}

void ReaderPool::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    jobs_.clear();
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

}  // namespace warren::storage
