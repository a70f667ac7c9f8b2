// SPDX-License-Identifier: Apache-2.0
#include "storage/engine/shard_store.h"

#include <algorithm>
#include <utility>

#include "storage/base/assert.h"
#include "storage/base/units.h"
#include "storage/record/body_record.h"
#include "storage/record/definition_record.h"
#include "storage/record/keys.h"

namespace warren::storage {
namespace {

// More than this is handed over without waiting for the idle delay.
constexpr std::uint64_t kOpenBytesMax = 1_MiB;

}  // namespace

ShardStoreImpl::ShardStoreImpl(ShardIndex index, const StoreOptions& options,
                               std::uint64_t body_origin, Committer& committer, ReaderPool& readers)
    : index_(index),
      idle_commit_delay_(options.idle_commit_delay),
      log_limits_{options.chunk_bytes_max, options.fetched_chunks_max},
      shared_bytes_min_(options.shared_bytes_min),
      committer_(committer),
      readers_(readers),
      last_body_{body_origin, 0} {}

void ShardStoreImpl::attach(Executor& executor, StoreListener& listener) {
  executor_ = &executor;
  listener_ = &listener;
}

QueueLog& ShardStoreImpl::open_log(const LogState& state) {
  auto log = std::make_unique<QueueLogImpl>(state, log_limits_, gathering_,
                                            static_cast<ReadStarter&>(*this));
  const auto [at, added] = logs_.emplace(state.id, std::move(log));
  WARREN_ASSERT(added);
  return *at->second;
}

void ShardStoreImpl::drop_log(LogId log) {
  const auto at = logs_.find(log);
  WARREN_ASSERT(at != logs_.end());
  if (const auto sweep = at->second->drop(changes_, spill_changes_)) sweeps_.push_back(*sweep);
  std::erase(gathering_.touched, at->second.get());
  std::erase(gathering_.sampled, at->second.get());
  logs_.erase(at);
}

void ShardStoreImpl::put(Family family, std::string key, std::string value) {
  changes_.put(family, std::move(key), std::move(value));
}

void ShardStoreImpl::change_definitions(std::vector<DefinitionChange> changes,
                                        const CommitToken* token) {
  for (const DefinitionChange& change : changes) {
    std::string key = encode_definition_key(change.definition);
    switch (change.kind) {
      case DefinitionChange::Kind::put:
        changes_.put(Family::definitions, std::move(key), encode_definition(change.definition));
        break;
      case DefinitionChange::Kind::remove:
        changes_.erase(Family::definitions, std::move(key));
        break;
    }
  }
  definitions_changed_ = definitions_changed_ || !changes.empty();
  if (token != nullptr) barrier(*token);
}

void ShardStoreImpl::barrier(const CommitToken& token) {
  if (!anything_gathered() && in_flight_ == 0) {
    gathering_.ready.push_back(token);
    return;
  }
  tokens_.push_back(token);
}

void ShardStoreImpl::join_fanout(std::uint64_t fanout, unsigned shard_count) {
  if (shard_count > 1) fanouts_.push_back(FanoutPart{fanout, shard_count});
}

BodyId ShardStoreImpl::share(const Block& block) {
  if (block.size() < shared_bytes_min_ || block.size() > kBodyBytesMax) return BodyId{};
  ++last_body_.number;
  return last_body_;
}

bool ShardStoreImpl::anything_gathered() const {
  return !gathering_.touched.empty() || !changes_.empty() || !spill_changes_.empty() ||
         !tokens_.empty() || !fanouts_.empty();
}

// What waits for its settlement waits for kPatience, for twice that when it came a little late.
bool ShardStoreImpl::hopes_in_vain(Instant now) {
  if (hope_.has_value()) {
    if (now - *hope_ < SettleForecast::kPatience) return false;
    bool in_vain = false;
    for (QueueLogImpl* const log : gathering_.touched) {
      if (!log->hopes_in_vain()) continue;
      log->forecast().on_failure();
      in_vain = true;
    }
    if (in_vain) return true;
  }
  hope_ = now;
  for (QueueLogImpl* const log : gathering_.touched) log->begin_hope();
  return false;
}

bool ShardStoreImpl::must_hand_over(Instant now) {
  // A part of a fan-out never waits: the other shards' commits wait for it.
  if (!fanouts_.empty()) return true;
  if (held_ || in_flight_ > 0) return false;
  const bool waited_for = gathering_.impatient_logs > 0 || !tokens_.empty() ||
                          definitions_changed_ || gathering_.mark_wanted;
  if (waited_for || gathering_.open_bytes > kOpenBytesMax || now - *oldest_ >= idle_commit_delay_) {
    return true;
  }
  if (gathering_.tokens_waiting > 0) return hopes_in_vain(now);
  hope_.reset();
  return false;
}

Instant ShardStoreImpl::end_turn(Instant now) {
  for (QueueLogImpl* const log : gathering_.sampled) log->forecast().on_sampled(now);
  gathering_.sampled.clear();
  give_back_ready();
  if (anything_gathered()) {
    if (!oldest_.has_value()) oldest_ = now;
    if (must_hand_over(now)) {
      ++in_flight_;
      committer_.submit(gather(now));
    }
  }
  // What the callbacks above settled comes back in the next turn, which is to be now.
  if (!gathering_.ready.empty()) return now;
  if (!anything_gathered() || held_ || in_flight_ > 0) return Instant::max();
  const Instant idle = *oldest_ + idle_commit_delay_;
  return hope_.has_value() ? std::min(idle, *hope_ + SettleForecast::kPatience) : idle;
}

std::unique_ptr<HandOver> ShardStoreImpl::gather(Instant now) {
  auto out = std::make_unique<HandOver>();
  out->shard = index_;
  out->batch.splice(changes_);
  out->spill.splice(spill_changes_);
  out->fanouts = std::exchange(fanouts_, {});
  out->sweeps = std::exchange(sweeps_, {});
  for (QueueLogImpl* const log : gathering_.touched) log->hand_over(*out, now);
  gathering_.touched.clear();
  WARREN_ASSERT(gathering_.tokens_waiting == 0 && gathering_.impatient_logs == 0 &&
                gathering_.open_bytes == 0);
  out->tokens.insert(out->tokens.end(), tokens_.begin(), tokens_.end());
  tokens_.clear();
  gathering_.mark_wanted = false;
  definitions_changed_ = false;
  oldest_.reset();
  hope_.reset();
  return out;
}

void ShardStoreImpl::give_back_ready() {
  if (gathering_.ready.empty()) return;
  const std::vector<CommitToken> ready = std::exchange(gathering_.ready, {});
  listener_->on_committed(ready);
}

void ShardStoreImpl::post_completion(HandOvers done) {
  if (executor_ == nullptr) return;  // closed before it was ever used
  // std::function wants something it could copy.
  auto shared = std::make_shared<HandOvers>(std::move(done));
  executor_->post([weak = weak_from_this(), shared] {
    if (const auto self = weak.lock()) self->complete(*shared);
  });
}

void ShardStoreImpl::complete(HandOvers& done) {
  for (const auto& hand_over : done) {
    WARREN_ASSERT(in_flight_ > 0);
    --in_flight_;
    gathering_.uncommitted_bytes -= hand_over->appended_bytes;
    // The logs first, so that what the callbacks ask them is up to date.
    std::vector<LogCommit> stored;
    std::vector<LogId> raised;
    for (const LogCommit& commit : hand_over->logs) {
      const auto at = logs_.find(commit.log);
      if (at == logs_.end()) continue;
      const QueueLogImpl::Committed news = at->second->committed(commit);
      if (news.stored) stored.push_back(commit);
      if (news.mark_raised) raised.push_back(commit.log);
    }
    if (!hand_over->tokens.empty()) listener_->on_committed(hand_over->tokens);
    for (const LogCommit& commit : stored) {
      if (logs_.contains(commit.log)) listener_->on_stored(commit.log, commit.first, commit.last);
    }
    for (const LogId log : raised) {
      if (logs_.contains(log)) listener_->on_mark_raised(log);
    }
  }
}

void ShardStoreImpl::start_read(const ReadRequest& request) {
  // Called on the reader's thread: back to the shard first.
  readers_.submit(request, [weak = weak_from_this(), executor = executor_, log = request.log,
                            kind = request.kind](Result<ReadOutcome> outcome) {
    auto shared = std::make_shared<Result<ReadOutcome>>(std::move(outcome));
    executor->post([weak, log, kind, shared] {
      if (const auto self = weak.lock()) self->finish_read(log, kind, *shared);
    });
  });
}

void ShardStoreImpl::finish_read(LogId log, ReadRequest::Kind kind, Result<ReadOutcome>& outcome) {
  const auto at = logs_.find(log);
  if (at != logs_.end()) at->second->finish_read(kind, std::move(outcome));
}

std::unique_ptr<HandOver> ShardStoreImpl::final_hand_over() {
  std::unique_ptr<HandOver> out = gather(Instant::max());
  for (const auto& [id, log] : logs_) log->write_final_state(out->batch);
  return out;
}

}  // namespace warren::storage
