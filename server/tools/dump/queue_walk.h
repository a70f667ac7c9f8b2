// SPDX-License-Identifier: Apache-2.0
// The live messages of one queue in order, straight from the store: those a filter wants. Memory:
// one chunk.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/inspect/catalog.h"
#include "storage/kv/kv_store.h"

#include "server/broker/message.h"

namespace warren::dump {

// All that are given must hold.
struct MessageFilter {
  Seq from = 0;                          // positions below are not looked at
  std::optional<std::int64_t> newer_ms;  // published at or after
  std::optional<std::int64_t> older_ms;  // published before
  std::optional<std::string> routing_key;
  std::optional<std::string> message_id;
  std::vector<std::pair<std::string, std::string>> headers;  // name, value as text

  bool wants(const broker::MessageView& message) const;
};

struct FoundMessage {
  Seq seq = 0;
  std::uint32_t lane = 0;        // which of the queue's logs
  std::uint32_t returns = 0;     // how often it came back, where that is counted
  bool maybe_delivered = false;  // it would be delivered with `redelivered`
  BlockRef block;
};

struct WalkHandlers {
  std::function<bool(const FoundMessage&)> on_message;  // false: stop
  std::function<void(const std::string&)> on_damage;    // what could not be shown, and why
};

void walk_queue(storage::KvStore& store, const storage::Catalog& catalog,
                const storage::QueueDefinition& queue, const MessageFilter& filter,
                const WalkHandlers& handlers);

// Their states, summed up.
struct QueueCounts {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
};
QueueCounts queue_counts(const storage::Catalog& catalog, const storage::QueueDefinition& queue);

// nullptr when there is none.
const storage::QueueDefinition* find_queue(const storage::Catalog& catalog,
                                           const std::string& vhost, const std::string& name);

}  // namespace warren::dump
