// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "storage/base/assert.h"

#include "server/amqp/properties.h"
#include "server/broker/message.h"
#include "server/broker/queue/queue.h"

namespace warren::broker {

// Would the queue with this message be above a limit that refuses?
bool Queue::refuses(const Block& block) const {
  if (!settings_->may_refuse()) return false;
  if (settings_->max_length && ready_count() + 1 > *settings_->max_length) return true;
  if (!settings_->max_length_bytes) return false;
  std::uint64_t bytes = MessageView(block).body().size();
  for (const auto& lane : lanes_) {
    if (lane != nullptr) bytes += lane->ready.body_bytes();
  }
  return bytes > *settings_->max_length_bytes;
}

// Has a message with its id been here? If not, the id is kept.
bool Queue::is_duplicate(const Block& block) {
  amqp::PropertiesView properties;
  if (!amqp::parse_properties(MessageView(block).properties(), properties)) return false;
  if (!properties.headers) return false;
  const auto id = read_dedup_id(*settings_->dedup, properties.headers->value);
  if (!id) return false;
  if (!seen_) seen_.emplace(settings_->dedup->size);
  return !seen_->insert(*id, Instant(std::chrono::milliseconds(host_.now_ms())));
}

// What the message itself and the settings say of its life here.
void Queue::describe(ReadyMessage& message) const {
  const MessageView view(*message.block);
  message.body_bytes = static_cast<std::uint32_t>(view.body().size());
  message.deadline_ms = kNoDeadline;
  if (is_delayed()) {
    message.deadline_ms = delayed_until(view);
    return;
  }
  if (!settings_->message_ttl_ms && !view.has_expiration()) return;
  std::int64_t life = settings_->message_ttl_ms.value_or(INT64_MAX);
  if (view.has_expiration()) life = std::min(life, expiration_of(view).value_or(INT64_MAX));
  if (life != INT64_MAX) message.deadline_ms = view.published_ms() + life;
}

void Queue::enqueue(BlockRef block, bool persistent, const storage::CommitToken* confirm,
                    const BodyId& body) {
  if (refuses(*block)) {
    if (confirm != nullptr) host_.answer_publish(*confirm, false);
    if (settings_->overflow == Overflow::reject_publish_dlx)
      refuse_to_dead_letter(std::move(block));
    return;
  }
  if (settings_->dedup && is_duplicate(*block)) {
    // The first one may not be on disk yet.
    if (confirm != nullptr) host_.confirm_when_durable(*confirm);
    return;
  }
  const std::size_t index =
      std::min<std::size_t>(MessageView(*block).priority(), lanes_.size() - 1);
  Lane& lane = this->lane(index);
  ReadyMessage message;
  message.seq = lane.next_seq;
  message.block = block;
  describe(message);
  // What is unacked may come back, ahead of it.
  if (lane.ready.count() == 0 && unacked_.empty()) lane.expiry.on_empty();
  message.indexed = lane.expiry.wants(message.deadline_ms);
  // What is delayed is found by the index alone, which the disk has for durable messages only.
  if (durable() && (persistent || is_delayed())) {
    message.kept = Kept::durable;
    storage::MessageNotes notes;
    notes.weight = message.body_bytes;
    if (message.indexed) notes.due_ms = message.deadline_ms;
    notes.expires = message.deadline_ms != kNoDeadline;
    log(lane).append(message.seq, std::move(block), storage::Durability::durable, confirm, notes,
                     body);
  } else {
    // A message that only memory holds cannot lie behind the gap; beyond the budget it is paged.
    const bool page = lane.ready.has_gap() || host_.transient_over_budget() ||
                      (durable() && lane.ready.wants_memory_relief());
    if (page && !is_delayed()) {
      message.kept = Kept::paged;
      log(lane).append(message.seq, std::move(block), storage::Durability::paged, nullptr);
    } else {
      host_.add_transient_bytes(static_cast<std::int64_t>(block->size()));
    }
    if (confirm != nullptr) host_.answer_publish(*confirm, true);
  }
  ++lane.next_seq;  // not before: a log that is opened here begins with this message
  if (message.indexed) lane.expiry.add(message);
  const bool limited =
      message.deadline_ms != kNoDeadline || settings_->max_length || settings_->max_length_bytes;
  lane.ready.push(std::move(message));
  if (limited || !ring_.empty() || !gets_.empty()) {
    host_.schedule(*this);
  } else if (full_consumers_ > 0 && !holds_publishers_) {
    fit_publishers();
    if (holds_publishers_) set_alarm();
  }
}

// The refused message never was in the queue, but it has died here all the same.
void Queue::refuse_to_dead_letter(BlockRef block) {
  if (!settings_->dead_letter_exchange) return;
  Leaving leaving;
  leaving.message.block = std::move(block);
  leaving.message.kept = Kept::memory;
  leaving.reason = DeathReason::maxlen;
  leaving.never_was_here = true;
  host_.dead_letter(*this, std::move(leaving));
}

void Queue::on_stored(LogId log_id, Seq first, Seq last) {
  Lane* const lane = lane_with(log_id);
  WARREN_ASSERT(lane != nullptr);
  fit_windows();
  lane->expiry.on_stored(last);
  if (lane->ready.on_stored(first, last)) {
    log(*lane).release(first, last + 1);
    if (lane->ready.wants_read()) host_.schedule(*this);
  }
  const auto came = std::erase_if(lane->expired_in_tail, [&](const storage::DueEntry& entry) {
    if (entry.seq > last) return false;
    lane->expiry.look_again(entry);
    return true;
  });
  if (came > 0) host_.schedule(*this);
}

}  // namespace warren::broker
