// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "storage/base/assert.h"
#include "storage/base/log.h"

#include "server/broker/message.h"
#include "server/broker/queue/queue.h"

namespace warren::broker {

// Reads the lane whose turn it is, or comes next: the lower ones have time.
void Queue::read_ahead() {
  Lane* wanting = nullptr;
  for (std::size_t i = lanes_.size(); i-- > 0 && wanting == nullptr;) {
    Lane* const lane = lanes_[i].get();
    if (lane != nullptr && lane->ready.wants_read()) wanting = lane;
  }
  if (wanting == nullptr || wanting->reading || is_delayed()) return;
  Lane& lane = *wanting;
  lane.reading = true;
  log(lane).read(
      lane.ready.gap_begin(), lane.ready.gap_end(), lane.ready.read_bytes(),
      [this, &lane](Result<storage::ReadResult> result) { on_read(lane, std::move(result)); });
}

// The disk did not answer: this queue stands still, the others go on. `told`: why, to the log.
void Queue::read_failed(std::string& told, const Error& error) {
  if (told != error.text) {
    told = error.text;
    WLOG(error,
         "queue cannot be read, it is tried again every second; see to the disk, or what "
         "warren-dump check says vhost='{}' queue='{}' error='{}'",
         printable(definition_->vhost), printable(definition_->name), error.text);
  }
  finish_purge();  // which needs no read
  host_.retry_later(*this);
}

void Queue::read_worked(std::string& told) {
  if (told.empty()) return;
  told.clear();
  WLOG(warn, "queue can be read again vhost='{}' queue='{}'", printable(definition_->vhost),
       printable(definition_->name));
}

// What the disk gave, made a message of the queue again; nothing: it is damaged and passed over.
std::optional<ReadyMessage> Queue::accept_stored(Lane& lane, storage::StoredMessage stored) {
  ReadyMessage message;
  message.seq = stored.seq;
  message.block = std::move(stored.block);
  message.kept = stored.durability == storage::Durability::durable ? Kept::durable : Kept::paged;
  message.returns = stored.returns;
  message.redelivered =
      message.kept == Kept::durable && (stored.seq <= lane.recovered_mark || stored.returns > 0);
  if (!valid_message(*message.block)) {
    WLOG(error, "message does not parse and is passed over vhost='{}' queue='{}' seq={}",
         printable(definition_->vhost), printable(definition_->name), message.seq);
    forget(lane, message);
    return std::nullopt;
  }
  describe(message);
  message.indexed = message.kept == Kept::durable && message.deadline_ms != kNoDeadline &&
                    log(lane).state().has_due;
  return message;
}

void Queue::on_read(Lane& lane, Result<storage::ReadResult> result) {
  lane.reading = false;
  if (!result.ok()) {
    fail_gets(result.error().text);
    return read_failed(lane.read_failure, result.error());
  }
  read_worked(lane.read_failure);
  std::vector<ReadyMessage> messages;
  messages.reserve(result->messages.size());
  for (storage::StoredMessage& stored : result->messages) {
    if (lane.leaving.contains(stored.seq)) continue;
    auto message = accept_stored(lane, std::move(stored));
    if (!message) continue;
    lane.expiry.add(*message);
    messages.push_back(std::move(*message));
  }
  const std::uint64_t missing = lane.ready.on_read(std::move(messages), result->next);
  if (missing > 0) {
    WLOG(error, "messages could not be read and are passed over vhost='{}' queue='{}' count={}",
         printable(definition_->vhost), printable(definition_->name), missing);
  }
  finish_purge();
  host_.schedule(*this);
}

// Who asked for a message gets an answer; consumers wait for the next read.
void Queue::fail_gets(const std::string& why) {
  for (const GetRequest& request : gets_) {
    Reply reply;
    reply.to = request.reply_to;
    reply.error = amqp::connection_error(amqp::ReplyCode::internal_error,
                                         fmt::format("queue '{}' in vhost '{}' cannot be read: {}",
                                                     definition_->name, definition_->vhost, why));
    host_.reply(std::move(reply));
  }
  gets_.clear();
}

}  // namespace warren::broker
