// SPDX-License-Identifier: Apache-2.0
// What happens to many copies at once: topology, purges, rests, power losses, drains.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "storage/base/assert.h"

#include "tests/sim/ledger.h"

namespace warren::test {
namespace {

// At rest nothing outlives its time by more than this: what queues leave to its turn at the head
// (ExpiryIndex::kToleranceMs), and the time that passes while the broker comes to rest.
constexpr std::int64_t kSlackMs = 80;

constexpr Places without(Places from, Places what) {
  return static_cast<Places>(from & ~what);
}

}  // namespace

template <class Function>
void SimLedger::each_copy(SimQueueIndex index, Function function) {
  const std::vector<SimMessageId> ids(queues_[index].copies.begin(), queues_[index].copies.end());
  for (const SimMessageId id : ids) {
    Copy* const copy = find(id, index);
    WARREN_ASSERT(copy != nullptr);
    if (copy->life == Life::live) function(id, *copy);
  }
}

template <class Function>
void SimLedger::each_live(Function function) {
  const std::vector<SimMessageId> ids(live_.begin(), live_.end());
  for (const SimMessageId id : ids) {
    Message& message = messages_.at(id);
    for (Copy& copy : message.copies) {
      if (copy.life == Life::live) function(id, message, copy);
    }
  }
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
  each_copy(index, [&](SimMessageId id, Copy& copy) { bury(id, copy, tolerated); });
}

SimLedger::Purge SimLedger::purge_sent(SimQueueIndex index) {
  Purge purge;
  purge.deliveries = stats_.delivered;
  each_copy(index, [&](SimMessageId id, Copy& copy) {
    age(copy);
    // Not what is perhaps on its way here.
    const Places place = place_in(copy, index);
    const bool ready = copy.holder == 0 && copy.may == place && copy.past == place;
    if (ready && copy.safe) purge.sure.push_back(id);
  });
  return purge;
}

void SimLedger::purge_done(SimQueueIndex index, const Purge& purge) {
  const Queue& queue = queues_[index];
  const bool nothing_under_way = !queue.consumed && !queue.losing;
  each_copy(index, [&](SimMessageId id, Copy& copy) {
    const Places place = place_in(copy, index);
    age(copy);
    if (copy.holder != 0 || (copy.may & place) == 0) return;
    const bool was_ready = copy.delivery <= purge.deliveries &&
                           std::binary_search(purge.sure.begin(), purge.sure.end(), id);
    if (was_ready && nothing_under_way && copy.may == place) return bury(id, copy, false);
    lose(copy);
    copy.purged = was_ready ? place : Places{0};
  });
}

// ---- transactions and fan-outs that a power loss left open ----

void SimLedger::happened(SimMessageId id, SimGroup group) {
  const std::vector<SimMessageId> alone{id};
  for (const SimMessageId one : group == 0 ? alone : groups_[group].published) {
    for (Copy& copy : messages_.at(one).copies) {
      if (!copy.with_all) continue;
      copy.with_all = false;
      copy.safe = true;
      copy.may = without(copy.may, kNowhere);
      copy.past = without(copy.past, kNowhere);
    }
  }
  if (group == 0) return;
  for (const auto& [settled, queue] : groups_[group].settled) {
    Copy* const copy = find(settled, queue);
    if (copy->settled_by == group && copy->life == Life::live) bury(settled, *copy, false);
  }
}

void SimLedger::did_not_happen(SimMessageId id, SimGroup group) {
  const std::vector<SimMessageId> alone{id};
  for (const SimMessageId one : group == 0 ? alone : groups_[group].published) {
    for (Copy& copy : messages_.at(one).copies) {
      if (copy.with_all) bury(one, copy, false);
    }
  }
  if (group == 0) return;
  for (const auto& [settled, queue] : groups_[group].settled) {
    Copy* const copy = find(settled, queue);
    if (copy->settled_by != group || copy->life != Life::live) continue;
    copy->settled_by = 0;
    copy->may = without(copy->may, kNowhere);
    copy->past = without(copy->past, kNowhere);
  }
}

// It was seen: so all is there that hung on the same crash.
void SimLedger::proved(SimMessageId id, Copy& copy) {
  if (copy.with_all) happened(id, messages_.at(id).group);
  if (copy.settled_by != 0) did_not_happen(id, copy.settled_by);
}

// ---- the broker as a whole ----

// Purges and no-ack deliveries that nobody can answer for.
void SimLedger::lose_some(SimQueueIndex index) {
  if (!std::exchange(queues_[index].losing, false)) return;
  each_copy(index, [&](SimMessageId, Copy& copy) {
    age(copy);
    if (copy.holder != 0 || (copy.may & place_in(copy, index)) == 0) return;
    lose(copy);
  });
}

void SimLedger::rest_copy(SimMessageId id, Message& message, Copy& copy) {
  const Queue& queue = queues_[copy.queue];
  age(copy);
  if (copy.holder == 0) {
    const std::int64_t past_ms = now_ms() - kSlackMs - (message.taken_ms - message.sent_ms);
    if (copy.due_ms < past_ms) copy.may = without(copy.may, kWaiting);
    // Some stay until their turn, or until the queue is used (B9).
    const bool looked_for = queue.features.ttl_ms != kNever || queue.features.dead_letters;
    const bool must_go = durable(message, copy) && (looked_for || !copy.recovered);
    if (must_go && copy.deadline_ms < past_ms) copy.may = without(copy.may, kHere);
    // Nothing was under way to somebody who could have given it back: the purge took it.
    const auto& dead = queue.features.dead_letters;
    const bool vanished = queue.vanished || (dead && queues_[*dead].vanished);
    if (!vanished) copy.may = without(copy.may, copy.purged);
  }
  copy.purged = 0;
  if (queue.uncounted) copy.returns_unsure = true;
  copy.past = copy.may;
  if ((copy.may & kSomewhere) == 0) return bury(id, copy, false);
  copy.safe = copy.safe || durable(message, copy);
  note("at rest", id, copy);
}

void SimLedger::rested() {
  ++stats_.rests;
  for (SimQueueIndex i = 0; i < queues_.size(); ++i) lose_some(i);
  each_live(
      [this](SimMessageId id, Message& message, Copy& copy) { rest_copy(id, message, copy); });
  for (Queue& queue : queues_) {
    queue.vanished = queue.uncounted = false;
    queue.consumed = false;  // the caller knows who still consumes
  }
  forget_tolerated();
}

void SimLedger::forget_tolerated() {
  for (const auto& [id, queue] : tolerated_) find(id, queue)->tolerated = false;
  tolerated_.clear();
}

void SimLedger::crash_copy(SimMessageId id, Message& message, Copy& copy) {
  if (!durable(message, copy)) return bury(id, copy, false);
  age(copy);
  copy.purged = 0;
  copy.returns_unsure = copy.recovered = true;
  if (!copy.safe) copy.settled_by = 0;
  // With the publish not on disk: all copies of it, or none.
  if (!copy.safe && (copy.past & (kNowhere | kRefused)) == 0) copy.with_all = true;
  copy.may = copy.safe ? copy.past : static_cast<Places>(copy.past | kNowhere);
  copy.past = copy.may;
  // Taken back, it may go there again as if for the first time.
  if ((copy.may & (kHere | kWaiting)) != 0) copy.seen = without(copy.seen, kThere);
  if ((copy.may & kWaiting) != 0) copy.seen = 0;
  note("crash", id, copy);
}

void SimLedger::crashed() {
  ++stats_.crashes;
  each_live([](SimMessageId, Message&, Copy& copy) { copy.holder = 0; });
  for (SimQueueIndex i = 0; i < queues_.size(); ++i) {
    lose_some(i);
    Queue& queue = queues_[i];
    if (!queue.durable) {
      queue.existence = Existence::absent;
      void_queue(i, false);
    } else if (queue.changes > 0) {
      queue.unresolved = true;
    }
    queue.changes = queue.binds = 0;
  }
  each_live(
      [this](SimMessageId id, Message& message, Copy& copy) { crash_copy(id, message, copy); });
  for (Queue& queue : queues_) queue.consumed = queue.vanished = queue.uncounted = false;
  forget_tolerated();
}

void SimLedger::stopped() {
  ++stats_.stops;
  each_live([](SimMessageId, Message&, Copy& copy) { copy.holder = 0; });
  for (SimQueueIndex i = 0; i < queues_.size(); ++i) {
    Queue& queue = queues_[i];
    queue.vanished = queue.uncounted = true;
    if (queue.changes > 0) queue.unresolved = true;
    queue.changes = queue.binds = 0;
    if (queue.durable) continue;
    queue.existence = Existence::absent;
    void_queue(i, false);
  }
  rested();
  each_live([this](SimMessageId id, Message& message, Copy& copy) {
    copy.recovered = true;
    if (!message.what.persistent) bury(id, copy, false);
  });
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

SimLedger::Counts SimLedger::ready(SimQueueIndex index) {
  Counts counts;
  each_copy(index, [&](SimMessageId, Copy& copy) {
    const Places place = place_in(copy, index);
    age(copy);
    if (copy.holder != 0 || (copy.may & place) == 0) return;
    ++counts.max;
    if (copy.may == place) ++counts.min;
    if (place == kHere && copy.deadline_ms <= now_ms()) ++counts.late;
  });
  return counts;
}

std::string SimLedger::list(SimQueueIndex index) {
  std::string text;
  unsigned count = 0;
  each_copy(index, [&](SimMessageId id, Copy& copy) {
    const Places place = place_in(copy, index);
    if ((copy.may & place) == 0 || ++count > 50) return;
    text += copy.holder != 0 ? "\n  held: " : copy.may == place ? "\n  must: " : "\n  may: ";
    text += describe(id, copy);
  });
  return text;
}

void SimLedger::drained(SimQueueIndex index) {
  each_copy(index, [&](SimMessageId id, Copy& copy) {
    const Places place = place_in(copy, index);
    age(copy);
    if (copy.holder != 0 || (copy.may & place) == 0) return;
    // What comes later comes through here.
    if ((copy.may & kWaiting) != 0) return;
    if (copy.may == place) return fail(fmt::format("lost: {}", describe(id, copy)));
    copy.may = without(copy.may, place);
    copy.past = copy.may;
    note("not there", id, copy);
    if ((copy.may & kSomewhere) != 0) return;
    ++stats_.lost_unconfirmed;
    // It is not there: neither is any copy that hung on the same crash (S4, B11).
    const bool with_all = copy.with_all;
    const SimGroup settled_by = copy.settled_by;
    const SimGroup group = messages_.at(id).group;
    bury(id, copy, false);
    if (with_all) did_not_happen(id, group);
    if (settled_by != 0) happened(id, settled_by);
  });
}

}  // namespace warren::test
