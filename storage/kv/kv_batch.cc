// SPDX-License-Identifier: Apache-2.0
#include "storage/kv/kv_batch.h"

#include <iterator>
#include <utility>

namespace warren::storage {

void KvBatch::add(KvOp::Kind kind, Family family, std::string key, std::string value) {
  bytes_ += key.size() + value.size();
  ops_.push_back(KvOp{kind, family, std::move(key), std::move(value)});
}

void KvBatch::splice(KvBatch& other) {
  if (ops_.empty()) {
    std::swap(ops_, other.ops_);
  } else {
    ops_.insert(ops_.end(), std::make_move_iterator(other.ops_.begin()),
                std::make_move_iterator(other.ops_.end()));
  }
  bytes_ += other.bytes_;
  other.clear();
}

void KvBatch::clear() {
  ops_.clear();
  bytes_ = 0;
}

}  // namespace warren::storage
