// SPDX-License-Identifier: Apache-2.0
// A random broker on top of the store: one to three shards, some queues of one to three logs, every
// call of the door in legal but unlikely orders, and a ledger of what it did.
//   workload_steps.h   what it does        workload_notes.h   messages with a time of their own
//   workload_checks.h  what must hold, crashes and starts; to be included by tests
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/unit/storage/engine/ledger.h"
#include "tests/unit/storage/engine/store_driver.h"

namespace warren::storage {

inline constexpr std::size_t kQueuesMax = 6;  // logs, about
inline constexpr std::uint64_t kLanesMax = 3;
inline constexpr std::uint64_t kDueMax = 1000;

class Workload {
 public:
  explicit Workload(std::uint64_t seed, std::unique_ptr<TestDisk> disk = nullptr,
                    std::size_t body_bytes_max = 60)
      : random_(seed),
        driver_(options_for(seed), std::move(disk)),
        body_bytes_max_(body_bytes_max),
        outbox_(driver_.options_.shard_count) {
    open_until_powered();
    if (driver_.store != nullptr) listen();
    check_images();
  }

  void run(int steps) {
    for (int step = 0; step < steps && !::testing::Test::HasFailure(); ++step) {
      act();
      if (driver_.below_->lost()) crash();
      // After a failed start there is nothing to look at.
      if (!::testing::Test::HasFailure()) check_alive();
      check_images();
    }
    if (!::testing::Test::HasFailure()) restart();
    check_images();
  }

  // Power losses whose outcome was held against the ledger.
  struct Losses {
    std::uint64_t points = 0;
    std::uint64_t in_starts = 0;  // of these: before the start after another one had ended
  };
  const Losses& losses() const { return losses_; }

 private:
  using Where = std::pair<LogId, Seq>;
  // What was said before a barrier: certain once that comes back.
  struct Said {
    std::vector<Where> settled;
    std::vector<std::pair<Where, std::uint32_t>> returns;
    std::vector<std::pair<LogId, DueTime>> due_dropped;
  };
  // What one shard is yet to do for a fan-out.
  struct Part {
    std::uint64_t fanout = 0;
    unsigned shard_count = 0;
    std::vector<LogId> logs;
    BlockRef block;  // that all of them get; nothing: each gets one of its own
    BodyId body;
  };

  static StoreOptions options_for(std::uint64_t seed) {
    StoreOptions options;
    options.shard_count = 1 + seed % 3;
    options.chunk_bytes_max = seed % 2 == 0 ? 200 : 4000;
    options.shared_bytes_min = seed % 4 < 2 ? 1 : 40;
    options.sweep_records_max = 1 + seed % 5;
    options.fetched_chunks_max = 1 + seed % 4;
    return options;
  }

  std::uint64_t pick(std::uint64_t below) { return random_() % below; }
  unsigned any_shard() { return static_cast<unsigned>(pick(driver_.options_.shard_count)); }
  LedgerQueue* any_queue();
  LedgerQueue* queue_of(LogId id);

  void act();
  void act_rarely();
  void listen();
  void on_committed(std::span<const CommitToken> tokens);
  void said_is_certain(const Said& said);
  void definition_is_certain(const std::string& name);
  void on_stored(LogId log, Seq first, Seq last);
  void create_queue();
  void start_drop();
  void append(LedgerQueue& queue, Durability durability, std::uint64_t fanout, bool with_token,
              const Part* part = nullptr);
  void append_some();
  void start_fanout();
  bool run_outbox(unsigned shard);
  void settle(LedgerQueue& queue, Seq seq);
  void settle_some();
  void deliver_some();
  void release_some();
  void read_some();
  void read_answered(LogId id, Seq from, const Result<ReadResult>& result);
  void purge();
  void purge_range(LedgerQueue& queue, Seq from, Seq to);
  void barrier();
  void move_some();
  void note_some();
  void index_step();
  void ask_due();
  void due_answered(LogId id, const std::vector<DueEntry>& expected, const DueEntry& after,
                    std::size_t limit, const Result<std::vector<DueEntry>>& result);
  void fetch_some();
  void fetch_answered(LogId id, const std::vector<DueEntry>& wanted,
                      const Result<std::vector<StoredMessage>>& result);
  void end_fetch(LedgerQueue& queue, Seq seq);
  void reset_index(LedgerQueue& queue);
  void check_alive();
  static void check_disk(KvStore& kv);
  void check_images();
  void check_image(TestDisk& image, bool in_start);
  static std::map<LogId, LogState> judge_start(StoreImpl& store, KvStore& kv, LedgerQueues& queues,
                                               bool clean);
  bool open_until_powered();
  void crash();
  void restart();
  void reopen(bool clean);

  std::mt19937_64 random_;
  StoreDriver driver_;
  const std::size_t body_bytes_max_;
  LedgerQueues queues_;
  std::vector<std::deque<Part>> outbox_;
  std::map<std::uint64_t, Where> tokens_;  // outstanding
  std::map<std::uint64_t, Said> barriers_;
  std::map<std::uint64_t, std::string> definition_tokens_;  // the queue's name
  std::uint64_t next_id_ = 1;
  Losses losses_;
};

}  // namespace warren::storage
