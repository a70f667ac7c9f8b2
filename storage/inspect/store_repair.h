// SPDX-License-Identifier: Apache-2.0
// Makes a stopped store sound again: what cannot be used is handed out and taken out, what can be
// counted again is counted again. Nothing is taken out that was not handed out before. Idempotent:
// a second run finds nothing. What it repairs and how is in docs/dump.md.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "storage/base/bytes.h"
#include "storage/base/result.h"
#include "storage/kv/column_family.h"

namespace warren::storage {

// A record that is taken out.
struct QuarantinedRecord {
  Family family = Family::meta;
  std::string key;
  std::optional<std::string> value;  // nothing: it cannot be read at all
  std::string why;
};

struct RepairOptions {
  bool dry_run = false;
  // What a message weighs in LogState::live_weight; without it lost weights stay as they are.
  std::function<std::uint64_t(Bytes block)> weigh;
  // Every record that will be taken out. An error ends the repair before anything is changed.
  std::function<Status(const QuarantinedRecord&)> quarantine;
  // Takes part in a damaged write-ahead log: its sound records are saved, the file is handed out
  // first. Without it a damaged log is an error.
  std::function<Status(const std::string& path)> salvage_log;
  // A damaged table, before what is sound of it is written anew and the file is deleted.
  std::function<Status(const std::string& path)> keep_table;
  // Once, before the first change, if there is one: what was quarantined must be durable now.
  std::function<Status()> before_change;
  // What is done, or would be: where, and what.
  std::function<void(const std::string& where, const std::string& what)> on_action;
};

struct RepairReport {
  std::uint64_t actions = 0;
  std::uint64_t quarantined = 0;
  std::uint64_t tables = 0;  // that were damaged
  // Messages, as far as the counts of their queues tell.
  std::uint64_t lost_at_least = 0;
  std::uint64_t lost_at_most = 0;
  // Records of a write-ahead log are lost: those of them that had the last count of a queue took it
  // along, and lost_at_most says nothing.
  bool log_salvaged = false;
  std::vector<std::string> by_hand;  // what no program can decide
};

// Errc::in_use while a process has the store open (not for a dry run).
Result<RepairReport> repair_store(const std::string& data_dir, const RepairOptions& options);

}  // namespace warren::storage
