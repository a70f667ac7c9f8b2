// SPDX-License-Identifier: Apache-2.0
// A store under the test's control: shards whose turns the test runs, a committer and readers that
// move when the test says so, and a memory disk that can lose power.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "storage/engine/store_impl.h"
#include "storage/kv/memory_store.h"

namespace warren::storage {

class StepExecutor final : public Executor {
 public:
  void post(std::function<void()> function) override { queue_.push_back(std::move(function)); }
  bool run_one() {
    if (queue_.empty()) return false;
    const auto function = std::move(queue_.front());
    queue_.pop_front();
    function();
    return true;
  }
  void run_all() {
    while (run_one()) {
    }
  }

 private:
  std::deque<std::function<void()>> queue_;
};

class RecordingListener final : public StoreListener {
 public:
  struct Stored {
    LogId log;
    Seq first;
    Seq last;
  };

  void on_committed(std::span<const CommitToken> tokens) override {
    for (const CommitToken& token : tokens) committed.push_back(token.a);
    if (on_commit) on_commit(tokens);
  }
  void on_stored(LogId log, Seq first, Seq last) override {
    stored.push_back({log, first, last});
    if (on_store) on_store(log, first, last);
  }
  void on_mark_raised(LogId log) override { raised.push_back(log); }

  std::vector<std::uint64_t> committed;
  std::vector<Stored> stored;
  std::vector<LogId> raised;
  std::function<void(std::span<const CommitToken>)> on_commit;
  std::function<void(LogId, Seq, Seq)> on_store;
};

inline BlockRef block_of(const std::string& text) {
  return Block::copy_of(text);
}
inline std::string text_of(const StoredMessage& message) {
  return std::string(message.block->bytes());
}

// What a store stands on, and how it loses power.
class TestDisk {
 public:
  virtual ~TestDisk() = default;
  virtual std::unique_ptr<KvStore> open() = 0;
  // Between a store's end and the next open().
  virtual void lose_power() = 0;
  // Power went in the middle of something: what the store does since is a dream.
  virtual bool lost() const { return false; }
  // Disks as a power loss would have left this one, at moments since the last call.
  virtual std::vector<std::unique_ptr<TestDisk>> take_images() { return {}; }
};

class MemoryTestDisk final : public TestDisk {
 public:
  std::unique_ptr<KvStore> open() override { return std::make_unique<MemoryStore>(memory); }
  void lose_power() override { memory->lose_unsynced(); }

  std::shared_ptr<MemoryDisk> memory = std::make_shared<MemoryDisk>();
};

// A store in steps, on a memory disk if not told otherwise.
class StoreDriver {
 public:
  explicit StoreDriver(StoreOptions options = {}, std::unique_ptr<TestDisk> below = nullptr)
      : options_(std::move(options)), below_(std::move(below)) {
    if (below_ == nullptr) {
      auto memory = std::make_unique<MemoryTestDisk>();
      disk = memory->memory;
      below_ = std::move(memory);
    }
    open();
  }

  void open() {
    auto kv_opened = below_->open();
    ASSERT_NE(kv_opened, nullptr);
    kv = kv_opened.get();
    auto opened = StoreImpl::open_on(std::move(kv_opened), "test-store", options_, Drive::steps);
    ASSERT_TRUE(opened.ok()) << opened.error().text;
    store = opened.take();
    store->on_failure([this](const Error& error) { failures.push_back(error.text); });
    shards.clear();
    for (unsigned i = 0; i < options_.shard_count; ++i) {
      shards.push_back(std::make_unique<Shard>());
      store->shard(i).attach(shards[i]->executor, shards[i]->listener);
    }
  }

  // Loses what is not committed.
  void crash() {
    store.reset();
    below_->lose_power();
    open();
  }
  void restart() {
    stop();
    start();
  }
  void stop() {
    const Status closed = store->close();
    ASSERT_TRUE(closed.ok()) << closed.error().text;
    store.reset();
    lost_power = below_->lost();
  }
  void start() {
    below_->lose_power();
    open();
  }

  ShardStore& shard(ShardIndex index = 0) { return store->shard(index); }
  RecordingListener& listener(ShardIndex index = 0) { return shards[index]->listener; }
  StepExecutor& executor(ShardIndex index = 0) { return shards[index]->executor; }

  void end_turns() {
    for (unsigned i = 0; i < options_.shard_count; ++i) deadline = shard(i).end_turn(now);
  }
  // Runs everything until nothing moves.
  void settle_down() {
    for (int quiet = 0; quiet < 3;) {
      now += options_.idle_commit_delay;
      end_turns();
      bool moved = store->step_commit();
      moved = store->step_read() || moved;
      for (auto& each : shards) {
        while (each->executor.run_one()) moved = true;
      }
      quiet = moved ? 0 : quiet + 1;
    }
  }

  // A durable queue named `name` with logs of its own; its definition is not durable yet.
  std::vector<QueueLog*> define_lanes(const std::string& name, std::uint32_t count,
                                      ShardIndex index, const CommitToken* token) {
    QueueDefinition queue;
    queue.vhost = "/";
    queue.name = name;
    queue.log = store->new_log_ids(count);
    queue.log_count = count;
    queue.durable = true;
    shard(0).change_definitions({{DefinitionChange::Kind::put, queue}}, token);
    std::vector<QueueLog*> out;
    for (const LogId log : logs_of(queue)) {
      LogState state;
      state.id = log;
      out.push_back(&shard(index).open_log(state));
    }
    return out;
  }
  QueueLog& define_queue(const std::string& name, ShardIndex index = 0,
                         const CommitToken* token = nullptr) {
    return *define_lanes(name, 1, index, token).front();
  }
  void undefine_queue(const std::string& name, const CommitToken* token) {
    QueueDefinition queue;
    queue.vhost = "/";
    queue.name = name;
    shard(0).change_definitions({{DefinitionChange::Kind::remove, queue}}, token);
  }

  // Reads all of [from, to) to its end.
  std::vector<std::pair<Seq, std::string>> read_all(QueueLog& log, Seq from, Seq to,
                                                    std::size_t hint = 1) {
    std::vector<std::pair<Seq, std::string>> out;
    damaged = 0;
    while (from < to) {
      bool answered = false;
      log.read(from, to, hint, [&](Result<ReadResult> result) {
        answered = true;
        EXPECT_TRUE(result.ok());
        for (const StoredMessage& message : result->messages) {
          out.emplace_back(message.seq, text_of(message));
        }
        damaged += result->damaged;
        EXPECT_GT(result->next, from);
        from = result->next;
      });
      EXPECT_FALSE(answered);
      store->step_read();
      for (auto& each : shards) each->executor.run_all();
      EXPECT_TRUE(answered);
      if (!answered) break;
    }
    return out;
  }

  struct Shard {
    StepExecutor executor;
    RecordingListener listener;
  };
  StoreOptions options_;
  std::unique_ptr<TestDisk> below_;
  std::shared_ptr<MemoryDisk> disk;  // null on another disk
  KvStore* kv = nullptr;             // the open store's
  std::vector<std::unique_ptr<Shard>> shards;
  std::unique_ptr<StoreImpl> store;
  Instant now{};
  Instant deadline{};
  std::uint64_t damaged = 0;
  bool lost_power = false;  // in the last stop()
  std::vector<std::string> failures;
};

// The only log of a store that was just opened.
inline QueueLog& reopen_only_log(StoreDriver& d) {
  const std::vector<LogState> states = d.store->take_log_states();
  EXPECT_EQ(states.size(), 1u);
  return d.shard().open_log(states.at(0));
}

// A queue whose definition is durable.
inline QueueLog& new_log(StoreDriver& d, ShardIndex shard = 0) {
  static int names = 0;
  QueueLog& log = d.define_queue("q" + std::to_string(++names), shard);
  d.settle_down();
  return log;
}

}  // namespace warren::storage
