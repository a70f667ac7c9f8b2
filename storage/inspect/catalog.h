// SPDX-License-Identifier: Apache-2.0
// All that a store says without its messages being read: itself, its definitions, the state of each
// log. Memory: one entry per definition and per log. Damaged records are named and left out.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "storage/base/ids.h"
#include "storage/base/result.h"
#include "storage/kv/kv_store.h"
#include "storage/record/definitions.h"
#include "storage/record/log_state_record.h"
#include "storage/record/store_meta.h"

namespace warren::storage {

struct DamagedRecord {
  Family family = Family::meta;
  std::string key;
  std::string value;
  Error error;
};

struct Catalog {
  std::optional<StoreMeta> meta;
  std::vector<Definition> definitions;        // in key order: what is referred to comes first
  std::map<LogId, LogStateRecord> states;     // also of logs that no queue has
  std::map<LogId, std::size_t> queue_of_log;  // index into definitions
  std::vector<DamagedRecord> damaged;
  std::vector<std::pair<std::size_t, std::size_t>> shared_logs;  // queues that claim one log

  // nullptr when no queue has this log.
  const QueueDefinition* queue(LogId log) const;
  // As stored, or that of a log which never held a durable message.
  LogStateRecord state(LogId log) const;
  // "queue 'q' in vhost '/'", or that it is of no queue.
  std::string log_name(LogId log) const;
};

// An error only if the store cannot be read at all.
Result<Catalog> read_catalog(KvStore& store);

// "vhost '/'", "queue 'q' in vhost '/'": for people.
std::string definition_name(const Definition& definition);

}  // namespace warren::storage
