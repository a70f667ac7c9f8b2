// SPDX-License-Identifier: Apache-2.0
// The life of one copy: published, delivered, settled.
#include "tests/sim/ledger.h"

#include <algorithm>

#include <fmt/format.h>

#include "storage/base/assert.h"

namespace warren::test {

SimQueueIndex SimLedger::add_queue(std::string name, bool durable, SimFeatures features) {
  Queue queue;
  queue.name = std::move(name);
  queue.durable = durable;
  queue.features = features;
  if (features.permanent) queue.existence = Existence::present;
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
    if (copy.queue == queue || queues_[copy.queue].features.dead_letters == queue) return &copy;
  }
  return nullptr;
}

Places SimLedger::place_in(const Copy& copy, SimQueueIndex queue) const {
  return copy.queue == queue ? kHere : kThere;
}

std::string SimLedger::describe(SimMessageId id, const Copy& copy) const {
  const Message& message = messages_.at(id);
  std::string places;
  const auto list = [&places](Places among, const char* names) {
    for (int bit = 0; bit < 5; ++bit) {
      if ((among >> bit & 1) != 0) places += names[bit];
    }
  };
  list(copy.may, "nrwht");
  places += " of ";
  list(copy.past, "nrwht");
  constexpr const char* kLives[] = {"never", "live", "gone"};
  return fmt::format("message {} for '{}' ({}, {}, {}{}{}{}{}, publisher {})", id,
                     queues_[copy.queue].name, message.what.persistent ? "persistent" : "transient",
                     kLives[static_cast<int>(copy.life)], places, copy.safe ? ", safe" : "",
                     copy.seen != 0 ? ", seen" : "", copy.with_all ? ", with all" : "",
                     copy.holder != 0 ? fmt::format(", held by {}", copy.holder) : "",
                     message.what.publisher);
}

void SimLedger::note(const char* what, SimMessageId id, const Copy& copy) const {
  if (id == traced_) fmt::print(stderr, "{} {}: {}\n", now_ms(), what, describe(id, copy));
}

bool SimLedger::durable(const Message& message, const Copy& copy) const {
  return message.what.persistent && queues_[copy.queue].durable;
}

// ---- places ----

void SimLedger::set(Copy& copy, Places places) {
  copy.may = places;
  copy.past |= places;
}

void SimLedger::add(Copy& copy, Places places) {
  set(copy, copy.may | places);
}

Places SimLedger::dead_place(const Copy& copy) const {
  return queues_[copy.queue].features.dead_letters ? kThere : kNowhere;
}

// Could the broker have let it die by itself?
bool SimLedger::may_die(const Copy& copy) const {
  const Queue& queue = queues_[copy.queue];
  if (copy.deadline_ms <= now_ms()) return true;
  if (queue.features.max_length > 0 && !queue.features.refuses) return true;
  return queue.features.delivery_limit && (queue.uncounted || copy.returns_unsure);
}

// What time, and the queue's limits, may have done to it.
void SimLedger::age(Copy& copy) {
  if (copy.life != Life::live || copy.holder != 0) return;
  if ((copy.may & kWaiting) != 0 && copy.due_ms <= now_ms()) add(copy, kHere);
  if ((copy.may & kHere) == 0 || !may_die(copy)) return;
  if (queues_[copy.queue].features.dead_letters) {
    add(copy, kThere);
  } else {
    lose(copy);
  }
}

// It may be gone for a reason of its own, which says nothing about others.
void SimLedger::lose(Copy& copy) {
  add(copy, kNowhere);
  copy.with_all = false;
  copy.settled_by = 0;
}

void SimLedger::enter(SimMessageId id, Copy& copy, bool sure) {
  const SimPublish& what = messages_.at(id).what;
  const SimFeatures& features = queues_[copy.queue].features;
  copy.life = Life::live;
  copy.due_ms = messages_.at(id).sent_ms + what.delay_ms;
  const std::int64_t ttl = std::min(features.ttl_ms, what.expiration_ms);
  if (ttl != kNever) copy.deadline_ms = copy.due_ms + ttl;
  copy.past = 0;
  set(copy, what.delay_ms > 0 ? kWaiting : kHere);
  if (!sure) add(copy, kNowhere);
  if (features.refuses) add(copy, kRefused);
  live_.insert(id);
  queues_[copy.queue].copies.insert(id);
  if (features.dead_letters) queues_[*features.dead_letters].copies.insert(id);
  note("entered", id, copy);
}

void SimLedger::bury(SimMessageId id, Copy& copy, bool tolerated) {
  copy.life = Life::gone;
  copy.holder = 0;
  copy.with_all = false;
  copy.settled_by = 0;
  copy.tolerated = tolerated;
  note("gone", id, copy);
  if (tolerated) tolerated_.emplace_back(id, copy.queue);
  queues_[copy.queue].copies.erase(id);
  const auto& dead_letters = queues_[copy.queue].features.dead_letters;
  if (dead_letters) queues_[*dead_letters].copies.erase(id);
  for (const Copy& other : messages_.at(id).copies) {
    if (other.life == Life::live) return;
  }
  live_.erase(id);
}

// ---- publishing ----

SimMessageId SimLedger::published(const SimPublish& publish) {
  const SimMessageId id = next_id_++;
  Message message;
  message.what = publish;
  message.sent_ms = now_ms();
  for (const SimTarget& target : publish.targets) {
    Copy copy;
    copy.queue = target.queue;
    copy.binding = target.binding;
    message.copies.push_back(copy);
  }
  messages_.emplace(id, std::move(message));
  ++stats_.published;
  return id;
}

void SimLedger::routed(SimMessageId id) {
  Message& message = messages_.at(id);
  message.taken = true;
  message.taken_ms = now_ms();
  for (Copy& copy : message.copies) {
    const Queue& queue = queues_[copy.queue];
    Existence binding = Existence::present;
    if (copy.binding >= 0) {
      const auto at = queue.bindings.find(copy.binding);
      binding = at == queue.bindings.end() ? Existence::absent : at->second;
    }
    if (queue.existence == Existence::absent || binding == Existence::absent) continue;
    const bool sure = queue.existence == Existence::present && binding == Existence::present;
    copy.route = sure ? Existence::present : Existence::declaring;
  }
}

// The queue that it was routed to may be gone by now, or another one.
void SimLedger::entered(SimMessageId id, SimGroup group) {
  Message& message = messages_.at(id);
  message.group = group;
  if (group != 0) groups_[group].published.push_back(id);
  for (Copy& copy : message.copies) {
    const Existence existence = queues_[copy.queue].existence;
    if (copy.route == Existence::absent || existence == Existence::absent) continue;
    enter(id, copy, copy.route == Existence::present && existence == Existence::present);
  }
}

void SimLedger::confirmed(SimMessageId id) {
  Message& message = messages_.at(id);
  if (!message.taken) fail(fmt::format("message {} was confirmed before it was sent", id));
  for (Copy& copy : message.copies) {
    copy.safe = copy.safe || durable(message, copy);
    copy.may &= static_cast<Places>(~kRefused);
    copy.past &= static_cast<Places>(~kRefused);
    note("confirmed", id, copy);
  }
}

void SimLedger::refused(SimMessageId id) {
  ++stats_.refused;
  bool possible = false;
  for (Copy& copy : messages_.at(id).copies) {
    if (copy.life != Life::live || (copy.may & kRefused) == 0) continue;
    possible = true;
    bury(id, copy, false);
  }
  if (!possible) fail(fmt::format("message {} was refused, and nothing refuses it", id));
}

void SimLedger::returned(SimMessageId id) {
  for (Copy& copy : messages_.at(id).copies) {
    if (copy.life != Life::live) continue;
    age(copy);
    if ((copy.may & (kNowhere | kRefused)) == 0 && copy.seen == 0) {
      fail(fmt::format("returned as unroutable: {}", describe(id, copy)));
    }
    bury(id, copy, false);
  }
}

void SimLedger::committed(SimGroup group) {
  ++stats_.transactions;
  for (const SimMessageId id : groups_[group].published) {
    Message& message = messages_.at(id);
    for (Copy& copy : message.copies) copy.safe = copy.safe || durable(message, copy);
  }
  for (const auto& [id, queue] : groups_[group].settled) {
    Copy* const copy = find(id, queue);
    if (copy->settled_by != group || copy->life != Life::live) continue;
    copy->settled_by = 0;
    copy->past = copy->may;  // nothing can take it back
  }
}

unsigned SimLedger::lane(SimMessageId id, SimQueueIndex queue) const {
  return std::min(messages_.at(id).what.priority, queues_[queue].features.max_priority);
}

bool SimLedger::ordered(SimMessageId id, SimQueueIndex queue) const {
  const Message& message = messages_.at(id);
  if (message.what.delay_ms > 0) return false;
  return std::any_of(message.copies.begin(), message.copies.end(),
                     [queue](const Copy& copy) { return copy.queue == queue; });
}

// ---- consuming ----

void SimLedger::delivered(SimMessageId id, SimQueueIndex queue, std::uint32_t holder,
                          bool redelivered) {
  ++stats_.delivered;
  if (redelivered) ++stats_.redelivered;
  Copy* const copy = find(id, queue);
  if (copy == nullptr) {
    return fail(fmt::format("message {} was delivered from '{}', where it was never sent", id,
                            queues_[queue].name));
  }
  const Places place = place_in(*copy, queue);
  age(*copy);
  note(fmt::format("delivered from {} to {}{}", queues_[queue].name, holder,
                   redelivered ? ", again" : "")
           .c_str(),
       id, *copy);
  if (copy->life == Life::gone && copy->tolerated) {
    copy->seen |= place;
    return;
  }
  if (copy->life != Life::live || (copy->may & place) == 0) {
    return fail(fmt::format("delivered from '{}' and should not be: {}", queues_[queue].name,
                            describe(id, *copy)));
  }
  if (copy->holder != 0) {
    return fail(fmt::format("delivered to {} while held (R17): {}", holder, describe(id, *copy)));
  }
  if ((copy->seen & place) != 0 && !redelivered) {
    return fail(fmt::format("second delivery without redelivered (R13): {}", describe(id, *copy)));
  }
  if ((copy->may & kNowhere) != 0 && copy->seen != 0) ++stats_.came_back;
  if (place == kThere) ++stats_.dead_lettered;
  proved(id, *copy);
  set(*copy, place);
  // It never was further on.
  copy->past &= static_cast<Places>((place << 1) - 1) & kSomewhere;
  copy->seen |= place;
  copy->delivery = stats_.delivered;
  copy->purged = 0;
  copy->holder = holder;
  if (holder == 0) settled(id, queue);
}

void SimLedger::glimpsed(SimMessageId id, SimQueueIndex queue) {
  Copy* const copy = find(id, queue);
  if (copy == nullptr || copy->life == Life::never) {
    return fail(fmt::format("message {} came from '{}', where it is not", id, queues_[queue].name));
  }
  copy->seen |= place_in(*copy, queue);
}

void SimLedger::leave(SimMessageId id, SimQueueIndex queue, Places to, SimGroup group) {
  Copy* const copy = find(id, queue);
  if (copy == nullptr || copy->life != Life::live) return;  // of a queue that is gone
  ++stats_.settled;
  if (group != 0 && to == kNowhere) {
    copy->settled_by = group;
    groups_[group].settled.emplace_back(id, queue);
  }
  set(*copy, to);
  copy->holder = 0;
  note("settled", id, *copy);
}

void SimLedger::settled(SimMessageId id, SimQueueIndex queue, SimGroup group) {
  leave(id, queue, kNowhere, group);
}

void SimLedger::rejected(SimMessageId id, SimQueueIndex queue, SimGroup group) {
  const Copy* const copy = find(id, queue);
  const bool dies_here = copy != nullptr && copy->queue == queue;
  leave(id, queue, dies_here ? dead_place(*copy) : kNowhere, group);
}

void SimLedger::given_back(SimMessageId id, SimQueueIndex queue) {
  Copy* const copy = find(id, queue);
  if (copy == nullptr) return;
  copy->holder = 0;
  const auto& limit = queues_[copy->queue].features.delivery_limit;
  if (limit && copy->queue == queue && copy->life == Life::live && ++copy->returns > *limit) {
    const Places other = copy->returns_unsure || queues_[queue].uncounted ? copy->may : Places{0};
    set(*copy, dead_place(*copy) | other);
  }
  note("given back", id, *copy);
}

void SimLedger::holder_vanished(SimQueueIndex queue) {
  queues_[queue].vanished = true;
  queues_[queue].uncounted = true;
}

}  // namespace warren::test
