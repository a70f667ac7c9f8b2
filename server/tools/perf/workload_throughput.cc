// SPDX-License-Identifier: Apache-2.0
#include "server/tools/perf/workload_throughput.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "server/tools/perf/consumer.h"
#include "server/tools/perf/process_stats.h"
#include "server/tools/perf/publisher.h"

namespace warren::perf {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPoll(2);
constexpr Duration kConfirmGrace = std::chrono::seconds(10);  // for what is open at the end
constexpr Duration kCloseGrace = std::chrono::seconds(30);    // all that was sent is read by then

double seconds_of(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

// One thread with its own loop and links. Links are touched by that thread only.
class Worker {
 public:
  Worker() : thread_([this] { io_.run(); }) {}
  ~Worker() {
    guard_.reset();
    io_.stop();
    thread_.join();
    publishers.clear();  // their sockets and timers need io_
    consumers.clear();
  }

  boost::asio::io_context& io() { return io_; }
  void post(std::function<void()> task) { boost::asio::post(io_, std::move(task)); }

  // Runs `ask` on the worker's thread and waits for its answer.
  template <class F>
  auto ask(F ask) {
    std::packaged_task<decltype(ask())()> task(std::move(ask));
    auto answer = task.get_future();
    boost::asio::post(io_, [&task] { task(); });
    return answer.get();
  }

  std::vector<std::unique_ptr<Publisher>> publishers;
  std::vector<std::unique_ptr<Consumer>> consumers;

 private:
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_{
      io_.get_executor()};
  std::thread thread_;
};

class ThroughputRun {
 public:
  explicit ThroughputRun(const ThroughputOptions& options) : options_(options) {}

  Result<ThroughputReport> run();

 private:
  Status set_up();
  Status prepare_queues();
  Status add_consumer(unsigned index);
  Status add_publisher(unsigned index);
  Status start();
  Status wait_until(Instant deadline, bool (ThroughputRun::*done)());
  Status measure(ThroughputReport& report);
  Status finish(ThroughputReport& report);
  Counters counters() const;
  void show_progress(bool last);
  bool all_counts_reached();
  bool all_publishers_finished();
  bool all_closed();
  bool never() { return false; }
  Status failures();
  Worker& worker_of(unsigned index) { return *workers_[index % workers_.size()]; }
  template <class F>
  bool all_workers(F ask);

  const ThroughputOptions& options_;
  std::vector<std::unique_ptr<Worker>> workers_;
  Instant began_{};
  Instant shown_at_{};
  Counters shown_;
};

template <class F>
bool ThroughputRun::all_workers(F ask) {
  return std::all_of(workers_.begin(), workers_.end(), [&](const std::unique_ptr<Worker>& worker) {
    return worker->ask([&] { return ask(*worker); });
  });
}

Status ThroughputRun::prepare_queues() {
  WireClient client;
  WARREN_CHECK(client.open(options_.uri));
  WARREN_TRY([[maybe_unused]] const auto opened,
             (client.call<amqp::ChannelOpenOk>(kLoadChannel, amqp::ChannelOpen{})));
  for (unsigned i = 0; i < options_.queues; ++i) {
    const std::string name = options_.queue_name(i);
    WARREN_TRY([[maybe_unused]] const auto declared,
               (client.call<amqp::QueueDeclareOk>(
                   kLoadChannel, amqp::QueueDeclare{.queue = name, .durable = true})));
    if (!options_.purge) continue;
    WARREN_TRY([[maybe_unused]] const auto purged,
               (client.call<amqp::QueuePurgeOk>(kLoadChannel, amqp::QueuePurge{.queue = name})));
  }
  return client.close();
}

Status ThroughputRun::add_consumer(unsigned index) {
  const std::string queue = options_.queue_name(index);
  WireClient client;
  WARREN_CHECK(client.open(options_.uri));
  WARREN_TRY([[maybe_unused]] const auto opened,
             (client.call<amqp::ChannelOpenOk>(kLoadChannel, amqp::ChannelOpen{})));
  if (options_.prefetch != 0) {
    WARREN_TRY([[maybe_unused]] const auto limited,
               (client.call<amqp::BasicQosOk>(
                   kLoadChannel, amqp::BasicQos{.prefetch_count = options_.prefetch})));
  }
  WARREN_TRY([[maybe_unused]] const auto consuming,
             (client.call<amqp::BasicConsumeOk>(
                 kLoadChannel,
                 amqp::BasicConsume{
                     .queue = queue, .consumer_tag = "c", .no_ack = options_.ack_batch == 0})));
  Worker& worker = worker_of(index);
  worker.consumers.push_back(std::make_unique<Consumer>(worker.io(), std::move(client), options_));
  return {};
}

Status ThroughputRun::add_publisher(unsigned index) {
  WireClient client;
  WARREN_CHECK(client.open(options_.uri));
  WARREN_TRY([[maybe_unused]] const auto opened,
             (client.call<amqp::ChannelOpenOk>(kLoadChannel, amqp::ChannelOpen{})));
  if (options_.confirm_window != 0) {
    WARREN_TRY([[maybe_unused]] const auto selected,
               (client.call<amqp::ConfirmSelectOk>(kLoadChannel, amqp::ConfirmSelect{})));
  }
  // Publishers and consumers of equal number meet on different threads where there are several.
  Worker& worker = worker_of(index + 1);
  worker.publishers.push_back(std::make_unique<Publisher>(worker.io(), std::move(client), options_,
                                                          options_.queue_name(index)));
  return {};
}

Status ThroughputRun::set_up() {
  const unsigned connections = std::max(1U, options_.publishers + options_.consumers);
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  const unsigned threads =
      std::min(options_.client_threads != 0 ? options_.client_threads : cores, connections);
  WARREN_CHECK(prepare_queues());
  for (unsigned i = 0; i < threads; ++i) workers_.push_back(std::make_unique<Worker>());
  for (unsigned i = 0; i < options_.consumers; ++i) WARREN_CHECK(add_consumer(i));
  for (unsigned i = 0; i < options_.publishers; ++i) WARREN_CHECK(add_publisher(i));
  return {};
}

Status ThroughputRun::start() {
  began_ = shown_at_ = std::chrono::steady_clock::now();
  for (const auto& worker : workers_) {
    worker->post([&w = *worker] {
      for (const auto& consumer : w.consumers) consumer->start();
      for (const auto& publisher : w.publishers) publisher->start();
    });
  }
  return {};
}

Counters ThroughputRun::counters() const {
  Counters sum;
  for (const auto& worker : workers_) {
    for (const auto& publisher : worker->publishers) {
      sum.published += publisher->published();
      sum.confirmed += publisher->confirmed();
    }
    for (const auto& consumer : worker->consumers) sum.consumed += consumer->consumed();
  }
  return sum;
}

void ThroughputRun::show_progress(bool last) {
  if (::isatty(STDERR_FILENO) == 0 || options_.json) return;
  const Instant now = std::chrono::steady_clock::now();
  if (last) {
    std::fputs("\n", stderr);
  } else if (now - shown_at_ >= std::chrono::seconds(1)) {
    const Counters sum = counters();
    const std::string line =
        progress_line(sum, shown_, seconds_of(now - shown_at_), seconds_of(now - began_));
    fmt::print(stderr, "\r{}", line);
    shown_ = sum;
    shown_at_ = now;
  }
}

bool ThroughputRun::all_counts_reached() {
  if (options_.publish_count == 0 && options_.consume_count == 0) return false;
  return all_workers([&](Worker& worker) {
    const auto done = [](const auto& link) { return link->finished(); };
    return (options_.publish_count == 0 ||
            std::all_of(worker.publishers.begin(), worker.publishers.end(), done)) &&
           (options_.consume_count == 0 ||
            std::all_of(worker.consumers.begin(), worker.consumers.end(), done));
  });
}

bool ThroughputRun::all_publishers_finished() {
  return all_workers([](Worker& worker) {
    return std::all_of(worker.publishers.begin(), worker.publishers.end(),
                       [](const auto& link) { return link->finished(); });
  });
}

bool ThroughputRun::all_closed() {
  return all_workers([](Worker& worker) {
    const auto closed = [](const auto& link) { return link->closed(); };
    return std::all_of(worker.publishers.begin(), worker.publishers.end(), closed) &&
           std::all_of(worker.consumers.begin(), worker.consumers.end(), closed);
  });
}

Status ThroughputRun::failures() {
  std::string why;
  all_workers([&why](Worker& worker) {
    for (const auto& link : worker.publishers) {
      if (!link->failure().empty()) why = "publisher: " + link->failure();
    }
    for (const auto& link : worker.consumers) {
      if (!link->failure().empty()) why = "consumer: " + link->failure();
    }
    return true;
  });
  if (!why.empty()) return Error{Errc::io_error, why};
  return {};
}

// Until done() or the deadline; an error as soon as a connection fails.
Status ThroughputRun::wait_until(Instant deadline, bool (ThroughputRun::*done)()) {
  while (std::chrono::steady_clock::now() < deadline) {
    WARREN_CHECK(failures());
    if ((this->*done)()) return {};
    show_progress(false);
    std::this_thread::sleep_until(std::min(deadline, std::chrono::steady_clock::now() + kPoll));
  }
  return Error{Errc::internal, "time is over"};
}

Status ThroughputRun::measure(ThroughputReport& report) {
  const auto as_duration = [](double seconds) {
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
  };
  if (options_.warm_up_seconds > 0) {
    const Instant warm = began_ + as_duration(options_.warm_up_seconds);
    (void)wait_until(warm, &ThroughputRun::never);
    WARREN_CHECK(failures());
  }
  ProcessStats before;
  if (options_.server_pid != 0) {
    WARREN_TRY(before, read_process_stats(options_.server_pid));
  }
  const bool warmed = options_.warm_up_seconds > 0;
  const Counters first = warmed ? counters() : Counters{};
  const Instant from = warmed ? std::chrono::steady_clock::now() : began_;
  const bool counted = options_.publish_count != 0 || options_.consume_count != 0;
  const Status waited =
      wait_until(from + as_duration(options_.seconds), &ThroughputRun::all_counts_reached);
  WARREN_CHECK(failures());
  report.seconds = seconds_of(std::chrono::steady_clock::now() - from);
  const Counters last = counters();
  report.counters = {.published = last.published - first.published,
                     .confirmed = last.confirmed - first.confirmed,
                     .consumed = last.consumed - first.consumed};
  if (options_.server_pid != 0) {
    WARREN_TRY(const ProcessStats after, read_process_stats(options_.server_pid));
    report.server = ServerCost{.cpu_seconds = after.cpu_seconds - before.cpu_seconds,
                               .anonymous_bytes = after.anonymous_bytes};
  }
  show_progress(true);
  if (counted && !waited.ok()) {
    return Error{Errc::internal,
                 fmt::format("not done after {} s: {} published, {} confirmed, {} consumed",
                             options_.seconds, last.published, last.confirmed, last.consumed)};
  }
  return {};
}

Status ThroughputRun::finish(ThroughputReport& report) {
  for (const auto& worker : workers_) {
    worker->post([&w = *worker] {
      for (const auto& publisher : w.publishers) publisher->stop();
    });
  }
  const Instant now = std::chrono::steady_clock::now();
  if (!wait_until(now + kConfirmGrace, &ThroughputRun::all_publishers_finished).ok()) {
    WARREN_CHECK(failures());
    return Error{Errc::internal, "confirms are missing at the end"};
  }
  for (const auto& worker : workers_) {
    worker->post([&w = *worker] {
      for (const auto& publisher : w.publishers) publisher->begin_close();
      for (const auto& consumer : w.consumers) consumer->begin_close();
    });
  }
  const Instant closing = std::chrono::steady_clock::now();
  if (!wait_until(closing + kCloseGrace, &ThroughputRun::all_closed).ok()) {
    WARREN_CHECK(failures());
    return Error{Errc::internal, "connections do not close"};
  }
  all_workers([&report](Worker& worker) {
    for (const auto& publisher : worker.publishers) {
      report.nacked += publisher->nacked();
      report.returned += publisher->returned();
      report.confirm_latency.merge(publisher->confirm_latency());
    }
    for (const auto& consumer : worker.consumers) {
      report.redelivered += consumer->redelivered();
      report.latency.merge(consumer->latency());
    }
    return true;
  });
  return {};
}

Result<ThroughputReport> ThroughputRun::run() {
  ThroughputReport report;
  WARREN_CHECK(set_up());
  WARREN_CHECK(start());
  WARREN_CHECK(measure(report));
  WARREN_CHECK(finish(report));
  if (options_.delete_queues) {
    WireClient client;
    WARREN_CHECK(client.open(options_.uri));
    WARREN_TRY([[maybe_unused]] const auto opened,
               (client.call<amqp::ChannelOpenOk>(kLoadChannel, amqp::ChannelOpen{})));
    for (unsigned i = 0; i < options_.queues; ++i) {
      const std::string name = options_.queue_name(i);
      WARREN_TRY(
          [[maybe_unused]] const auto deleted,
          (client.call<amqp::QueueDeleteOk>(kLoadChannel, amqp::QueueDelete{.queue = name})));
    }
    WARREN_CHECK(client.close());
  }
  return report;
}

}  // namespace

Result<ThroughputReport> run_throughput(const ThroughputOptions& options) {
  return ThroughputRun(options).run();
}

}  // namespace warren::perf
