// SPDX-License-Identifier: Apache-2.0
#include "server/tools/perf/load_run.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <span>
#include <thread>

#include <fmt/format.h>

#include "server/tools/perf/connect.h"
#include "server/tools/perf/crew.h"
#include "server/tools/perf/load_links.h"
#include "server/tools/perf/recorder.h"

namespace warren::perf {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kPoll(2);
constexpr milliseconds kPollMany(50);  // with more channels than
constexpr std::size_t kMany = 1000;
constexpr milliseconds kSampleEvery(100);
constexpr seconds kReadyGrace(20);       // until the broker delivers
constexpr seconds kConfirmGrace(10);     // for what is open at the end, as long as it moves
constexpr seconds kCloseGrace(60);       // all that was sent is read by then
constexpr seconds kDrainQuiet(5);        // --verify: nothing more comes
constexpr milliseconds kDrainDone(300);  // --verify: as much as was sent came, and no more

Instant now() {
  return std::chrono::steady_clock::now();
}

double seconds_of(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

Duration as_duration(double count) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(count));
}

class LoadRun {
 public:
  LoadRun(const LoadOptions& options, Recorder recorder, ServerProbe probe)
      : options_(options),
        topology_(options.queues),
        recorder_(std::move(recorder)),
        probe_(std::move(probe)) {}

  Result<LoadReport> run();

 private:
  enum class Waited : std::uint8_t { done, time_over };
  using Question = std::function<bool()>;

  Status set_up();
  Status declare_queues();
  Status remove_queues();
  Status start();
  Status measure(LoadReport& report);
  Status drain();
  Status finish(LoadReport& report);
  // Until it is done or the deadline; an error as soon as a connection fails.
  Result<Waited> wait(Instant deadline, const Question& done);
  // The same, and the deadline moves with every message.
  Result<Waited> wait_while_moving(Duration quiet, const Question& done);
  void sample();
  void record_second();
  bool counts_reached();

  const LoadOptions& options_;
  const Topology topology_;
  WireClient control_;  // holds what is exclusive and has no consumer
  std::optional<LoadLinks> links_;
  Recorder recorder_;
  ServerProbe probe_;
  Instant began_{};
  Instant sampled_at_{};
  Instant recorded_at_{};
  Counters recorded_;
  Latencies recorded_latencies_;
  double recorded_cpu_ = 0;
};

Status LoadRun::declare_queues() {
  if (options_.queues.exclusive) return topology_.declare_all(std::span(&control_, 1));
  WARREN_TRY(auto crew, connect_crew(options_.broker.uri, topology_.queues().size()));
  WARREN_CHECK(topology_.declare_all(crew));
  return close_crew(crew);
}

Status LoadRun::remove_queues() {
  if (options_.queues.exclusive) return topology_.remove(std::span(&control_, 1));
  WARREN_TRY(auto crew, connect_crew(options_.broker.uri, topology_.queues().size()));
  WARREN_CHECK(topology_.remove(crew));
  return close_crew(crew);
}

Status LoadRun::set_up() {
  WARREN_TRY(control_, connect(options_.broker.uri));
  if (const Status done = topology_.declare_exchanges(control_); !done.ok()) {
    return explain("declaring the exchange", done.error());
  }
  // The connection that consumes declares what only it may use.
  const bool by_consumers = options_.queues.exclusive && options_.traffic.consumers != 0;
  if (!by_consumers) WARREN_CHECK(declare_queues());
  links_.emplace(options_, topology_);
  return links_->open();
}

Status LoadRun::start() {
  began_ = recorded_at_ = now();
  links_->start_consumers(began_);
  if (options_.traffic.publishers == 0) return {};
  WARREN_TRY(const Waited ready,
             wait(now() + kReadyGrace, [&] { return links_->consumers_ready(); }));
  if (ready != Waited::done)
    return Error{Errc::internal, "the broker does not answer basic.consume"};
  began_ = recorded_at_ = now();
  links_->start_publishers(began_);
  return {};
}

bool LoadRun::counts_reached() {
  const TrafficOptions& traffic = options_.traffic;
  if (traffic.publish_count == 0 && traffic.consume_count == 0) return false;
  const Counters sum = links_->counters();
  if (traffic.consume_count != 0 && sum.consumed < traffic.consume_count) return false;
  if (traffic.publish_count == 0) return true;
  if (sum.published < traffic.publish_count) return false;
  return (traffic.confirm_window == 0 && traffic.publish_tx == 0) ||
         sum.confirmed >= traffic.publish_count;
}

void LoadRun::record_second() {
  Second second;
  const Instant at = now();
  const Counters counters = links_->counters();
  second.at = seconds_of(at - began_);
  second.seconds = seconds_of(at - recorded_at_);
  second.counters = counters.minus(recorded_);
  if (options_.run.latency) {
    const Latencies all = links_->latencies();
    second.delivery = all.delivery.since(recorded_latencies_.delivery);
    second.confirm = all.confirm.since(recorded_latencies_.confirm);
    recorded_latencies_ = all;
  }
  if (const auto cost = probe_.cost()) {
    second.server_cores = std::max(0.0, cost->cpu_seconds - recorded_cpu_) / second.seconds;
    second.server_anonymous_mib = mebibytes(cost->anonymous_bytes);
    recorded_cpu_ = cost->cpu_seconds;
  }
  recorder_.add(second);
  recorded_at_ = at;
  recorded_ = counters;
}

void LoadRun::sample() {
  const Instant at = now();
  if (at - sampled_at_ >= kSampleEvery) {
    probe_.sample();
    sampled_at_ = at;
  }
  if (recorder_.wants_rows() && began_ != Instant{} && at - recorded_at_ >= seconds(1)) {
    record_second();
  }
}

Result<LoadRun::Waited> LoadRun::wait(Instant deadline, const Question& done) {
  const Duration poll = links_->size() > kMany ? Duration(kPollMany) : Duration(kPoll);
  while (true) {
    const std::string why = links_->failure();
    if (!why.empty()) return explain("", {Errc::io_error, why});
    if (done()) return Waited::done;
    if (now() >= deadline) return Waited::time_over;
    sample();
    std::this_thread::sleep_until(std::min(deadline, now() + poll));
  }
}

Result<LoadRun::Waited> LoadRun::wait_while_moving(Duration quiet, const Question& done) {
  Counters last = links_->counters();
  while (true) {
    WARREN_TRY(const Waited waited, wait(now() + quiet, done));
    const Counters sum = links_->counters();
    if (waited == Waited::done) return waited;
    if (sum.confirmed == last.confirmed && sum.consumed == last.consumed) return waited;
    last = sum;
  }
}

Status LoadRun::measure(LoadReport& report) {
  const RunOptions& run = options_.run;
  const bool warmed = run.warm_up_seconds > 0;
  if (warmed) {
    WARREN_TRY([[maybe_unused]] const Waited warm,
               wait(began_ + as_duration(run.warm_up_seconds), [] { return false; }));
  }
  probe_.begin();
  recorded_cpu_ = 0;
  const std::vector<double> cpu_before = links_->cpu_seconds();
  const Counters first = warmed ? links_->counters() : Counters{};
  const Latencies earlier = warmed ? links_->latencies() : Latencies{};
  const Instant from = warmed ? now() : began_;
  WARREN_TRY(const Waited waited,
             wait(from + as_duration(run.seconds), [&] { return counts_reached(); }));
  report.seconds = seconds_of(now() - from);
  const Counters last = links_->counters();
  report.counters = last.minus(first);
  report.server = probe_.cost();
  const std::vector<double> cpu_after = links_->cpu_seconds();
  report.client.threads = static_cast<unsigned>(cpu_after.size());
  for (std::size_t i = 0; i < cpu_after.size(); ++i) {
    const double share = (cpu_after[i] - cpu_before[i]) / std::max(report.seconds, 1e-9);
    report.client.cores += share;
    report.client.busiest = std::max(report.client.busiest, share);
  }
  const Latencies all = links_->latencies();
  report.latency = warmed ? all.delivery.since(earlier.delivery) : all.delivery;
  report.confirm_latency = warmed ? all.confirm.since(earlier.confirm) : all.confirm;
  if ((options_.traffic.publish_count != 0 || options_.traffic.consume_count != 0) &&
      waited != Waited::done) {
    return Error{Errc::internal,
                 fmt::format("not done after {} s (--seconds): {} published, {} confirmed, {} "
                             "consumed",
                             run.seconds, last.published, last.confirmed, last.consumed)};
  }
  return {};
}

// Lets the consumers take what is on its way, so that what is missing then is lost.
Status LoadRun::drain() {
  Counters last = links_->counters();
  Instant changed = now();
  const auto done = [&] {
    const Counters sum = links_->counters();
    if (sum.consumed != last.consumed) changed = now();
    last = sum;
    return sum.consumed >= sum.published && now() - changed >= kDrainDone;
  };
  WARREN_TRY([[maybe_unused]] const Waited waited, wait_while_moving(kDrainQuiet, done));
  return {};
}

Status LoadRun::finish(LoadReport& report) {
  links_->stop_publishers();
  WARREN_TRY(const Waited answered,
             wait_while_moving(kConfirmGrace, [&] { return links_->publishers_finished(); }));
  if (answered != Waited::done) {
    const Counters sum = links_->counters();
    return Error{Errc::internal,
                 fmt::format("no confirm for {} s: {} of {} are missing at the end",
                             kConfirmGrace.count(), sum.published - sum.confirmed, sum.published)};
  }
  if (options_.run.verify && options_.traffic.consume_count == 0) WARREN_CHECK(drain());
  links_->stop_consumers();
  WARREN_TRY(const Waited acked,
             wait(now() + kConfirmGrace, [&] { return links_->consumers_finished(); }));
  if (acked != Waited::done) {
    return Error{Errc::internal, "the broker does not take the last acknowledgements"};
  }
  links_->begin_close();
  WARREN_TRY(const Waited closed, wait(now() + kCloseGrace, [&] { return links_->closed(); }));
  if (closed != Waited::done) {
    return Error{Errc::internal, fmt::format("the broker does not close its connections within "
                                             "{} s",
                                             kCloseGrace.count())};
  }
  links_->collect(report);
  if (options_.queues.remove) WARREN_CHECK(remove_queues());
  return control_.close();
}

Result<LoadReport> LoadRun::run() {
  LoadReport report;
  WARREN_CHECK(set_up());
  WARREN_CHECK(start());
  const Status measured = measure(report);
  const Status recorded = recorder_.finish();
  WARREN_CHECK(measured);
  WARREN_CHECK(recorded);
  began_ = {};  // what follows is not progress
  WARREN_CHECK(finish(report));
  return report;
}

}  // namespace

Result<LoadReport> run_load(const LoadOptions& options, const std::string& label) {
  WARREN_TRY(Recorder recorder, Recorder::open(options.output, label));
  WARREN_TRY(ServerProbe probe, ServerProbe::find(options.broker));
  return LoadRun(options, std::move(recorder), std::move(probe)).run();
}

}  // namespace warren::perf
