// SPDX-License-Identifier: Apache-2.0
// What the random workload does: appends, fan-outs, deliveries, settlements, reads, purges.
#pragma once

#include <tuple>

#include "tests/unit/storage/engine/workload.h"

namespace warren::storage {

inline LedgerQueue* Workload::any_queue() {
  std::vector<LedgerQueue*> usable;
  for (auto& queue : queues_) {
    if (queue->stage == LedgerQueue::Stage::usable) usable.push_back(queue.get());
  }
  return usable.empty() ? nullptr : usable[pick(usable.size())];
}

inline LedgerQueue* Workload::queue_of(LogId id) {
  for (auto& queue : queues_) {
    if (queue->id == id) return queue.get();
  }
  return nullptr;
}

inline void Workload::act() {
  switch (pick(24)) {
    case 0:
    case 1:
    case 2:
      return append_some();
    case 3:
    case 4:
      return start_fanout();
    case 5:
      return settle_some();
    case 6:
    case 7:
      return deliver_some();
    case 8:
      return release_some();
    case 9:
      return read_some();
    case 10:
    case 11:
    case 12: {
      const unsigned shard = any_shard();
      run_outbox(shard);
      driver_.shard(shard).end_turn(driver_.now);
      return;
    }
    case 13:
    case 14:
      driver_.store->step_commit();
      if (!driver_.below_->lost()) check_disk(*driver_.kv);
      return;
    case 15:
      if (pick(2) == 0) {
        driver_.store->begin_read();
      } else {
        driver_.store->end_read();
      }
      return;
    case 16:
    case 17:
      driver_.executor(any_shard()).run_one();
      return;
    case 18:
      driver_.now += std::chrono::milliseconds(pick(4));
      return barrier();
    case 19:
      return act_rarely();
    case 20:
      return move_some();
    case 21:
      return note_some();
    case 22:
    case 23:
      return index_step();
  }
}

inline void Workload::act_rarely() {
  switch (pick(24)) {
    case 0:
      return crash();
    case 1:
      return pick(2) == 0 ? restart() : crash();
    case 2:
    case 3:
      return purge();
    case 4:
      return start_drop();
    default:
      if (queues_.size() < kQueuesMax) create_queue();
  }
}

inline void Workload::listen() {
  for (unsigned i = 0; i < driver_.options_.shard_count; ++i) {
    driver_.listener(i).on_commit = [this](auto tokens) { on_committed(tokens); };
    driver_.listener(i).on_store = [this](LogId log, Seq first, Seq last) {
      on_stored(log, first, last);
    };
  }
}

inline void Workload::said_is_certain(const Said& said) {
  for (const auto& [log, seq] : said.settled) {
    if (LedgerQueue* queue = queue_of(log)) queue->messages.at(seq).settle_certain = true;
  }
  for (const auto& [where, returns] : said.returns) {
    if (LedgerQueue* queue = queue_of(where.first)) {
      std::uint32_t& certain = queue->messages.at(where.second).returns_certain;
      certain = std::max(certain, returns);
    }
  }
  for (const auto& [log, key] : said.due_dropped) {
    if (LedgerQueue* queue = queue_of(log)) queue->due_left.erase(key);
  }
}

inline void Workload::definition_is_certain(const std::string& name) {
  for (auto& queue : queues_) {
    if (queue->name != name) continue;
    if (queue->stage == LedgerQueue::Stage::declared) {
      queue->stage = LedgerQueue::Stage::usable;
    } else {
      driver_.shard(queue->shard).drop_log(queue->id);
      queue.reset();
    }
  }
  std::erase(queues_, nullptr);
}

inline void Workload::on_committed(std::span<const CommitToken> tokens) {
  for (const CommitToken& token : tokens) {
    if (const auto at = barriers_.find(token.a); at != barriers_.end()) {
      said_is_certain(at->second);
      barriers_.erase(at);
      continue;
    }
    if (const auto at = definition_tokens_.find(token.a); at != definition_tokens_.end()) {
      const std::string name = at->second;
      definition_tokens_.erase(at);
      definition_is_certain(name);
      continue;
    }
    // Each token comes back exactly once.
    const auto at = tokens_.find(token.a);
    ASSERT_NE(at, tokens_.end());
    const auto [log, seq] = at->second;
    tokens_.erase(at);
    LedgerQueue* const queue = queue_of(log);
    if (queue == nullptr) continue;
    LedgerMessage& message = queue->messages.at(seq);
    message.certain = true;
    queue->ever_stored = queue->ever_stored || !message.settled;
    // A consumer that answers from within the callback.
    if (!message.settled && !message.on_disk_only && pick(8) == 0) settle(*queue, seq);
  }
}

inline void Workload::on_stored(LogId log, Seq first, Seq last) {
  LedgerQueue* const queue = queue_of(log);
  ASSERT_NE(queue, nullptr);
  queue->stored_ranges.emplace_back(first, last);
  for (auto& [seq, message] : queue->messages) {
    if (seq < first || seq > last) continue;
    message.stored = true;
    if (message.durability != Durability::durable) continue;
    message.certain = true;
  }
}

inline void Workload::create_queue() {
  const CommitToken token{next_id_++, 0};
  const std::string name = "q" + std::to_string(token.a);
  const unsigned shard = any_shard();
  const auto count = static_cast<std::uint32_t>(pick(3) == 0 ? 1 + pick(kLanesMax) : 1);
  unsigned lane = 0;
  for (QueueLog* const log : driver_.define_lanes(name, count, shard, &token)) {
    auto queue = std::make_unique<LedgerQueue>();
    queue->name = name;
    queue->lane = lane++;
    queue->shard = shard;
    queue->log = log;
    queue->id = log->id();
    queues_.push_back(std::move(queue));
  }
  definition_tokens_[token.a] = name;
}

// First the definition, durably, then the logs: never the other way round.
inline void Workload::start_drop() {
  LedgerQueue* const queue = any_queue();
  if (queue == nullptr) return;
  for (auto& each : queues_) {
    if (each->name == queue->name) each->stage = LedgerQueue::Stage::dropping;
  }
  const CommitToken token{next_id_++, 0};
  definition_tokens_[token.a] = queue->name;
  driver_.undefine_queue(queue->name, &token);
}

inline void Workload::append(LedgerQueue& queue, Durability durability, std::uint64_t fanout,
                             bool with_token, const Part* part) {
  queue.next += pick(6) == 0 ? 1 + pick(3) : 0;  // messages that stay in memory only
  const Seq seq = queue.next++;
  LedgerMessage& message = queue.messages[seq];
  message.body = queue.name + "/" + std::to_string(queue.lane) + "/" + std::to_string(seq) +
                 std::string(pick(body_bytes_max_), '.');
  const bool shared = part != nullptr && part->block != nullptr;
  if (shared) message.body = std::string(part->block->bytes());
  message.durability = durability;
  message.fanout = fanout;
  message.notes.weight = pick(100);
  if (durability == Durability::durable && pick(4) == 0) {
    message.notes.due_ms = static_cast<std::int64_t>(1 + pick(kDueMax));
  }
  const CommitToken token{next_id_++, 0};
  if (with_token) tokens_[token.a] = {queue.id, seq};
  queue.log->append(seq, shared ? part->block : block_of(message.body), durability,
                    with_token ? &token : nullptr, message.notes, shared ? part->body : BodyId{});
}

inline void Workload::append_some() {
  LedgerQueue* const queue = any_queue();
  if (queue == nullptr) return;
  for (std::uint64_t left = 1 + pick(8); left > 0; --left) {
    const bool paged = pick(4) == 0;
    append(*queue, paged ? Durability::paged : Durability::durable, 0, !paged && pick(2) == 0);
  }
}

inline void Workload::start_fanout() {
  std::map<unsigned, Part> parts;
  const std::uint64_t fanout = next_id_++;
  for (auto& queue : queues_) {
    if (queue->stage != LedgerQueue::Stage::usable || pick(2) == 0) continue;
    parts[queue->shard].logs.push_back(queue->id);
  }
  BlockRef block;
  BodyId body;
  if (pick(3) != 0) {
    block = block_of("fan-out " + std::to_string(fanout) + std::string(pick(body_bytes_max_), '.'));
    body = driver_.shard(any_shard()).share(*block);
  }
  for (auto& [shard, part] : parts) {
    part.block = block;
    part.body = body;
    part.fanout = fanout;
    part.shard_count = static_cast<unsigned>(parts.size());
    outbox_[shard].push_back(part);
  }
}

inline bool Workload::run_outbox(unsigned shard) {
  if (outbox_[shard].empty()) return false;
  const Part part = outbox_[shard].front();
  outbox_[shard].pop_front();
  for (const LogId id : part.logs) {
    // A queue that went away meanwhile takes its copy along.
    LedgerQueue* const queue = queue_of(id);
    if (queue != nullptr && queue->stage == LedgerQueue::Stage::usable) {
      append(*queue, Durability::durable, part.fanout, pick(2) == 0, &part);
    }
  }
  driver_.shard(shard).join_fanout(part.fanout, part.shard_count);
  return true;
}

inline void Workload::settle(LedgerQueue& queue, Seq seq) {
  LedgerMessage& message = queue.messages.at(seq);
  message.settled = true;
  message.fetched = false;
  queue.log->settle(seq, message.body.size(), message.notes);
}

inline void Workload::settle_some() {
  LedgerQueue* const queue = any_queue();
  if (queue == nullptr) return;
  const bool in_order = pick(3) != 0;
  std::uint64_t left = 1 + pick(12);
  for (auto& [seq, message] : queue->messages) {
    if (left == 0) return;
    if (message.settled || message.on_disk_only || (!in_order && pick(3) != 0)) continue;
    settle(*queue, seq);
    --left;
  }
}

inline void Workload::deliver_some() {
  LedgerQueue* const queue = any_queue();
  if (queue == nullptr) return;
  std::uint64_t left = 1 + pick(6);
  for (auto& [seq, message] : queue->messages) {
    if (left == 0) return;
    if (message.settled || message.on_disk_only || message.delivered) continue;
    --left;
    if (!queue->log->may_deliver(seq)) {
      EXPECT_TRUE(message.durability == Durability::durable);
      return;
    }
    message.delivered = true;
    queue->delivered_max = std::max(queue->delivered_max, seq);
  }
}

inline void Workload::release_some() {
  LedgerQueue* const queue = any_queue();
  if (queue == nullptr || queue->stored_ranges.empty() || queue->reading) return;
  const std::size_t which = pick(queue->stored_ranges.size());
  const auto [first, last] = queue->stored_ranges[which];
  for (const auto& [seq, message] : queue->messages) {
    if (seq < first || seq > last) continue;
    if (message.stored && (message.settled || message.delivered || message.on_disk_only)) return;
  }
  queue->stored_ranges.erase(queue->stored_ranges.begin() + static_cast<std::ptrdiff_t>(which));
  queue->log->release(first, last + 1);
  queue->disk_ranges[first] = last + 1;
  for (auto& [seq, message] : queue->messages) {
    if (seq >= first && seq <= last && !message.settled) message.on_disk_only = true;
  }
}

inline void Workload::read_some() {
  LedgerQueue* const queue = any_queue();
  if (queue == nullptr || queue->reading || queue->disk_ranges.empty()) return;
  const auto [from, to] = *queue->disk_ranges.begin();
  queue->reading = true;
  queue->log->read(from, to, pick(600), [this, id = queue->id, from = from](const auto& result) {
    read_answered(id, from, result);
  });
}

inline void Workload::read_answered(LogId id, Seq from, const Result<ReadResult>& result) {
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->damaged, 0u);
  LedgerQueue& queue = *queue_of(id);
  queue.reading = false;
  using Read = std::tuple<Seq, std::string, std::uint32_t>;
  std::vector<Read> expected;
  for (auto& [seq, message] : queue.messages) {
    if (seq < from || seq >= result->next || message.settled || !message.on_disk_only) continue;
    message.on_disk_only = false;
    message.fetched = false;
    expected.emplace_back(seq, message.body, message.notes.returns);
  }
  std::vector<Read> found;
  for (const StoredMessage& message : result->messages) {
    found.emplace_back(message.seq, text_of(message), message.returns);
  }
  EXPECT_EQ(found, expected);
  const auto range = queue.disk_ranges.find(from);
  if (range == queue.disk_ranges.end()) return;  // purged meanwhile
  const Seq to = range->second;
  queue.disk_ranges.erase(range);
  if (result->next < to) queue.disk_ranges[result->next] = to;
}

inline void Workload::purge() {
  LedgerQueue* const queue = any_queue();
  if (queue == nullptr) return;
  const bool all = pick(2) == 0;
  for (auto& [seq, message] : queue->messages) {
    if (message.settled) continue;
    if (message.fetched) end_fetch(*queue, seq);
    if (all && !message.on_disk_only) settle(*queue, seq);
  }
  for (const auto& [from, to] : queue->disk_ranges) purge_range(*queue, from, to);
  const bool unread = !queue->disk_ranges.empty();
  queue->disk_ranges.clear();
  if (all) queue->stored_ranges.clear();
  // As a queue does it: what it never read it does not know the times of.
  if (unread) reset_index(*queue);
}

inline void Workload::purge_range(LedgerQueue& queue, Seq from, Seq to) {
  std::uint64_t count = 0;
  std::uint64_t bytes = 0;
  std::uint64_t weight = 0;
  for (auto& [seq, message] : queue.messages) {
    if (seq < from || seq >= to || message.settled || !message.on_disk_only) continue;
    message.settled = true;
    if (message.durability != Durability::durable) continue;
    ++count;
    bytes += message.body.size();
    weight += message.notes.weight;
    if (message.notes.due_ms != 0) queue.due_left.emplace(message.notes.due_ms, seq);
  }
  queue.log->settle_range(from, to, count, bytes, weight);
}

inline void Workload::barrier() {
  const unsigned shard = any_shard();
  const CommitToken token{next_id_++, 0};
  Said& said = barriers_[token.a];
  for (const auto& queue : queues_) {
    if (queue->shard != shard) continue;
    for (const auto& [seq, message] : queue->messages) {
      const Where where{queue->id, seq};
      if (message.settled) said.settled.push_back(where);
      if (message.notes.returns > 0) said.returns.emplace_back(where, message.notes.returns);
    }
    for (const DueTime& key : queue->due_dropped) said.due_dropped.emplace_back(queue->id, key);
  }
  driver_.shard(shard).barrier(token);
}

}  // namespace warren::storage
