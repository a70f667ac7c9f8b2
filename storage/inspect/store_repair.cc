// SPDX-License-Identifier: Apache-2.0
#include "storage/inspect/store_repair.h"

#include <optional>
#include <utility>

#include <fmt/format.h>

#include "storage/inspect/repair_plan.h"
#include "storage/kv/rocks_doctor.h"
#include "storage/kv/rocks_store.h"

namespace warren::storage {
namespace {

// Every record of the log that can still be read is kept, also those right behind a damaged one;
// what is missing between them shows as counters that do not fit, and is repaired as such.
Status salvage_logs(const std::string& database, const RepairOptions& options,
                    RepairReport& report) {
  WARREN_TRY(const std::vector<DamagedLog> damaged, find_damaged_logs(database));
  if (damaged.empty()) return {};
  if (!options.salvage_log) return check_write_ahead_logs(database);
  report.log_salvaged = true;
  for (const DamagedLog& log : damaged) {
    ++report.actions;
    if (options.on_action) {
      options.on_action("write-ahead log",
                        fmt::format("'{}' is damaged at byte {} of {}: what can be read is saved",
                                    log.path, log.damage_at, log.bytes));
    }
    if (!options.dry_run) WARREN_CHECK(options.salvage_log(log.path));
  }
  if (options.dry_run) return {};
  if (options.before_change) WARREN_CHECK(options.before_change());
  for (const DamagedLog& log : damaged) {
    WARREN_TRY(const std::uint64_t records, salvage_log_file(log.path));
    if (options.on_action) {
      options.on_action("write-ahead log",
                        fmt::format("'{}' has {} records that can be read", log.path, records));
    }
  }
  // Into tables, so that no log has a gap; on past a torn tail, too, if more logs follow.
  RocksSettings settings;
  settings.skip_damaged_log_records = true;
  WARREN_TRY(const std::unique_ptr<KvStore> store, open_rocks_store(database, settings));
  return store->close();
}

Status apply(const std::string& database, const KvBatch& batch) {
  WARREN_TRY(const std::unique_ptr<KvStore> store, open_rocks_store(database, RocksSettings{}));
  WARREN_CHECK(store->commit(batch, WriteMode::synced));
  return store->close();
}

}  // namespace

Result<RepairReport> repair_store(const std::string& data_dir, const RepairOptions& options) {
  WARREN_TRY(const StoreMarker marker, read_store_marker(data_dir));
  const std::string database = store_database_path(data_dir);
  std::optional<StoreDirectory> held;
  if (!options.dry_run) {
    WARREN_TRY(StoreDirectory directory, StoreDirectory::open(data_dir));
    held.emplace(std::move(directory));
  }
  RepairReport logs;
  WARREN_CHECK(salvage_logs(database, options, logs));
  WARREN_TRY(StoreView view, open_store_view(data_dir, Tables::mended));
  RepairPlan plan(view, options, logs.log_salvaged);
  WARREN_CHECK(plan.make());
  WARREN_CHECK(view.database->close());
  RepairReport report = plan.report();
  report.actions += logs.actions;
  report.log_salvaged = logs.log_salvaged;
  const std::vector<DamagedTable>& damaged = view.database->damaged_tables();
  if (options.dry_run || (plan.batch().empty() && damaged.empty())) return report;
  for (const DamagedTable& table : damaged) {
    if (options.keep_table) WARREN_CHECK(options.keep_table(database + "/" + table.file));
  }
  if (options.before_change) WARREN_CHECK(options.before_change());
  WARREN_CHECK(damaged.empty() ? apply(database, plan.batch())
                               : mend_rocks_store(database, damaged, plan.batch()));
  return report;
}

}  // namespace warren::storage
