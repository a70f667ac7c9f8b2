// SPDX-License-Identifier: Apache-2.0
// A data directory opened for looking: what its marker says, who runs it, its database at this
// moment. Creates, changes and locks nothing.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "storage/base/result.h"
#include "storage/engine/store_directory.h"
#include "storage/kv/rocks_view.h"

namespace warren::storage {

struct StoreView {
  std::string path;
  StoreMarker marker;
  std::optional<long> holder;  // pid of the process that has the store open
  std::unique_ptr<RocksView> database;
};

// Errors: as read_store_marker and open_rocks_view.
Result<StoreView> open_store_view(const std::string& path, Tables tables = Tables::as_they_are);

// The process that holds the store's lock, as far as the system tells (/proc/locks).
std::optional<long> store_holder(const std::string& path);

}  // namespace warren::storage
