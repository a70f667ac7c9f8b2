// SPDX-License-Identifier: Apache-2.0
// The real Queue on a real store in memory, its shard played step by step: a turn, a commit, a read
// happen when the test says so. What the queue says goes to the one who derives from this.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "storage/base/assert.h"
#include "storage/engine/store_impl.h"
#include "storage/kv/memory_store.h"

#include "server/broker/message.h"
#include "server/broker/queue/queue.h"

namespace warren::broker {

struct RigOptions {
  QueueSettings settings;
  bool durable = true;
  std::uint64_t window_bytes = 64 << 10;
  std::size_t chunk_bytes_max = 4096;
  std::int64_t transient_budget = INT64_MAX;
};

class QueueRig : public QueueHost, public storage::StoreListener {
 public:
  explicit QueueRig(RigOptions options)
      : options_(std::move(options)), disk_(std::make_shared<storage::MemoryDisk>()) {
    open();
    definition_.vhost = "/";
    definition_.name = "q";
    definition_.durable = options_.durable;
    definition_.log_count = options_.settings.max_priority + 1U;
    definition_.log = store_->new_log_ids(definition_.log_count);
    if (options_.durable) {
      shard().change_definitions({{storage::DefinitionChange::Kind::put, definition_}}, nullptr);
    }
    make_queue({});
  }
  ~QueueRig() override { queue_.reset(); }

  Queue& queue() { return *queue_; }
  const QueueSettings& settings() const { return options_.settings; }
  bool pages() const { return options_.durable || options_.transient_budget != INT64_MAX; }

  // ---- steps ----
  void turn() {
    const bool rings = now_ms_ >= alarm_ms_;
    if (rings) alarm_ms_ = kNoDeadline;
    if (scheduled_ || rings) {
      scheduled_ = false;
      queue_->dispatch();
    }
    shard().end_turn(now_);
    std::vector<std::pair<storage::CommitToken, bool>> answers;
    answers.swap(answers_);
    for (const auto& [token, taken] : answers) on_answer(token, taken);
  }
  bool step_commit() { return store_->step_commit(); }
  bool step_read() { return store_->step_read(); }
  bool begin_read() { return store_->begin_read(); }
  bool step_callback() {
    if (executor_.queue.empty()) return false;
    const auto function = std::move(executor_.queue.front());
    executor_.queue.pop_front();
    function();
    return true;
  }
  // Until nothing happens any more.
  void settle() {
    for (int idle = 0; idle < 3; ++idle) {
      turn();
      while (step_commit() || step_read() || step_callback() || scheduled_) {
        turn();
        idle = 0;
      }
      now_ += std::chrono::milliseconds(5);
    }
  }
  void advance(std::int64_t ms) {
    now_ += std::chrono::milliseconds(ms);
    now_ms_ += ms;
  }
  // Power loss. REQUIRES: settled.
  void restart() {
    queue_.reset();
    store_.reset();
    executor_.queue.clear();
    answers_.clear();
    scheduled_ = false;
    alarm_ms_ = kNoDeadline;
    disk_->lose_unsynced();
    open();
    make_queue(store_->take_log_states());
  }
  std::int64_t transient_bytes() const { return transient_bytes_; }
  // Of the queue's windows, as it tells its shard.
  std::int64_t window_bytes() const { return window_bytes_; }

  // ---- what the queue says ----
  virtual void on_delivery(const Consumer& consumer, const Delivery& delivery) = 0;
  virtual void on_reply(const Reply& reply) = 0;
  virtual void on_answer(const storage::CommitToken& token, bool taken) = 0;
  virtual void on_leaving(Leaving leaving) = 0;

  // ---- QueueHost ----
  std::int64_t now_ms() const override { return now_ms_; }
  void schedule(Queue&) override { scheduled_ = true; }
  void schedule_at(Queue&, std::int64_t when_ms) override {
    alarm_ms_ = std::min(alarm_ms_, when_ms);
  }
  void deliver(const Consumer& consumer, Delivery delivery) override {
    on_delivery(consumer, delivery);
  }
  void ask(const Consumer&) override { WARREN_ASSERT(false); }
  void return_grant(const Consumer&, std::uint32_t) override { WARREN_ASSERT(false); }
  void reply(Reply reply) override { on_reply(reply); }
  void reply_when_durable(Reply reply) override { on_reply(reply); }
  void answer_publish(const storage::CommitToken& token, bool taken) override {
    answers_.emplace_back(token, taken);
  }
  void confirm_when_durable(const storage::CommitToken& token) override { shard().barrier(token); }
  void retry_later(Queue&) override { WARREN_ASSERT(false); }
  void cancel_consumer(const Consumer&) override { WARREN_ASSERT(false); }
  void time_out_consumer(const Consumer&, std::int64_t) override { WARREN_ASSERT(false); }
  void remove_unused(Queue&, Reply) override { WARREN_ASSERT(false); }
  void dead_letter(Queue&, Leaving leaving) override { on_leaving(std::move(leaving)); }
  void hold_publishers(Queue&, bool) override {}
  bool overloaded() const override { return false; }
  storage::QueueLog& open_log(const storage::LogState& state, Queue&) override {
    return shard().open_log(state);
  }
  void add_transient_bytes(std::int64_t bytes) override { transient_bytes_ += bytes; }
  void add_window_bytes(std::int64_t bytes) override { window_bytes_ += bytes; }
  bool windows_over_budget() const override { return false; }
  bool transient_over_budget() const override {
    return transient_bytes_ > options_.transient_budget;
  }

  // ---- StoreListener ----
  void on_committed(std::span<const storage::CommitToken> tokens) override {
    for (const storage::CommitToken& token : tokens) on_answer(token, true);
  }
  void on_stored(LogId log, Seq first, Seq last) override { queue_->on_stored(log, first, last); }
  void on_mark_raised(LogId) override { queue_->on_mark_raised(); }

 private:
  struct StepExecutor final : Executor {
    void post(std::function<void()> function) override { queue.push_back(std::move(function)); }
    std::deque<std::function<void()>> queue;
  };

  storage::ShardStore& shard() { return store_->shard(0); }
  void open() {
    storage::StoreOptions store_options;
    store_options.chunk_bytes_max = options_.chunk_bytes_max;
    auto opened = storage::StoreImpl::open_on(std::make_unique<storage::MemoryStore>(disk_), "rig",
                                              store_options, storage::Drive::steps);
    WARREN_ASSERT(opened.ok());
    store_ = opened.take();
    shard().attach(executor_, *this);
  }
  void make_queue(const std::vector<storage::LogState>& recovered) {
    queue_ = std::make_unique<Queue>(static_cast<QueueHost&>(*this),
                                     std::make_shared<const storage::QueueDefinition>(definition_),
                                     std::make_shared<const QueueSettings>(options_.settings),
                                     options_.window_bytes, recovered);
  }

  const RigOptions options_;
  std::shared_ptr<storage::MemoryDisk> disk_;
  StepExecutor executor_;
  std::unique_ptr<storage::StoreImpl> store_;
  storage::QueueDefinition definition_;
  std::unique_ptr<Queue> queue_;
  Instant now_ = Instant{} + std::chrono::hours(1);
  std::int64_t now_ms_ = 1'700'000'000'000;
  bool scheduled_ = false;
  std::int64_t alarm_ms_ = kNoDeadline;
  std::vector<std::pair<storage::CommitToken, bool>> answers_;
  std::int64_t transient_bytes_ = 0;
  std::int64_t window_bytes_ = 0;
};

}  // namespace warren::broker
