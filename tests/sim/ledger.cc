// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/ledger.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "storage/base/assert.h"

namespace warren::test {

SimQueueIndex SimLedger::add_queue(std::string name, bool durable) {
  Queue queue;
  queue.name = std::move(name);
  queue.durable = durable;
  queues_.push_back(std::move(queue));
  return static_cast<SimQueueIndex>(queues_.size() - 1);
}

void SimLedger::fail(std::string text) {
  if (failure_.empty()) failure_ = std::move(text);
}

SimLedger::Copy* SimLedger::find(SimMessageId id, SimQueueIndex queue) {
  const auto at = messages_.find(id);
  if (at == messages_.end()) return nullptr;
  for (Copy& copy : at->second.copies) {
    if (copy.queue == queue) return &copy;
  }
  return nullptr;
}

std::string SimLedger::describe(SimMessageId id, const Copy& copy) const {
  constexpr const char* kLives[] = {"never", "owed", "possible", "settled", "gone"};
  const Message& message = messages_.at(id);
  return fmt::format(
      "message {} in '{}' ({}, {}{}{}{}{}, publisher {})", id, queues_[copy.queue].name,
      message.persistent ? "persistent" : "transient", kLives[static_cast<int>(copy.life)],
      copy.safe ? ", safe" : "", copy.seen ? ", seen" : "", copy.with_all ? ", fan-out" : "",
      copy.holder != 0 ? fmt::format(", held by {}", copy.holder) : "", message.publisher);
}

void SimLedger::note(const char* what, SimMessageId id, const Copy& copy) const {
  if (id == traced_) fmt::print(stderr, "{}: {}\n", what, describe(id, copy));
}

bool SimLedger::durable(const Message& message, const Copy& copy) const {
  return message.persistent && queues_[copy.queue].durable;
}

template <class Function>
void SimLedger::each_copy(SimQueueIndex index, Function function) {
  const std::vector<SimMessageId> ids(queues_[index].copies.begin(), queues_[index].copies.end());
  for (const SimMessageId id : ids) {
    Copy* const copy = find(id, index);
    WARREN_ASSERT(copy != nullptr);
    function(id, messages_.at(id), *copy);
  }
}

void SimLedger::bury(SimMessageId id, Copy& copy, bool tolerated) {
  copy.life = Life::gone;
  copy.holder = 0;
  copy.with_all = false;
  copy.purged = false;
  copy.tolerated = tolerated;
  note("gone", id, copy);
  if (tolerated) tolerated_.emplace_back(id, copy.queue);
  queues_[copy.queue].copies.erase(id);
}

// ---- publishing ----

SimMessageId SimLedger::published(std::uint64_t publisher, bool persistent, std::size_t body_size,
                                  const std::vector<SimTarget>& targets) {
  const SimMessageId id = next_id_++;
  Message message;
  message.publisher = publisher;
  message.persistent = persistent;
  message.body_size = body_size;
  for (const SimTarget& target : targets) {
    Copy copy;
    copy.queue = target.queue;
    copy.binding = target.binding;
    message.copies.push_back(copy);
  }
  messages_.emplace(id, std::move(message));
  ++stats_.published;
  return id;
}

void SimLedger::taken(SimMessageId id) {
  Message& message = messages_.at(id);
  message.taken = true;
  for (Copy& copy : message.copies) {
    Queue& queue = queues_[copy.queue];
    Existence binding = Existence::present;
    if (copy.binding >= 0) {
      const auto at = queue.bindings.find(copy.binding);
      binding = at == queue.bindings.end() ? Existence::absent : at->second;
    }
    if (queue.existence == Existence::absent || binding == Existence::absent) continue;
    const bool sure = queue.existence == Existence::present && binding == Existence::present;
    copy.life = sure ? Life::owed : Life::possible;
    queue.copies.insert(id);
    note("taken", id, copy);
  }
}

void SimLedger::confirmed(SimMessageId id) {
  Message& message = messages_.at(id);
  if (!message.taken) fail(fmt::format("message {} was confirmed before it was sent", id));
  for (Copy& copy : message.copies) {
    copy.safe = copy.safe || durable(message, copy);
    note("confirmed", id, copy);
  }
}

void SimLedger::returned(SimMessageId id) {
  for (Copy& copy : messages_.at(id).copies) {
    if (copy.life == Life::owed && !copy.seen) {
      fail(fmt::format("returned as unroutable: {}", describe(id, copy)));
    }
    if (copy.life != Life::never && copy.life != Life::gone) bury(id, copy, false);
  }
}

// ---- consuming ----

// It is there: so are all copies of the same publish that hung on the same crash.
void SimLedger::prove(Message& message, Copy& copy) {
  if (!copy.with_all) return;
  for (Copy& other : message.copies) {
    if (!other.with_all) continue;
    other.with_all = false;
    other.safe = true;
    if (other.life == Life::possible) other.life = Life::owed;
  }
}

void SimLedger::delivered(SimMessageId id, SimQueueIndex queue, std::uint32_t holder,
                          bool redelivered) {
  ++stats_.delivered;
  if (redelivered) ++stats_.redelivered;
  Copy* const copy = find(id, queue);
  if (copy == nullptr) {
    return fail(fmt::format("message {} was delivered from '{}', where it was never sent", id,
                            queues_[queue].name));
  }
  note(fmt::format("delivered to {}{}", holder, redelivered ? ", again" : "").c_str(), id, *copy);
  if (copy->life == Life::gone && copy->tolerated) {
    copy->seen = true;
    return;
  }
  if (copy->life == Life::never || copy->life == Life::gone || copy->life == Life::settled) {
    return fail(fmt::format("delivered and should not be: {}", describe(id, *copy)));
  }
  if (copy->holder != 0) {
    return fail(fmt::format("delivered to {} while held (R17): {}", holder, describe(id, *copy)));
  }
  if (copy->seen && !redelivered) {
    return fail(fmt::format("second delivery without redelivered (R13): {}", describe(id, *copy)));
  }
  prove(messages_.at(id), *copy);
  if (copy->life == Life::possible && copy->seen) ++stats_.came_back;
  copy->life = Life::owed;
  copy->seen = true;
  copy->delivery = stats_.delivered;
  copy->purged = false;
  copy->holder = holder;
  if (holder == 0) settled(id, queue);
}

void SimLedger::glimpsed(SimMessageId id, SimQueueIndex queue) {
  Copy* const copy = find(id, queue);
  if (copy == nullptr || copy->life == Life::never) {
    return fail(fmt::format("message {} came from '{}', where it is not", id, queues_[queue].name));
  }
  copy->seen = true;
}

void SimLedger::settled(SimMessageId id, SimQueueIndex queue) {
  Copy* const copy = find(id, queue);
  if (copy == nullptr || copy->life == Life::gone) return;  // of a queue that is gone
  ++stats_.settled;
  note("settled", id, *copy);
  copy->life = Life::settled;
  copy->holder = 0;
}

void SimLedger::given_back(SimMessageId id, SimQueueIndex queue) {
  Copy* const copy = find(id, queue);
  if (copy == nullptr) return;
  note("given back", id, *copy);
  copy->holder = 0;
}

// ---- topology ----

void SimLedger::declare_sent(SimQueueIndex index) {
  Queue& queue = queues_[index];
  ++queue.changes;
  if (queue.existence == Existence::absent) {
    queue.existence = Existence::declaring;
    ++queue.generation;
  }
}

void SimLedger::declare_done(SimQueueIndex index) {
  Queue& queue = queues_[index];
  WARREN_ASSERT(queue.changes > 0);
  --queue.changes;
  if (queue.existence == Existence::declaring) queue.existence = Existence::present;
}

void SimLedger::bind_sent(SimQueueIndex index, int binding) {
  ++queues_[index].binds;
  Existence& at = queues_[index].bindings[binding];
  if (at == Existence::absent) at = Existence::declaring;
}

void SimLedger::bind_done(SimQueueIndex index, int binding) {
  --queues_[index].binds;
  Existence& at = queues_[index].bindings[binding];
  if (at == Existence::declaring) at = Existence::present;
}

void SimLedger::bind_refused(SimQueueIndex index, int binding) {
  --queues_[index].binds;
  Existence& at = queues_[index].bindings[binding];
  if (at == Existence::declaring) at = Existence::absent;
}

void SimLedger::bind_abandoned(SimQueueIndex index) {
  --queues_[index].binds;
  queues_[index].unresolved = true;
}

void SimLedger::delete_sent(SimQueueIndex index) {
  Queue& queue = queues_[index];
  ++queue.changes;
  if (queue.existence == Existence::present) queue.existence = Existence::deleting;
}

void SimLedger::delete_done(SimQueueIndex index) {
  Queue& queue = queues_[index];
  WARREN_ASSERT(queue.changes > 0);
  --queue.changes;
  queue.existence = Existence::absent;
  void_queue(index, true);
}

void SimLedger::change_abandoned(SimQueueIndex index) {
  Queue& queue = queues_[index];
  WARREN_ASSERT(queue.changes > 0);
  --queue.changes;
  queue.unresolved = true;
}

void SimLedger::void_queue(SimQueueIndex index, bool tolerated) {
  queues_[index].bindings.clear();
  each_copy(index, [&](SimMessageId id, Message&, Copy& copy) { bury(id, copy, tolerated); });
}

SimLedger::Purge SimLedger::purge_sent(SimQueueIndex index) const {
  Purge purge;
  purge.deliveries = stats_.delivered;
  for (const SimMessageId id : queues_[index].copies) {
    for (const Copy& copy : messages_.at(id).copies) {
      if (copy.queue != index || copy.holder != 0 || copy.life == Life::settled) continue;
      if (copy.safe) purge.sure.push_back(id);
    }
  }
  return purge;
}

void SimLedger::purge_done(SimQueueIndex index, const Purge& purge) {
  const Queue& queue = queues_[index];
  const bool nothing_under_way = !queue.consumed && !queue.losing;
  each_copy(index, [&](SimMessageId id, Message&, Copy& copy) {
    if (copy.holder != 0 || copy.life == Life::settled) return;
    const bool was_ready = copy.delivery <= purge.deliveries &&
                           std::binary_search(purge.sure.begin(), purge.sure.end(), id);
    if (was_ready && nothing_under_way) return bury(id, copy, false);
    copy.life = Life::possible;
    copy.with_all = false;
    copy.purged = was_ready;
  });
}

// ---- the broker as a whole ----

// Purges and no-ack deliveries that nobody can answer for.
void SimLedger::lose_some(SimQueueIndex index) {
  Queue& queue = queues_[index];
  if (!queue.losing) return;
  queue.losing = false;
  each_copy(index, [&](SimMessageId, Message&, Copy& copy) {
    if (copy.holder != 0 || copy.life == Life::settled) return;
    copy.life = Life::possible;
    copy.with_all = false;
  });
}

void SimLedger::rested() {
  ++stats_.rests;
  for (SimQueueIndex i = 0; i < queues_.size(); ++i) {
    lose_some(i);
    Queue& queue = queues_[i];
    const bool vanished = std::exchange(queue.vanished, false);
    queue.consumed = false;  // the caller knows who still consumes
    each_copy(i, [&](SimMessageId id, Message& message, Copy& copy) {
      if (copy.life == Life::settled) return bury(id, copy, false);
      // Nothing was under way to somebody who could have given it back: the purge took it.
      if (copy.purged && copy.holder == 0 && !vanished) return bury(id, copy, false);
      copy.purged = false;
      copy.safe = copy.safe || durable(message, copy);
    });
  }
  for (const auto& [id, queue] : tolerated_) find(id, queue)->tolerated = false;
  tolerated_.clear();
}

void SimLedger::crashed() {
  ++stats_.crashes;
  for (SimQueueIndex i = 0; i < queues_.size(); ++i) {
    Queue& queue = queues_[i];
    each_copy(i, [](SimMessageId, Message&, Copy& copy) { copy.holder = 0; });
    lose_some(i);
    queue.consumed = queue.vanished = false;
    if (!queue.durable) {
      queue.existence = Existence::absent;
      void_queue(i, false);
    } else if (queue.changes > 0) {
      queue.unresolved = true;
    }
    queue.changes = queue.binds = 0;
    each_copy(i, [&](SimMessageId id, Message& message, Copy& copy) {
      if (!message.persistent) return bury(id, copy, false);
      copy.purged = false;
      if (copy.life == Life::settled) {
        copy.life = Life::possible;  // its ack may not be on disk
        copy.with_all = false;
      } else if (copy.life == Life::owed && !copy.safe) {
        copy.life = Life::possible;
        copy.with_all = true;
      }
    });
  }
  for (const auto& [id, queue] : tolerated_) find(id, queue)->tolerated = false;
  tolerated_.clear();
}

void SimLedger::stopped() {
  ++stats_.stops;
  for (SimQueueIndex i = 0; i < queues_.size(); ++i) {
    Queue& queue = queues_[i];
    each_copy(i, [](SimMessageId, Message&, Copy& copy) { copy.holder = 0; });
    queue.vanished = true;
    if (queue.changes > 0) queue.unresolved = true;
    queue.changes = queue.binds = 0;
    if (queue.durable) continue;
    queue.existence = Existence::absent;
    void_queue(i, false);
  }
  rested();
  for (SimQueueIndex i = 0; i < queues_.size(); ++i) {
    each_copy(i, [&](SimMessageId id, Message& message, Copy& copy) {
      if (!message.persistent) bury(id, copy, false);
    });
  }
}

void SimLedger::resolve(SimQueueIndex index, bool exists) {
  Queue& queue = queues_[index];
  WARREN_ASSERT(queue.changes == 0 && queue.binds == 0);
  // With one answer of several the others cannot matter any more.
  const bool open =
      queue.existence == Existence::declaring || queue.existence == Existence::deleting;
  queue.unresolved = false;
  if (!open && exists != (queue.existence == Existence::present)) {
    return fail(fmt::format("queue '{}' is {} (R9)", queue.name,
                            exists ? "there and was deleted" : "missing and was declared"));
  }
  queue.existence = exists ? Existence::present : Existence::absent;
  if (!exists) void_queue(index, true);
}

void SimLedger::resolve_binding(SimQueueIndex index, int binding, bool exists) {
  Queue& queue = queues_[index];
  Existence& at = queue.bindings[binding];
  if (at == Existence::present && !exists) {
    fail(fmt::format("binding {} of queue '{}' is missing (R9)", binding, queue.name));
  }
  if (at == Existence::absent && exists) {
    fail(fmt::format("binding {} of queue '{}' is there and should not be", binding, queue.name));
  }
  at = exists ? Existence::present : Existence::absent;
}

SimLedger::Counts SimLedger::ready(SimQueueIndex index) const {
  Counts counts;
  for (const SimMessageId id : queues_[index].copies) {
    for (const Copy& copy : messages_.at(id).copies) {
      if (copy.queue != index || copy.holder != 0 || copy.life == Life::settled) continue;
      ++counts.max;
      if (copy.life == Life::owed) ++counts.min;
    }
  }
  return counts;
}

void SimLedger::drained(SimQueueIndex index) {
  each_copy(index, [&](SimMessageId id, Message&, Copy& copy) {
    if (copy.life == Life::owed) fail(fmt::format("lost: {}", describe(id, copy)));
    if (copy.life != Life::possible) return;
    ++stats_.lost_unconfirmed;
    const bool with_all = copy.with_all;
    bury(id, copy, false);
    if (!with_all) return;
    // It is not there: neither is any copy that hung on the same crash (S4).
    for (Copy& other : messages_.at(id).copies) {
      if (other.with_all) bury(id, other, false);
    }
  });
}

}  // namespace warren::test
