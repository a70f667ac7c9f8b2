// SPDX-License-Identifier: Apache-2.0
#include "server/tools/dump/store_writer.h"

#include <chrono>
#include <utility>

#include "storage/base/units.h"

namespace warren::dump {
namespace {

// What may wait for its commit: bounds the memory of an import.
constexpr std::uint64_t kUncommittedMax = 16_MiB;
// A turn ends after so much, so that a commit is under way while the next one gathers.
constexpr std::uint64_t kTurnBytes = 1_MiB;

}  // namespace

Result<std::unique_ptr<StoreWriter>> StoreWriter::open(const std::string& data_dir) {
  std::unique_ptr<StoreWriter> out(new StoreWriter());  // private constructor
  storage::StoreOptions options;
  options.directory = data_dir;
  WARREN_TRY(out->store_, storage::Store::open(options));
  StoreWriter* const self = out.get();
  self->store_->on_failure([self](const Error& error) {
    {
      const std::lock_guard lock(self->mutex_);
      self->error_ = error;
    }
    self->wake_.notify_one();
  });
  self->definitions_ = self->store_->take_definitions();
  self->store_->shard(0).attach(*self, *self);
  for (const storage::LogState& state : self->store_->take_log_states()) {
    self->logs_[state.id] = Log{&self->store_->shard(0).open_log(state), state.next};
  }
  return out;
}

LogId StoreWriter::define(storage::Definition definition) {
  LogId log;
  if (auto* const queue = std::get_if<storage::QueueDefinition>(&definition)) {
    log = store_->new_log_ids(queue->log_count);
    queue->log = log;
  }
  std::vector<storage::DefinitionChange> changes;
  changes.push_back({storage::DefinitionChange::Kind::put, std::move(definition)});
  store_->shard(0).change_definitions(std::move(changes), nullptr);
  return log;
}

// Logs that never held anything have no state: they are opened when they are wanted.
StoreWriter::Log& StoreWriter::log_of(LogId id) {
  Log& log = logs_[id];
  if (log.log == nullptr) {
    storage::LogState state;
    state.id = id;
    log = Log{&store_->shard(0).open_log(state), state.next};
  }
  return log;
}

bool StoreWriter::append(Message message) {
  Log& to = log_of(message.log);
  const Seq seq = to.next++;
  to.log->append(seq, std::move(message.block), storage::Durability::durable, nullptr,
                 message.notes);
  if (message.notes.returns > 0) to.log->note_returns(seq, message.notes.returns);
  storage::ShardStore& shard = store_->shard(0);
  if (shard.uncommitted_bytes() < kTurnBytes) return true;
  // Asks for a commit, and waits only when the disk is far behind.
  ++barriers_;
  shard.barrier(storage::CommitToken{});
  end_turn();
  do {
    if (!run_posted(shard.uncommitted_bytes() > kUncommittedMax)) return false;
  } while (shard.uncommitted_bytes() > kUncommittedMax);
  return true;
}

Status StoreWriter::finish() {
  ++barriers_;
  store_->shard(0).barrier(storage::CommitToken{});
  while (true) {
    end_turn();
    // With nothing to commit the turn itself ends the barrier: nobody would post anything.
    if (barriers_ == 0 || !run_posted(true)) break;
  }
  const Status closed = store_->close();
  const std::lock_guard lock(mutex_);
  if (error_.has_value()) return *error_;
  return closed;
}

void StoreWriter::end_turn() {
  static_cast<void>(store_->shard(0).end_turn(std::chrono::steady_clock::now()));
}

bool StoreWriter::run_posted(bool wait) {
  while (true) {
    std::function<void()> function;
    {
      std::unique_lock lock(mutex_);
      if (wait) wake_.wait(lock, [this] { return !posted_.empty() || error_.has_value(); });
      if (error_.has_value()) return false;
      if (posted_.empty()) return true;
      function = std::move(posted_.front());
      posted_.pop_front();
    }
    function();
    end_turn();
    wait = false;
  }
}

void StoreWriter::post(std::function<void()> function) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(function));
  }
  wake_.notify_one();
}

void StoreWriter::on_committed(std::span<const storage::CommitToken> tokens) {
  barriers_ -= tokens.size();
}

void StoreWriter::on_stored(LogId log, Seq first, Seq last) {
  // Nobody will settle it here: its metadata may go.
  logs_.at(log).log->release(first, last + 1);
}

}  // namespace warren::dump
