// SPDX-License-Identifier: Apache-2.0
// The QueueLog of the engine: what is gathered for the next commit, what of the committed is still
// held in memory, and the counters of the rest. Keeps: S1, S2, S5, S6, S14, S15, S16.
//   queue_log_impl.cc    the queue's side      queue_log_commit.cc  what goes into a commit
//   queue_log_read.cc    reading               queue_log_due.cc     messages out of their turn
//   queue_log_shared.cc  messages that several logs store once
#pragma once

#include <algorithm>
#include <cstdint>
#include <list>
#include <map>
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
#include "storage/engine/settle_forecast.h"
#include "storage/record/log_state_record.h"

namespace warren::storage {

class QueueLogImpl;

// Seqs, from and to, the latter not included.
using SeqRange = std::pair<Seq, Seq>;
inline bool any_holds(std::span<const SeqRange> ranges, Seq seq) {
  return std::ranges::any_of(
      ranges, [seq](const SeqRange& range) { return seq >= range.first && seq < range.second; });
}

// What the logs of one shard gather together for its next hand-over.
struct Gathering {
  std::vector<QueueLogImpl*> touched;   // logs with something to hand over, each once
  std::vector<CommitToken> ready;       // come back at the end of the turn
  std::uint64_t open_bytes = 0;         // blocks in open lists
  std::uint64_t uncommitted_bytes = 0;  // these, and the ones that were handed over
  std::uint64_t tokens_waiting = 0;     // on messages in open lists
  std::uint64_t impatient_logs = 0;     // with tokens that wait for a commit, not for a settlement
  std::vector<QueueLogImpl*> sampled;   // SettleForecast::on_sampled() is due
  bool mark_wanted = false;             // a delivery waits, or soon will
  BodyId last_body;                     // its block is counted above
};

// Starts a read; the outcome comes back through QueueLogImpl::finish_read.
class ReadStarter {
 public:
  virtual ~ReadStarter() = default;
  virtual void start_read(const ReadRequest& request) = 0;
};

// StoreOptions of these names.
struct LogLimits {
  std::size_t chunk_bytes_max = 0;
  std::size_t fetched_chunks_max = 0;
};

class QueueLogImpl final : public QueueLog {
 public:
  QueueLogImpl(const LogState& state, const LogLimits& limits, Gathering& gathering,
               ReadStarter& reader);

  // --- the queue's side ---
  using QueueLog::append;
  using QueueLog::settle;
  using QueueLog::settle_range;
  LogId id() const override { return id_; }
  void append(Seq seq, BlockRef block, Durability durability, const CommitToken* token,
              const MessageNotes& notes, const BodyId& body) override;
  std::optional<CommitToken> detach_token(Seq seq) override;
  void settle(Seq seq, std::uint64_t bytes, const MessageNotes& notes) override;
  void note_returns(Seq seq, std::uint32_t returns) override;
  void settle_range(Seq from, Seq to, std::uint64_t count, std::uint64_t bytes,
                    std::uint64_t weight) override;
  void release(Seq from, Seq to) override;
  void read(Seq from, Seq to, std::size_t bytes_hint, ReadCallback callback) override;
  void read_due(const DueEntry& after, std::size_t limit, DueCallback callback) override;
  void fetch(std::vector<DueEntry> entries, FetchCallback callback) override;
  void put_back(Seq seq) override;
  void reset_due(std::vector<DueEntry> keep) override;
  void erase_due(const DueEntry& entry) override;
  bool may_deliver(Seq seq) override;
  LogState state() const override;

  // --- the shard's side ---
  // Moves everything gathered into `out`.
  void hand_over(HandOver& out, Instant now);
  // What is gathered now is not waited for, in the hope that it is settled before its commit.
  void begin_hope() { hoped_before_ = next_; }
  // Some of it is not settled, and somebody waits for its token.
  bool hopes_in_vain() const;
  SettleForecast& forecast() { return forecast_; }

  struct Committed {
    bool stored = false;       // tell the queue: [first, last] may be released
    bool mark_raised = false;  // tell the queue: a refused delivery may be tried again
  };
  Committed committed(const LogCommit& commit);

  void finish_read(ReadRequest::Kind kind, Result<ReadOutcome> outcome);

  // Deletes what is on disk; what was gathered is forgotten, its tokens become ready. What is
  // returned is to be swept once the batch is durable.
  std::optional<SweepKey> drop(KvBatch& batch, KvBatch& spill);

  // The state as of a clean stop: the delivered mark is exact. Nothing if nothing was ever stored.
  void write_final_state(KvBatch& batch);

 private:
  struct OpenEntry {
    Seq seq = 0;
    BlockRef block;  // null once settled
    CommitToken token;
    bool has_token = false;
    Durability durability = Durability::durable;
    MessageNotes notes;
  };
  // What an open entry takes beside its block, and its part of a chunk, about.
  static constexpr std::size_t kSharedEntryBytes = 256;
  // An open entry whose block is stored outside the log.
  struct OpenShared {
    Seq seq = 0;
    BodyId body;
    bool counted = false;  // its block is in the Gathering's bytes
  };
  struct DeadChunk {
    Seq base = 0;
    bool has_acks = false;
    bool has_shared = false;
  };
  // What becomes the next chunk.
  struct Part {
    std::vector<ChunkEntry> entries;
    std::size_t bytes = 0;  // of blocks, wherever they are stored, and index
    std::vector<std::uint32_t> shared;
    std::vector<BodyId> bodies;
    std::list<std::string> references;  // what the shared entries borrow

    void clear() {
      entries.clear();
      bytes = 0;
      shared.clear();
      bodies.clear();
      references.clear();
    }
  };
  struct ActiveRead {
    Seq from = 0;
    Seq to = 0;
    ReadCallback callback;
    std::vector<std::pair<Seq, Seq>> settled;  // ranges settled meanwhile
  };

  // A chunk of the unread stretch that was read out of turn. What is settled in it must be known
  // here until the disk knows it: a read of the stretch would bring it back.
  struct Fetched {
    ChunkMeta meta;
    std::uint64_t changed = 0;  // the hand-over that carries its last change; 0: none
    std::uint32_t given = 0;    // messages that the queue has, and has not settled
  };

  void touch();
  OpenEntry* find_open(Seq seq);
  bool settle_open(Seq seq, std::uint64_t bytes);
  void settle_durable(ChunkMeta& chunk, std::uint32_t index, std::uint64_t bytes,
                      const MessageNotes& notes);
  void count_out(std::uint64_t count, std::uint64_t bytes, std::uint64_t weight);
  Fetched* find_fetched(Seq seq);
  bool fetched_live(Seq seq);
  bool settle_fetched(Seq seq, std::uint64_t bytes, const MessageNotes& notes);
  void finish_stretch(Result<ReadOutcome> outcome);
  void finish_fetch(Result<ReadOutcome> outcome);
  void finish_due(Result<ReadOutcome> outcome);
  void evict_fetched();
  void adopt_fetched(ReadOutcome& outcome, std::map<Seq, Fetched>::iterator fetched);
  void settle_paged(ChunkTable::Found found);
  void forget_open(OpenEntry& entry);
  void take_token(OpenEntry& entry, const CommitToken& token);
  void return_token(OpenEntry& entry);
  const OpenShared* find_shared(Seq seq) const {
    return open_shared_.empty() ? nullptr : find_among_shared(seq);
  }
  const OpenShared* find_among_shared(Seq seq) const;
  // What the entry adds to the Gathering's bytes: a block of several logs is in there once, and a
  // little for each of the others.
  static std::size_t counted_bytes(const OpenEntry& entry, const OpenShared* shared) {
    const std::size_t bytes = entry.block->size();
    return shared != nullptr && !shared->counted ? std::min(bytes, kSharedEntryBytes) : bytes;
  }
  static void add_shared(HandOver& out, Part& part, const OpenEntry& entry,
                         const OpenShared& shared);
  void note_death(ChunkMeta& chunk);
  void count_lost(ReadOutcome& outcome, const ActiveRead& read);

  void hand_over_open(HandOver& out, LogCommit& commit, Instant now);
  void add_chunk(HandOver& out, Part& part, Durability durability);
  void hand_over_settled(HandOver& out);
  void hand_over_notes(HandOver& out);
  void hand_over_state(HandOver& out, LogCommit& commit);

  void keep_unread(Seq from, Seq to);
  void count_again();
  void register_chunks(ReadOutcome& outcome, const ActiveRead& read);
  Seq head() const;
  LogStateRecord record(Seq mark) const;

  const LogId id_;
  const LogLimits& limits_;  // borrowed: the shard's
  Gathering& gathering_;     // borrowed: the shard's
  ReadStarter& reader_;      // borrowed: the shard

  // Appended and not handed over, ascending. Settled ones stay as gaps until all are.
  std::vector<OpenEntry> open_;
  std::vector<OpenShared> open_shared_;  // of entries in open_, ascending
  std::size_t open_live_ = 0;
  std::size_t open_hint_ = 0;
  std::uint64_t tokens_open_ = 0;
  bool patient_ = false;  // since the first of these: they wait for a settlement
  Seq hoped_before_ = 0;
  SettleForecast forecast_;
  std::uint64_t open_durable_count_ = 0;
  std::uint64_t open_durable_bytes_ = 0;
  std::uint64_t open_durable_weight_ = 0;

  // Handed over and held in memory by the queue.
  ChunkTable durable_chunks_;
  ChunkTable paged_chunks_;
  std::vector<Seq> dirty_;           // bases of durable chunks with news for queue_acks
  std::vector<DeadChunk> dead_;      // durable chunks to delete
  std::vector<BodyId> dead_bodies_;  // that they referred to
  std::vector<Seq> dead_paged_;
  std::vector<std::pair<Seq, Seq>> dead_ranges_;
  std::map<Seq, Fetched> fetched_;  // by base. Bound: kFetchedMax and what is not committed
  std::map<Seq, std::uint32_t> new_returns_;
  std::vector<Seq> dead_returns_;
  std::vector<DueEntry> new_due_;  // after a reset
  std::vector<DueEntry> dead_due_;
  bool due_reset_ = false;

  // S2: durable_ <= handed_over_ < next_, and each only grows.
  Seq next_;
  Seq handed_over_;          // the last seq that was handed over
  Seq handed_over_durable_;  // likewise, durable messages only
  Seq durable_;
  // Handed over, not settled, durable.
  std::uint64_t live_count_;
  std::uint64_t live_bytes_;
  std::uint64_t live_weight_;
  // Hull of what is stored but not held in memory.
  Seq unread_from_ = 0;
  Seq unread_to_ = 0;

  DeliveredMark mark_;
  Seq refused_ = 0;  // the highest delivery that waits for the mark

  std::optional<ActiveRead> read_;
  DueCallback due_callback_;
  FetchCallback fetch_callback_;
  std::vector<SeqRange> fetch_settled_;  // settled or read while a fetch is under way
  std::uint64_t hand_overs_ = 0;         // of this log, and the last one that is durable
  std::uint64_t hand_overs_durable_ = 0;
  bool touched_ = false;
  bool state_dirty_ = false;
  bool stored_ = false;       // something of the log is, or will be, in queue_state
  bool acks_stored_ = false;  // ... in queue_acks
  bool spilled_ = false;      // ... in spill
  bool has_due_ = false;      // ... in queue_due
  bool has_returns_ = false;  // ... in queue_returns
  bool expires_ = false;      // LogState::expires
  bool has_shared_ = false;   // ... in queue_shared
  bool damaged_ = false;      // losses were met: the counters are as good as they can be
};

}  // namespace warren::storage
