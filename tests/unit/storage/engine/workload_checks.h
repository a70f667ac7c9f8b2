// SPDX-License-Identifier: Apache-2.0
// What the random workload checks while it runs and after each start.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "storage/inspect/store_check.h"

#include "tests/unit/storage/engine/workload.h"

namespace warren::storage {

// S15, from outside: the counters of every log agree with the ledger at every moment.
inline void Workload::check_alive() {
  for (const auto& queue : queues_) {
    if (queue->stage != LedgerQueue::Stage::usable) continue;
    const LogState state = queue->log->state();
    EXPECT_EQ(state.live_count, queue->live_count());
    EXPECT_EQ(state.live_bytes, queue->live_bytes());
    for (const auto& [seq, message] : queue->messages) {
      if (message.settled) continue;
      EXPECT_GE(seq, state.head);
      break;
    }
  }
}

inline void Workload::check_disk() {
  const auto checked = check_store(*driver_.kv);
  ASSERT_TRUE(checked.ok());
  for (const std::string& problem : checked->problems) {
    // Between the definition's removal and the log's there is an orphan: allowed.
    if (problem.find("belongs to no queue") != std::string::npos) continue;
    ADD_FAILURE() << problem;
  }
}

// Power that goes while the store opens goes before anybody could use it: open again.
inline bool Workload::open_until_powered() {
  bool again = false;
  while (driver_.below_->lost() && !::testing::Test::HasFatalFailure()) {
    driver_.crash();
    again = true;
  }
  return again;
}

inline void Workload::crash() {
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
  driver_.restart();
  const bool interrupted = open_until_powered() || driver_.lost_power;
  if (::testing::Test::HasFatalFailure()) return;
  const bool clean = driver_.store->recovery_report().clean_stop;
  EXPECT_TRUE(clean || interrupted);
  reopen(clean);
}

inline void Workload::reopen(bool clean) {
  listen();
  for (auto& parts : outbox_) parts.clear();
  tokens_.clear();
  barriers_.clear();
  definition_tokens_.clear();
  std::map<std::string, LogId> defined;
  for (const Definition& definition : driver_.store->take_definitions()) {
    const auto& queue = std::get<QueueDefinition>(definition);
    defined[queue.name] = queue.log;
  }
  std::map<LogId, LogState> states;
  for (const LogState& state : driver_.store->take_log_states()) states[state.id] = state;
  std::map<std::uint64_t, FanoutFate> fanouts;
  std::erase_if(queues_, [&](const auto& queue) {
    if (defined.contains(queue->name)) return false;
    EXPECT_NE(queue->stage, LedgerQueue::Stage::usable) << "queue lost: " << queue->name;
    return true;
  });
  EXPECT_EQ(defined.size(), queues_.size());
  for (auto& queue : queues_) {
    queue->stage = LedgerQueue::Stage::usable;
    queue->shard = any_shard();
    ASSERT_EQ(defined[queue->name], queue->id);
    const LogState state = states.at(queue->id);
    // Read everything with one log, then use a fresh one, as it would be without the look.
    queue->log = &driver_.shard(queue->shard).open_log(state);
    ReadRequest request;
    request.log = queue->id;
    request.from = state.head;
    request.to = state.next;
    request.bytes_hint = SIZE_MAX;
    const auto read = read_log(*driver_.kv, request);
    ASSERT_TRUE(read.ok());
    std::vector<std::pair<Seq, std::string>> found;
    for (const StoredMessage& message : read->messages) {
      found.emplace_back(message.seq, text_of(message));
    }
    queue->check_recovered(found, state, clean, fanouts);
  }
  for (const auto& [fanout, fate] : fanouts) {
    EXPECT_TRUE(fate.present == 0 || fate.vanished == 0) << "half a fan-out: " << fanout;  // S4
  }
  check_disk();
}

}  // namespace warren::storage
