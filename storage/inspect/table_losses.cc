// SPDX-License-Identifier: Apache-2.0
#include "storage/inspect/table_losses.h"

#include <algorithm>

#include <fmt/format.h>

#include "storage/base/log.h"
#include "storage/record/keys.h"

namespace warren::storage {
namespace {

// A key that was looked for between others may be longer than any that is stored.
Bytes stored_part(Family family, Bytes key) {
  if (family == Family::queue_state) return key.substr(0, 8);
  if (family == Family::queue_due) return key.substr(0, 24);
  return key.substr(0, 16);
}

std::string key_text(Family family, Bytes key) {
  switch (family) {
    case Family::queue_log:
    case Family::queue_acks:
    case Family::queue_shared:
    case Family::spill:
      if (const auto chunk = decode_chunk_key(stored_part(family, key))) {
        return fmt::format("log {} chunk {}", chunk->log.value, chunk->base);
      }
      break;
    case Family::queue_state:
      if (const auto log = decode_log_key(stored_part(family, key))) {
        return fmt::format("log {}", log->value);
      }
      break;
    case Family::queue_due:
      if (const auto due = decode_due_key(stored_part(family, key))) {
        return fmt::format("log {} message {}", due->log.value, due->seq);
      }
      break;
    case Family::queue_returns:
      if (const auto message = decode_message_key(stored_part(family, key))) {
        return fmt::format("log {} message {}", message->log.value, message->seq);
      }
      break;
    case Family::bodies:
    case Family::body_counts:
      if (const auto body = decode_body_key(stored_part(family, key))) {
        return fmt::format("body {}/{}", body->origin, body->number);
      }
      break;
    case Family::meta:
    case Family::definitions:
      break;
  }
  return fmt::format("\"{}\"", printable(key));
}

}  // namespace

bool TableLosses::holds(Family family, Bytes key) const {
  return std::ranges::any_of(tables_, [&](const DamagedTable& table) {
    return table.family == family && std::ranges::any_of(table.lost, [key](const KeyRange& lost) {
             return lost.from <= key && key < lost.to;
           });
  });
}

bool TableLosses::touches(Family family, Bytes from, Bytes to) const {
  return std::ranges::any_of(tables_, [&](const DamagedTable& table) {
    return table.family == family &&
           std::ranges::any_of(table.lost, [from, to](const KeyRange& lost) {
             return lost.from < to && from < lost.to;
           });
  });
}

std::string table_place(const DamagedTable& table) {
  return fmt::format("table {}", table.file);
}

std::string table_text(const DamagedTable& table) {
  std::string out = fmt::format("family {}, {}", kFamilyNames[family_index(table.family)],
                                fmt::join(table.damage, "; "));
  if (table.lost.empty()) return out + "; no records in these";
  const char* between = "; may lack records from ";
  for (const KeyRange& lost : table.lost) {
    out += fmt::format("{}{} to {}", between, key_text(table.family, lost.from),
                       key_text(table.family, lost.to));
    between = ", from ";
  }
  return out;
}

Harm table_harm(const DamagedTable& table) {
  if (table.lost.empty()) return Harm::store;
  switch (table.family) {
    case Family::meta:
    case Family::definitions:
    case Family::queue_state:
      return Harm::store;
    case Family::queue_log:
    case Family::bodies:
      return Harm::messages;
    case Family::queue_acks:
      return Harm::repeats;
    case Family::queue_due:
    case Family::queue_returns:
    case Family::queue_shared:
    case Family::body_counts:
      return Harm::counters;
    case Family::spill:
      return Harm::none;
  }
  return Harm::store;
}

}  // namespace warren::storage
