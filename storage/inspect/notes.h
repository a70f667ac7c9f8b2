// SPDX-License-Identifier: Apache-2.0
// What the store keeps of messages beside their blocks: the index by due time, counts of returns.
// Memory: one entry per log.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "storage/base/ids.h"
#include "storage/base/result.h"
#include "storage/inspect/catalog.h"
#include "storage/kv/kv_store.h"

namespace warren::storage {

struct LogNotes {
  bool due = false;      // queue_due has entries of the log
  bool returns = false;  // queue_returns has records of it
};

// Reads them all; damaged ones are given to `on_damaged` and left out. An error when they cannot be
// read.
Result<std::map<LogId, LogNotes>> read_notes(
    KvStore& store, const std::function<Status(DamagedRecord)>& on_damaged);

}  // namespace warren::storage
