// SPDX-License-Identifier: Apache-2.0
// Which messages of a lane expire before the ones ahead of them. Only these need to be looked for:
// the others have expired when they come to the head. The earliest are held in memory, the rest is
// in the log's index by due time (QueueLog::read_due). Keeps: B9.
//
// Memory holds every entry up to the horizon, and the ones beyond it that the disk does not have
// yet. Pure data; the queue reads, drops and keeps time.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "storage/engine/queue_log.h"

#include "server/broker/queue/ready_store.h"

namespace warren::broker {

// Runs on: its queue's shard. Owned by: Lane. Bound: kEntriesMax, what is not stored yet, and what
// only memory keeps.
class ExpiryIndex {
 public:
  static constexpr std::size_t kEntriesMax = 16'384;
  static constexpr std::size_t kRefill = kEntriesMax / 4;
  // A message that would leave this much late is left to its turn at the head: publishers' clocks
  // differ by a little, and each entry costs a key on disk.
  static constexpr std::int64_t kToleranceMs = 50;

  // The lane has messages of a time before this process, with deadlines that nobody knows.
  // `has_entries`: some of them are indexed.
  void start_on_disk(bool has_entries);

  // The lane is empty, and nothing can come back: what comes next has nobody ahead of it.
  void on_empty() { latest_ahead_ms_ = kEarly; }
  // Must the message, last in its lane, be indexed? Asked once, when it is published.
  bool wants(std::int64_t deadline_ms);
  // All messages are to be indexed.
  void index_all() { index_all_ = true; }

  // The message is in memory (again): published, read or given back.
  void add(const ReadyMessage& message);
  // The message was taken: delivered, or gone.
  void remove(const ReadyMessage& message);
  void clear();

  // Entries whose time has come, the earliest first, taken out; at most `limit`, and none while
  // the disk has to be asked first.
  std::vector<storage::DueEntry> take_due(std::int64_t now_ms, std::size_t limit);
  // An entry was taken whose message lies on disk, and whose chunk is not known: it is read again.
  void look_again(const storage::DueEntry& entry);
  // When take_due() has something next; kNoDeadline: never.
  std::int64_t next_ms() const;

  // Entries of the disk are missing in memory.
  bool wants_refill() const;
  // The disk is asked for what is behind this.
  storage::DueEntry begin_refill() {
    lowered_ = kEverything;
    return {horizon_.first, horizon_.second, 0};
  }
  // What it had when it was read. `complete`: there was no more.
  void refill(const std::vector<storage::DueEntry>& entries, bool complete);
  // Durable messages up to `stored` are on disk: their entries may leave memory.
  void on_stored(Seq stored);

  std::size_t size() const { return entries_.size(); }

 private:
  using Key = std::pair<std::int64_t, Seq>;  // deadline, seq
  struct Info {
    Seq chunk = 0;  // 0: not known
    bool durable = false;
  };
  static constexpr std::int64_t kEarly = INT64_MIN;
  static constexpr Key kEverything{kNoDeadline, 0};

  void bound();
  void lower_horizon(Key to);

  std::map<Key, Info> entries_;
  Key horizon_ = kEverything;  // everything on disk up to here is in memory
  Key lowered_ = kEverything;  // how far it was lowered since the disk was asked
  Seq stored_ = 0;
  std::int64_t latest_ahead_ms_ = kEarly;  // the latest deadline of the messages ahead
  bool index_all_ = false;
};

}  // namespace warren::broker
