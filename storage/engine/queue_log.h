// SPDX-License-Identifier: Apache-2.0
// One queue's messages on disk: append, read, settle, forget. Part of the engine's door (store.h).
// Knows nothing of exchanges, consumers or TTL. Bytes: storage/FORMAT.md. Keeps: S1, S2, S5, S7.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "storage/base/block.h"
#include "storage/base/ids.h"
#include "storage/base/result.h"

namespace warren::storage {

// What a caller hangs on a commit; opaque to the engine, given back through
// StoreListener::on_committed.
struct CommitToken {
  std::uint64_t a = 0;
  std::uint64_t b = 0;
};

enum class Durability : std::uint8_t {
  durable,  // survives kill -9 and power loss once its commit is reported
  paged,    // on disk to save memory only; gone after a restart
};

// Recovered or fresh state of a log: all that is known without reading messages.
struct LogState {
  LogId id;
  Seq head = 1;                   // every seq below is settled
  Seq next = 1;                   // the first seq that was never assigned
  std::uint64_t live_count = 0;   // durable messages that are not settled
  std::uint64_t live_bytes = 0;   // their block sizes, wherever the blocks are stored
  std::uint64_t live_weight = 0;  // their MessageNotes::weight
  Seq delivered_mark = 0;         // every seq above was never delivered (R13)
  bool has_due = false;           // read_due() may find something
  bool has_returns = false;       // some message may have come back
  bool expires = false;           // MessageNotes::expires of some message, once
  bool estimated = false;         // losses were met: there may be more or less than counted
  bool has_shared = false;        // some message may be stored outside the log
};

// What a log keeps of a message beside its block. Given at append, and again when it is settled.
struct MessageNotes {
  std::uint64_t weight = 0;   // summed up in LogState::live_weight: the queue's own measure
  std::int64_t due_ms = 0;    // durable messages only: listed by read_due(); 0: not listed
  std::uint32_t returns = 0;  // at settle: what note_returns() said last
  bool expires = false;       // at append: has a deadline, listed or not
};

struct StoredMessage {
  Seq seq = 0;
  Durability durability = Durability::durable;
  BlockRef block;
  std::uint32_t returns = 0;  // what note_returns() said last
};

// An entry of a log's index by due time.
struct DueEntry {
  std::int64_t due_ms = 0;
  Seq seq = 0;
  Seq chunk = 0;  // for fetch()
  friend auto operator<=>(const DueEntry&, const DueEntry&) = default;
};

struct ReadResult {
  std::vector<StoredMessage> messages;  // ascending seq, live ones only
  Seq next = 0;                         // everything below is covered: the next read starts here
  std::uint64_t damaged = 0;  // messages that failed their checksum and were passed over (S7)
};

// Called on the log's shard. The result is an error only if the disk could not be read.
using ReadCallback = std::function<void(Result<ReadResult>)>;
using DueCallback = std::function<void(Result<std::vector<DueEntry>>)>;
// What is missing is settled, was read in its turn, or is damaged.
using FetchCallback = std::function<void(Result<std::vector<StoredMessage>>)>;

// Runs on: its queue's shard. Owned by: ShardStore. Bound: chunk metadata for messages that the
// queue holds in memory, plus the entries of the commit that is being gathered.
class QueueLog {
 public:
  virtual ~QueueLog() = default;

  virtual LogId id() const = 0;

  // Adds a message to the commit that is being gathered. Seqs ascend over all appends; gaps are
  // allowed (messages that stay in memory only). `token`, when given, comes back once the message
  // is committed or settled, whichever is first. `body`: what ShardStore::share() gave for the
  // block, if it is durable in several logs (S6).
  virtual void append(Seq seq, BlockRef block, Durability durability, const CommitToken* token,
                      const MessageNotes& notes, const BodyId& body) = 0;
  void append(Seq seq, BlockRef block, Durability durability, const CommitToken* token,
              const MessageNotes& notes = {}) {
    append(seq, std::move(block), durability, token, notes, BodyId{});
  }

  // Takes the token off a message that is about to be settled and lives on elsewhere: it is the
  // caller's again. Nothing: there was none, or it has come back.
  virtual std::optional<CommitToken> detach_token(Seq seq) = 0;

  // The message is gone: acknowledged, dropped, dead-lettered. `bytes` is its block's size.
  // A message settled before its commit was handed over never reaches the disk.
  // REQUIRES: seq was appended or read, not released or settled since.
  virtual void settle(Seq seq, std::uint64_t bytes, const MessageNotes& notes) = 0;
  void settle(Seq seq, std::uint64_t bytes) { settle(seq, bytes, MessageNotes{}); }

  // How often a durable message came back: kept with it until it is settled. Rides along with the
  // next commit, as settlements do.
  virtual void note_returns(Seq seq, std::uint32_t returns) = 0;

  // Settles all stored messages of [from, to): messages that were released or never read.
  // `count`, `bytes` and `weight` describe the durable ones. Their due entries stay: see
  // reset_due(). REQUIRES: from and to are limits given by on_stored/read/release.
  virtual void settle_range(Seq from, Seq to, std::uint64_t count, std::uint64_t bytes,
                            std::uint64_t weight) = 0;
  void settle_range(Seq from, Seq to, std::uint64_t count, std::uint64_t bytes) {
    settle_range(from, to, count, bytes, 0);
  }

  // The queue no longer holds [from, to) in memory and will read it again: metadata may be dropped.
  // REQUIRES: [from, to) was reported by on_stored as one or several whole ranges, none of it
  // settled or delivered.
  virtual void release(Seq from, Seq to) = 0;

  // Reads released messages from `from`, at least one chunk if there is one below `to`, about
  // `bytes_hint` bytes. One read at a time. The callback never runs inside this call.
  virtual void read(Seq from, Seq to, std::size_t bytes_hint, ReadCallback callback) = 0;

  // The index of durable messages by due time: entries behind `after`, at most `limit`, ascending,
  // as far as they are committed. One at a time, apart from read().
  virtual void read_due(const DueEntry& after, std::size_t limit, DueCallback callback) = 0;
  // Reads released messages out of their turn, so that they can be settled: each one is settled or
  // put back. One call at a time.
  virtual void fetch(std::vector<DueEntry> entries, FetchCallback callback) = 0;
  // What fetch() gave is not settled after all.
  virtual void put_back(Seq seq) = 0;
  // Forgets the whole index but for the given entries (their chunks do not matter), which are of
  // messages that the queue holds in memory.
  virtual void reset_due(std::vector<DueEntry> keep) = 0;
  // The entry is of a message that is gone.
  virtual void erase_due(const DueEntry& entry) = 0;

  // May `seq` be delivered now? Yes when a durable mark covers it, or it will ride in the same
  // commit as the message itself. If not, a mark is requested and StoreListener::on_mark_raised
  // follows. (R13, B4)
  virtual bool may_deliver(Seq seq) = 0;

  virtual LogState state() const = 0;
};

}  // namespace warren::storage
