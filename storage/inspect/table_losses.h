// SPDX-License-Identifier: Apache-2.0
// What the damaged tables of a store may have lost: records, and deletions of older records, which
// are back then. Knows the keys of all families (storage/FORMAT.md).
#pragma once

#include <string>
#include <vector>

#include "storage/base/bytes.h"
#include "storage/inspect/store_check.h"
#include "storage/kv/rocks_view.h"

namespace warren::storage {

class TableLosses {
 public:
  // `tables` are borrowed: they outlive it.
  explicit TableLosses(const std::vector<DamagedTable>& tables) : tables_(tables) {}

  // May what the store says of `key` be wrong?
  bool holds(Family family, Bytes key) const;
  // ... of any key of [from, to)?
  bool touches(Family family, Bytes from, Bytes to) const;

 private:
  const std::vector<DamagedTable>& tables_;
};

// "table 000012.sst"
std::string table_place(const DamagedTable& table);
// Its family, which blocks are damaged, and which keys that concerns.
std::string table_text(const DamagedTable& table);
Harm table_harm(const DamagedTable& table);

}  // namespace warren::storage
