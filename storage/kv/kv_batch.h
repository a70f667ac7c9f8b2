// SPDX-License-Identifier: Apache-2.0
// What one commit does to the store: a plain list, built on a shard, applied by a KvStore.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "storage/kv/column_family.h"

namespace warren::storage {

struct KvOp {
  enum class Kind : std::uint8_t {
    put,
    erase,
    erase_once,   // REQUIRES: the key was put exactly once in its life, and not erased since
    erase_range,  // [key, value)
  };
  Kind kind = Kind::put;
  Family family = Family::meta;
  std::string key;
  std::string value;
};

// Bound: the owner's; bytes() says how much it holds.
class KvBatch {
 public:
  void put(Family family, std::string key, std::string value) {
    add(KvOp::Kind::put, family, std::move(key), std::move(value));
  }
  void erase(Family family, std::string key) { add(KvOp::Kind::erase, family, std::move(key), {}); }
  void erase_once(Family family, std::string key) {
    add(KvOp::Kind::erase_once, family, std::move(key), {});
  }
  void erase_range(Family family, std::string from, std::string to) {
    add(KvOp::Kind::erase_range, family, std::move(from), std::move(to));
  }
  // Appends the operations of `other`, which is left empty.
  void splice(KvBatch& other);

  const std::vector<KvOp>& ops() const { return ops_; }
  bool empty() const { return ops_.empty(); }
  std::size_t bytes() const { return bytes_; }
  void clear();

 private:
  void add(KvOp::Kind kind, Family family, std::string key, std::string value);

  std::vector<KvOp> ops_;
  std::size_t bytes_ = 0;
};

}  // namespace warren::storage
