// SPDX-License-Identifier: Apache-2.0
// The QueueLog of the engine: what is gathered for the next commit, what of the committed is still
// held in memory, and the counters of the rest. Keeps: S1, S2, S5, S14, S15.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "storage/engine/chunk_table.h"
#include "storage/engine/delivered_mark.h"
#include "storage/engine/hand_over.h"
#include "storage/engine/log_reader.h"
#include "storage/engine/queue_log.h"
#include "storage/record/log_state_record.h"

namespace warren::storage {

class QueueLogImpl;

// What the logs of one shard gather together for its next hand-over.
struct Gathering {
  std::vector<QueueLogImpl*> touched;   // logs with something to hand over, each once
  std::vector<CommitToken> ready;       // come back at the end of the turn
  std::uint64_t open_bytes = 0;         // blocks in open lists
  std::uint64_t uncommitted_bytes = 0;  // these, and the ones that were handed over
  std::uint64_t tokens_waiting = 0;     // on messages in open lists
  bool mark_wanted = false;             // a delivery waits, or soon will
};

// Starts a read; the outcome comes back through QueueLogImpl::finish_read.
class ReadStarter {
 public:
  virtual ~ReadStarter() = default;
  virtual void start_read(const ReadRequest& request) = 0;
};

class QueueLogImpl final : public QueueLog {
 public:
  QueueLogImpl(const LogState& state, std::size_t chunk_bytes_max, Gathering& gathering,
               ReadStarter& reader);

  // --- the queue's side ---
  LogId id() const override { return id_; }
  void append(Seq seq, BlockRef block, Durability durability, const CommitToken* token) override;
  void settle(Seq seq, std::uint64_t bytes) override;
  void settle_range(Seq from, Seq to, std::uint64_t count, std::uint64_t bytes) override;
  void release(Seq from, Seq to) override;
  void read(Seq from, Seq to, std::size_t bytes_hint, ReadCallback callback) override;
  bool may_deliver(Seq seq) override;
  LogState state() const override;

  // --- the shard's side ---
  // Moves everything gathered into `out`.
  void hand_over(HandOver& out);

  struct Committed {
    bool stored = false;       // tell the queue: [first, last] may be released
    bool mark_raised = false;  // tell the queue: a refused delivery may be tried again
  };
  Committed committed(const LogCommit& commit);

  void finish_read(Result<ReadOutcome> outcome);

  // Deletes what is on disk; what was gathered is forgotten, its tokens become ready.
  void drop(KvBatch& batch, KvBatch& spill);

  // The state as of a clean stop: the delivered mark is exact. Nothing if nothing was ever stored.
  void write_final_state(KvBatch& batch);

 private:
  struct OpenEntry {
    Seq seq = 0;
    BlockRef block;  // null once settled
    CommitToken token;
    bool has_token = false;
    Durability durability = Durability::durable;
  };
  struct ActiveRead {
    Seq from = 0;
    Seq to = 0;
    ReadCallback callback;
    std::vector<std::pair<Seq, Seq>> settled;  // ranges settled meanwhile
  };

  void touch();
  bool settle_open(Seq seq, std::uint64_t bytes);
  void settle_durable(ChunkTable::Found found, std::uint64_t bytes);
  void settle_paged(ChunkTable::Found found);
  void forget_open(OpenEntry& entry);

  void hand_over_open(HandOver& out, LogCommit& commit);
  void add_chunk(HandOver& out, const std::vector<ChunkEntry>& entries, Durability durability);
  void hand_over_settled(HandOver& out);
  void hand_over_state(HandOver& out, LogCommit& commit);

  void keep_unread(Seq from, Seq to);
  void register_chunks(ReadOutcome& outcome, const ActiveRead& read);
  Seq head() const;
  LogStateRecord record(Seq mark) const;

  const LogId id_;
  const std::size_t chunk_bytes_max_;
  Gathering& gathering_;  // borrowed: the shard's
  ReadStarter& reader_;   // borrowed: the shard

  // Appended and not handed over, ascending. Settled ones stay as gaps until all are.
  std::vector<OpenEntry> open_;
  std::size_t open_live_ = 0;
  std::size_t open_hint_ = 0;
  std::uint64_t open_durable_count_ = 0;
  std::uint64_t open_durable_bytes_ = 0;

  // Handed over and held in memory by the queue.
  ChunkTable durable_chunks_;
  ChunkTable paged_chunks_;
  std::vector<Seq> dirty_;                  // bases of durable chunks with news for queue_acks
  std::vector<std::pair<Seq, bool>> dead_;  // durable chunks to delete: base, has an ack set
  std::vector<Seq> dead_paged_;
  std::vector<std::pair<Seq, Seq>> dead_ranges_;

  // S2: durable_ <= handed_over_ < next_, and each only grows.
  Seq next_;
  Seq handed_over_;          // the last seq that was handed over
  Seq handed_over_durable_;  // likewise, durable messages only
  Seq durable_;
  // Handed over, not settled, durable.
  std::uint64_t live_count_;
  std::uint64_t live_bytes_;
  // Hull of what is stored but not held in memory.
  Seq unread_from_ = 0;
  Seq unread_to_ = 0;

  DeliveredMark mark_;
  Seq refused_ = 0;  // the highest delivery that waits for the mark

  std::optional<ActiveRead> read_;
  bool touched_ = false;
  bool state_dirty_ = false;
  bool stored_ = false;       // something of the log is, or will be, in queue_state
  bool acks_stored_ = false;  // ... in queue_acks
  bool spilled_ = false;      // ... in spill
  bool damaged_ = false;      // losses were met: the counters are as good as they can be
};

}  // namespace warren::storage
