// SPDX-License-Identifier: Apache-2.0
#include "storage/base/assert.h"

#include "server/broker/queue/queue.h"

namespace warren::broker {

void Queue::enqueue(BlockRef block, bool persistent, const storage::CommitToken* confirm) {
  const Seq seq = next_seq_;
  ReadyMessage message{seq, block, Kept::memory, false};
  if (persistent && durable()) {
    message.kept = Kept::durable;
    log().append(seq, std::move(block), storage::Durability::durable, confirm);
  } else {
    WARREN_ASSERT(confirm == nullptr);
    // A message that only memory holds cannot lie behind the gap; beyond the budget it is paged.
    const bool page = ready_.has_gap() || host_.transient_over_budget() ||
                      (durable() && ready_.wants_memory_relief());
    if (page) {
      message.kept = Kept::paged;
      log().append(seq, std::move(block), storage::Durability::paged, nullptr);
    } else {
      host_.add_transient_bytes(static_cast<std::int64_t>(block->size()));
    }
  }
  ++next_seq_;  // not before: a log that is opened here begins with this message
  ready_.push(std::move(message));
  if (!ring_.empty() || !gets_.empty()) host_.schedule(*this);
}

void Queue::on_stored(Seq first, Seq last) {
  if (!ready_.on_stored(first, last)) return;
  log().release(first, last + 1);
  if (ready_.wants_read()) host_.schedule(*this);
}

}  // namespace warren::broker
