// SPDX-License-Identifier: Apache-2.0
// What the random workload checks while it runs and after each start.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "storage/inspect/store_check.h"

#include "tests/unit/storage/engine/workload_notes.h"
#include "tests/unit/storage/engine/workload_steps.h"

namespace warren::storage {

// S15, from outside: the counters of every log agree with the ledger at every moment.
inline void Workload::check_alive() {
  for (const auto& queue : queues_) {
    if (queue->stage != LedgerQueue::Stage::usable) continue;
    const LogState state = queue->log->state();
    EXPECT_EQ(state.live_count, queue->live_count());
    EXPECT_EQ(state.live_bytes, queue->live_bytes());
    EXPECT_EQ(state.live_weight, queue->live_weight());
    for (const auto& [seq, message] : queue->messages) {
      if (message.settled) continue;
      EXPECT_GE(seq, state.head);
      break;
    }
  }
}

inline void Workload::check_disk(KvStore& kv) {
  const auto checked = check_store(kv);
  ASSERT_TRUE(checked.ok());
  for (const std::string& problem : checked->problems) {
    // Between the definition's removal and the log's there is an orphan: allowed.
    if (problem.find("belongs to no queue") != std::string::npos) continue;
    ADD_FAILURE() << problem;
  }
}

// What if the power had gone just then? The run itself goes on as if nothing had happened.
inline void Workload::check_images() {
  for (const auto& image : driver_.below_->take_images()) check_image(*image, false);
}

inline void Workload::check_image(TestDisk& image, bool in_start) {
  if (::testing::Test::HasFailure()) return;
  ++losses_.points;
  losses_.in_starts += in_start ? 1 : 0;
  {
    auto kv = image.open();
    ASSERT_NE(kv, nullptr);
    KvStore& below = *kv;
    auto opened = StoreImpl::open_on(std::move(kv), "test-store", driver_.options_, Drive::steps);
    ASSERT_TRUE(opened.ok()) << opened.error().text;
    const auto store = opened.take();
    LedgerQueues queues = copy_of(queues_);
    judge_start(*store, below, queues, store->recovery_report().clean_stop);
  }
  for (const auto& again : image.take_images()) check_image(*again, true);
}

// Power that goes while the store opens goes before anybody could use it: open again.
inline bool Workload::open_until_powered() {
  bool again = false;
  while (driver_.below_->lost() && !::testing::Test::HasFatalFailure()) {
    driver_.crash();
    ++losses_.points;
    ++losses_.in_starts;
    again = true;
  }
  return again;
}

inline void Workload::crash() {
  check_images();
  driver_.crash();
  open_until_powered();
  if (::testing::Test::HasFatalFailure()) return;
  EXPECT_FALSE(driver_.store->recovery_report().clean_stop);
  reopen(false);
}

inline void Workload::restart() {
  bool busy = true;
  while (busy) {
    busy = false;
    for (unsigned shard = 0; shard < outbox_.size(); ++shard) {
      busy = run_outbox(shard) || busy;
      driver_.shard(shard).end_turn(driver_.now);
    }
  }
  driver_.stop();
  check_images();
  driver_.start();
  const bool interrupted = open_until_powered() || driver_.lost_power;
  if (::testing::Test::HasFatalFailure()) return;
  const bool clean = driver_.store->recovery_report().clean_stop;
  EXPECT_TRUE(clean || interrupted);
  reopen(clean);
}

inline void Workload::reopen(bool clean) {
  ++losses_.points;
  listen();
  for (auto& parts : outbox_) parts.clear();
  tokens_.clear();
  barriers_.clear();
  definition_tokens_.clear();
  const auto states = judge_start(*driver_.store, *driver_.kv, queues_, clean);
  if (::testing::Test::HasFailure()) return;
  for (auto& queue : queues_) {
    queue->stage = LedgerQueue::Stage::usable;
    queue->shard = any_shard();
    queue->log = &driver_.shard(queue->shard).open_log(states.at(queue->id));
  }
}

// Everything that a start knows of a log, and what can be read of it.
inline Result<FoundLog> look_at(KvStore& kv, const LogState& state) {
  FoundLog found;
  found.state = state;
  ReadRequest request;
  request.log = state.id;
  request.from = state.head;
  request.to = state.next;
  request.bytes_hint = SIZE_MAX;
  request.returns = state.has_returns;
  WARREN_TRY(ReadOutcome read, read_log(kv, request));
  EXPECT_EQ(read.damaged, 0u);
  found.messages = std::move(read.messages);
  request.kind = ReadRequest::Kind::due;
  request.limit = SIZE_MAX;
  WARREN_TRY(ReadOutcome due, read_log(kv, request));
  found.due = std::move(due.due);
  return found;
}

// Holds what a start found against the ledger, and makes the ledger say what is there.
inline std::map<LogId, LogState> Workload::judge_start(StoreImpl& store, KvStore& kv,
                                                       LedgerQueues& queues, bool clean) {
  std::map<std::string, QueueDefinition> defined;
  std::size_t logs = 0;
  for (const Definition& definition : store.take_definitions()) {
    const auto& queue = std::get<QueueDefinition>(definition);
    defined[queue.name] = queue;
    logs += queue.log_count;
  }
  std::map<LogId, LogState> states;
  for (const LogState& state : store.take_log_states()) states[state.id] = state;
  std::map<std::uint64_t, FanoutFate> fanouts;
  std::erase_if(queues, [&](const auto& queue) {
    if (defined.contains(queue->name)) return false;
    EXPECT_NE(queue->stage, LedgerQueue::Stage::usable) << "queue lost: " << queue->name;
    return true;
  });
  EXPECT_EQ(logs, queues.size()) << "a confirmed drop is lost, or a lane";
  for (auto& queue : queues) {
    EXPECT_EQ(defined[queue->name].log.value + queue->lane, queue->id.value);
    if (!states.contains(queue->id)) {
      // A lane that was never used has none.
      EXPECT_NE(queue->lane, 0u) << "no state of " << queue->name;
      states[queue->id].id = queue->id;
    }
    const auto found = look_at(kv, states.at(queue->id));
    EXPECT_TRUE(found.ok());
    if (found.ok()) queue->check_recovered(*found, clean, fanouts);
  }
  for (const auto& [fanout, fate] : fanouts) {
    EXPECT_TRUE(fate.present == 0 || fate.vanished == 0) << "half a fan-out: " << fanout;  // S4
  }
  check_disk(kv);
  return states;
}

}  // namespace warren::storage
