// SPDX-License-Identifier: Apache-2.0
// Records of one family with chunk keys, in key order, past what is damaged. Keeps: S7.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "storage/base/bytes.h"
#include "storage/base/result.h"
#include "storage/kv/kv_store.h"
#include "storage/record/keys.h"

namespace warren::storage {

// Where the store below says that its bytes are damaged, it finds out by bisection which keys that
// concerns, and goes on behind them.
class ChunkCursor {
 public:
  ChunkCursor(KvStore& store, Family family, const ChunkKey& from, const ChunkKey& to);

  // Something is here: a record, or a gap that could not be read.
  bool valid() const { return status_.ok() && (gap_.has_value() || cursor_->valid()); }
  // REQUIRES: valid(). Of a gap: its first key.
  Bytes key() const { return gap_.has_value() ? Bytes(gap_->from) : cursor_->key(); }
  // REQUIRES: valid() and no gap.
  Bytes value() const { return cursor_->value(); }
  void next();
  // Not ok: reading failed for another reason than damage; the rest is unknown.
  const Status& status() const { return status_; }

  struct Gap {
    std::string from;  // keys of [from, to) cannot be read
    std::string to;
    Error error;
  };
  const std::optional<Gap>& gap() const { return gap_; }

 private:
  void settle();
  void find_gap(const Error& error);
  // Is the first record of [from, to) damaged?
  bool damaged(const std::string& from, const std::string& to);

  KvStore& store_;
  Family family_;
  std::string at_;  // everything below was seen
  std::string to_;
  std::unique_ptr<KvCursor> cursor_;
  std::optional<Gap> gap_;
  Status status_;
};

}  // namespace warren::storage
