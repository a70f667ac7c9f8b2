// SPDX-License-Identifier: Apache-2.0
// A thread of the client with its loop and the connections that it serves.
#pragma once

#include <atomic>
#include <ctime>
#include <functional>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "server/tools/perf/consumer.h"
#include "server/tools/perf/link.h"
#include "server/tools/perf/publisher.h"

namespace warren::perf {

// Links are touched by the lane's thread only.
class Lane {
 public:
  Lane() : thread_([this] { shared_.io.run(); }) {}
  ~Lane() {
    guard_.reset();
    shared_.io.stop();
    thread_.join();
    links.clear();  // their sockets and timers need the loop
  }
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  LaneShared& shared() { return shared_; }
  bool failed() const { return shared_.failed.load(std::memory_order_acquire); }
  void post(std::function<void()> task) { boost::asio::post(shared_.io, std::move(task)); }

  // Runs `question` on the lane's thread and waits for its answer.
  template <class F>
  auto ask(F question) {
    std::packaged_task<decltype(question())()> task(std::move(question));
    auto answer = task.get_future();
    boost::asio::post(shared_.io, [&task] { task(); });
    return answer.get();
  }

  // CPU time of the thread.
  double cpu_seconds() {
    clockid_t clock{};
    timespec time{};
    if (::pthread_getcpuclockid(thread_.native_handle(), &clock) != 0) return 0;
    if (::clock_gettime(clock, &time) != 0) return 0;
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
  }

  std::vector<std::unique_ptr<Link>> links;
  // Their roles.
  std::vector<Publisher*> publishers;
  std::vector<Consumer*> consumers;

 private:
  LaneShared shared_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_{
      shared_.io.get_executor()};
  std::thread thread_;
};

}  // namespace warren::perf
