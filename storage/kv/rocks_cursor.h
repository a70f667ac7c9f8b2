// SPDX-License-Identifier: Apache-2.0
// A KvCursor on a RocksDB iterator. Included by storage/kv/rocks_*.cc only.
#pragma once

#include <memory>
#include <string>

#include <rocksdb/db.h>

#include "storage/kv/kv_store.h"
#include "storage/kv/rocks_events.h"

namespace warren::storage {

inline rocksdb::Slice slice(Bytes bytes) {
  return rocksdb::Slice(bytes.data(), bytes.size());
}
inline Bytes view(const rocksdb::Slice& slice) {
  return Bytes(slice.data(), slice.size());
}

class RocksCursor final : public KvCursor {
 public:
  RocksCursor(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family, Bytes from, Bytes to)
      : to_(to), bound_(slice(to_)) {
    rocksdb::ReadOptions options;
    options.iterate_upper_bound = &bound_;
    options.fill_cache = false;  // a queue reads a chunk once
    options.verify_checksums = true;
    iterator_.reset(db.NewIterator(options, family));
    iterator_->Seek(slice(from));
  }

  bool valid() const override { return iterator_->Valid(); }
  Bytes key() const override { return view(iterator_->key()); }
  Bytes value() const override { return view(iterator_->value()); }
  void next() override { iterator_->Next(); }
  Status status() const override { return to_status(iterator_->status(), "reading the store"); }

 private:
  std::string to_;
  rocksdb::Slice bound_;  // into to_; the iterator points to it
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

}  // namespace warren::storage
