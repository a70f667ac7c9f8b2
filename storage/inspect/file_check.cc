// SPDX-License-Identifier: Apache-2.0
#include "storage/inspect/store_check.h"
#include "storage/inspect/table_losses.h"
#include "storage/kv/rocks_doctor.h"

namespace warren::storage {

std::vector<Finding> check_files(StoreView& view) {
  std::vector<Finding> out;
  // Other errors than damage: a running store's files come and go.
  const Status logs = check_write_ahead_logs(store_database_path(view.path));
  if (!logs.ok() && logs.error().code == Errc::corruption) {
    out.push_back({Harm::store, "S7", "write-ahead log", logs.error().text});
  }
  for (const DamagedTable& table : view.database->damaged_tables()) {
    out.push_back({table_harm(table), "S7", table_place(table), table_text(table)});
  }
  if (const Status tables = view.database->verify_tables(); !tables.ok()) {
    out.push_back({Harm::store, "S7", "tables", tables.error().text});
  }
  return out;
}

}  // namespace warren::storage
