// SPDX-License-Identifier: Apache-2.0
#include "storage/inspect/notes.h"

#include <optional>
#include <utility>

#include "storage/record/keys.h"
#include "storage/record/log_state_record.h"

namespace warren::storage {
namespace {

// Above every key of both families.
const std::string kPastTheEnd(32, '\xFF');

Error malformed_key() {
  return Error{Errc::corruption, "a malformed key"};
}

Result<LogId> due_log(const KvCursor& cursor) {
  const auto key = decode_due_key(cursor.key());
  if (!key.has_value()) return malformed_key();
  if (const auto chunk = decode_due_chunk(cursor.value()); !chunk.ok()) return chunk.error();
  return key->log;
}

Result<LogId> returns_log(const KvCursor& cursor) {
  const auto key = decode_message_key(cursor.key());
  if (!key.has_value()) return malformed_key();
  if (const auto returns = decode_returns(cursor.value()); !returns.ok()) return returns.error();
  return key->log;
}

}  // namespace

Result<std::map<LogId, LogNotes>> read_notes(
    KvStore& store, const std::function<Status(DamagedRecord)>& on_damaged) {
  std::map<LogId, LogNotes> out;
  for (const Family family : {Family::queue_due, Family::queue_returns}) {
    const bool due = family == Family::queue_due;
    const auto cursor = store.scan(family, {}, kPastTheEnd);
    for (; cursor->valid(); cursor->next()) {
      const auto log = due ? due_log(*cursor) : returns_log(*cursor);
      if (log.ok()) {
        (due ? out[*log].due : out[*log].returns) = true;
        continue;
      }
      WARREN_CHECK(on_damaged(DamagedRecord{family, std::string(cursor->key()),
                                            std::string(cursor->value()), log.error()}));
    }
    WARREN_CHECK(cursor->status());
  }
  return out;
}

}  // namespace warren::storage
