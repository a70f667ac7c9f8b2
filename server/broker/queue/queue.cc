// SPDX-License-Identifier: Apache-2.0
#include "server/broker/queue/queue.h"

#include <algorithm>
#include <limits>

#include "storage/base/assert.h"
#include "storage/base/units.h"

#include "server/broker/broker_limits.h"

namespace warren::broker {

Queue::Queue(QueueHost& host, QueueDefinitionPtr definition, QueueSettingsPtr settings,
             std::uint64_t window_bytes, const std::vector<storage::LogState>& recovered)
    : host_(host),
      definition_(std::move(definition)),
      settings_(std::move(settings)),
      window_bytes_(window_bytes),
      lanes_(definition_->log_count) {
  used_ms_ = host_.now_ms();
  for (const storage::LogState& state : recovered) recover(state);
  if (durable()) log(lane(0));
  set_alarm();
}

Queue::~Queue() {
  std::int64_t in_memory = 0;
  const auto count = [&in_memory](const ReadyMessage& message) {
    if (message.kept == Kept::memory) in_memory += static_cast<std::int64_t>(message.block->size());
  };
  for (const auto& lane : lanes_) {
    if (lane == nullptr) continue;
    ReadyStore::Gap gap;
    for (const ReadyMessage& message : lane->ready.clear(gap)) count(message);
  }
  for (const auto& [place, unacked] : unacked_) count(unacked.message);
  for (const auto& [until, waiting] : waiting_) count(waiting.message);
  host_.add_transient_bytes(-in_memory);
  host_.add_window_bytes(-static_cast<std::int64_t>(window_bytes_told_));
}

bool Queue::acts_by_itself(const QueueSettings& settings,
                           const std::vector<storage::LogState>& recovered) {
  if (settings.message_ttl_ms || settings.expires_ms || settings.max_length ||
      settings.max_length_bytes || settings.dead_letter_exchange ||
      !settings.delayed_exchange.empty()) {
    return true;
  }
  return std::ranges::any_of(
      recovered, [](const storage::LogState& state) { return state.has_due || state.expires; });
}

void Queue::recover(const storage::LogState& state) {
  Lane& at = lane(static_cast<std::size_t>(state.id.value - definition_->log.value));
  at.next_seq = state.next;
  at.recovered_next = state.next;
  // The mark is set ahead of what is delivered; what comes from now on is new all the same.
  at.recovered_mark = std::min(state.delivered_mark, state.next - 1);
  at.log = &host_.open_log(state, *this);
  at.ready.start_on_disk(state);
  if (state.has_due || at.ready.count() > 0) at.expiry.start_on_disk(state.has_due);
  // Its messages stay on disk until somebody wants them: also those whose time has come.
  const bool expires =
      state.expires || settings_->message_ttl_ms || settings_->dead_letter_exchange;
  if (state.has_due || (expires && at.ready.count() > 0)) host_.schedule(*this);
}

Lane& Queue::lane(std::size_t index) {
  WARREN_ASSERT(index < lanes_.size());
  std::unique_ptr<Lane>& at = lanes_[index];
  if (at == nullptr) {
    at = std::make_unique<Lane>(LogId(definition_->log.value + index), index, lane_window_bytes());
    if (is_delayed()) at->expiry.index_all();
  }
  return *at;
}

// Lanes share the window: the lower ones wait for the higher ones anyway.
std::uint64_t Queue::lane_window_bytes() const {
  if (host_.windows_over_budget()) {
    const bool used = !by_number_.empty() || !gets_.empty();
    return std::min(window_bytes_, used ? kUsedQueueWindowBytes : kIdleQueueWindowBytes);
  }
  return lanes_.size() == 1 ? window_bytes_ : std::max<std::uint64_t>(window_bytes_ / 4, 64_KiB);
}

// Tells the host what the windows hold, and bounds them by what it says (B8).
void Queue::fit_windows() {
  std::uint64_t bytes = 0;
  for (const auto& lane : lanes_) {
    if (lane != nullptr) bytes += lane->ready.memory_bytes();
  }
  host_.add_window_bytes(static_cast<std::int64_t>(bytes - window_bytes_told_));
  window_bytes_told_ = bytes;
  const std::uint64_t window = lane_window_bytes();
  for (const auto& lane : lanes_) {
    if (lane != nullptr) lane->ready.set_window(window);
  }
}

Lane* Queue::lane_with(LogId log) {
  const std::uint64_t index = log.value - definition_->log.value;
  return index < lanes_.size() ? lanes_[index].get() : nullptr;
}

// The lane whose turn it is; null: nothing is ready.
Lane* Queue::top_lane() {
  for (std::size_t i = lanes_.size(); i-- > 0;) {
    if (lanes_[i] != nullptr && lanes_[i]->ready.count() > 0) return lanes_[i].get();
  }
  return nullptr;
}

storage::QueueLog& Queue::log(Lane& lane) {
  if (lane.log == nullptr) {
    storage::LogState state;
    state.id = lane.id;
    state.head = lane.next_seq;
    state.next = lane.next_seq;
    lane.log = &host_.open_log(state, *this);
  }
  return *lane.log;
}

std::vector<LogId> Queue::open_logs() const {
  std::vector<LogId> logs;
  for (const auto& lane : lanes_) {
    if (lane != nullptr && lane->log != nullptr) logs.push_back(lane->id);
  }
  return logs;
}

std::uint64_t Queue::ready_count() const {
  std::uint64_t count = 0;
  for (const auto& lane : lanes_) {
    if (lane != nullptr) count += lane->ready.count();
  }
  return count;
}

std::uint32_t Queue::clamped_ready_count() const {
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(ready_count(), std::numeric_limits<std::uint32_t>::max()));
}

void Queue::touch() {
  if (settings_->expires_ms) used_ms_ = host_.now_ms();
}

void Queue::change_settings(QueueSettingsPtr settings) {
  // What decides where messages lie is not changed by policies.
  WARREN_ASSERT(settings->max_priority == settings_->max_priority);
  const bool other_ttl = settings->message_ttl_ms != settings_->message_ttl_ms;
  if (settings->expires_ms && !settings_->expires_ms) used_ms_ = host_.now_ms();
  if (settings->consumer_timeout_ms && !settings_->consumer_timeout_ms) oldest_unacked_ms_ = 0;
  settings_ = std::move(settings);
  if (!settings_->delayed_retry) end_all_waits();
  for (const auto& lane : lanes_) {
    if (!other_ttl || lane == nullptr) continue;
    lane->ready.for_each([this](ReadyMessage& message) {
      if (!message.indexed) describe(message);  // the index goes by what it was told
    });
  }
  host_.schedule(*this);
}

void Queue::count(const CountRequest& request) {
  if (request.retry) touch();
  Reply reply;
  reply.to = request.reply_to;
  reply.name = definition_->name;
  reply.message_count = clamped_ready_count();
  reply.consumer_count = consumer_count();
  host_.reply(std::move(reply));
}

void Queue::purge(const PurgeRequest& request) {
  purges_.push_back(request);
  finish_purge();
}

// Not while messages are on their way in from the disk, or out.
void Queue::finish_purge() {
  if (purges_.empty()) return;
  for (const auto& lane : lanes_) {
    if (lane != nullptr && !lane->is_settled()) return;
  }
  std::vector<PurgeRequest> purges;
  purges.swap(purges_);
  end_all_waits();
  for (const PurgeRequest& request : purges) {
    Reply reply;
    reply.to = request.reply_to;
    reply.name = definition_->name;
    reply.message_count = clamped_ready_count();
    for (const auto& lane : lanes_) {
      if (lane != nullptr) purge_lane(*lane);
    }
    if (durable()) {
      host_.reply_when_durable(std::move(reply));
    } else {
      host_.reply(std::move(reply));
    }
  }
}

void Queue::purge_lane(Lane& lane) {
  ReadyStore::Gap gap;
  for (const ReadyMessage& message : lane.ready.clear(gap)) forget(lane, message);
  if (gap.begin != gap.end) {
    log(lane).settle_range(gap.begin, gap.end, gap.durable_count, gap.durable_bytes,
                           gap.durable_body_bytes);
    std::vector<storage::DueEntry> kept;
    for (const auto& [place, unacked] : unacked_) {
      const ReadyMessage& message = unacked.message;
      const bool here = lane_of(place) == lane.index && message.kept == Kept::durable;
      if (here && message.indexed) kept.push_back({message.deadline_ms, message.seq, 0});
    }
    log(lane).reset_due(std::move(kept));
  }
  lane.expiry.clear();
  lane.expired.clear();
  lane.expired_in_tail.clear();
}

void Queue::cancel_all_consumers() {
  for (const auto& consumer : consumers_) {
    if (!consumer->cancelled && consumer->number != 0) host_.cancel_consumer(*consumer);
  }
  const auto answer = [this](const ReplyTo& to) {
    Reply reply;
    reply.to = to;
    host_.reply(std::move(reply));
  };
  for (const GetRequest& request : gets_) answer(request.reply_to);
  for (const PurgeRequest& request : purges_) answer(request.reply_to);
  gets_.clear();
  purges_.clear();
}

// The message is gone for good.
void Queue::forget(Lane& lane, const ReadyMessage& message) {
  const std::size_t bytes = message.block->size();
  if (message.kept == Kept::memory) {
    host_.add_transient_bytes(-static_cast<std::int64_t>(bytes));
    return;
  }
  storage::MessageNotes notes;
  if (message.kept == Kept::durable) {
    notes.weight = message.body_bytes;
    notes.returns = message.returns;
    if (message.indexed) notes.due_ms = message.deadline_ms;
  }
  log(lane).settle(message.seq, bytes, notes);
}

}  // namespace warren::broker
