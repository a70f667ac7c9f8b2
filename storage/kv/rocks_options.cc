// SPDX-License-Identifier: Apache-2.0
#include "storage/kv/rocks_options.h"

#include <algorithm>

#include <rocksdb/cache.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include "storage/base/units.h"

namespace warren::storage {

rocksdb::DBOptions rocks_db_options(const RocksSettings& settings,
                                    std::shared_ptr<rocksdb::EventListener> listener) {
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.paranoid_checks = true;
  // We never read the OPTIONS file, so one that cannot be written is no reason to stop.
  options.fail_if_options_file_error = false;

  // A torn tail of the WAL was never synced, hence never confirmed: it may go. What lies behind a
  // damage in the middle is never half used.
  options.wal_recovery_mode = settings.skip_damaged_log_records
                                  ? rocksdb::WALRecoveryMode::kSkipAnyCorruptedRecords
                                  : rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  // Notices a deleted or shortened closed WAL. Must not be combined with SyncWAL (7.8.3 then
  // misses WALs that are there): every sync is a write with sync=true.
  options.track_and_verify_wals_in_manifest = true;
  // Background syncs of the WAL would let recovery pass over a hole.
  options.wal_bytes_per_sync = 0;
  options.recycle_log_file_num = 0;
  options.manual_wal_flush = false;
  options.avoid_flush_during_recovery = false;
  // Unlogged writes are worthless after a stop; logged ones are in the WAL.
  options.avoid_flush_during_shutdown = true;
  // Replay at start is bounded by this much WAL.
  options.max_total_wal_size = settings.write_buffer_bytes;
  options.db_write_buffer_size = settings.write_buffer_bytes;

  options.verify_sst_unique_id_in_manifest = !settings.mended_tables;

  // After a failed write nothing is confirmed: no healing by itself behind our back.
  options.max_bgerror_resume_count = 0;
  if (listener != nullptr) options.listeners.push_back(std::move(listener));

  // One writer: nothing to gain from concurrent inserts, and their bookkeeping costs.
  options.allow_concurrent_memtable_write = false;
  options.unordered_write = false;
  options.max_background_jobs = 2;
  // Back-pressure is ours: publishers are not read while commits lag. RocksDB's own slow-down would
  // throttle every commit to 16 MiB/s as soon as a flush lags.
  options.delayed_write_rate = 1_GiB;
  options.max_open_files = 1000;
  options.skip_stats_update_on_db_open = true;
  options.bytes_per_sync = 1_MiB;

  // Debian's build would default to DEBUG.
  options.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  options.keep_log_file_num = 4;
  options.max_log_file_size = 4_MiB;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.max_manifest_file_size = 16_MiB;
  return options;
}

rocksdb::ColumnFamilyOptions rocks_family_options(Family family, const RocksSettings& settings,
                                                  std::shared_ptr<rocksdb::Cache> cache) {
  rocksdb::ColumnFamilyOptions options;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = std::move(cache);
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.format_version = 5;
  table.cache_index_and_filter_blocks = true;
  options.compression = rocksdb::kNoCompression;
  options.level_compaction_dynamic_level_bytes = true;
  options.max_write_buffer_number = 4;
  options.disable_auto_compactions = settings.mended_tables;

  const bool holds_chunks =
      family == Family::queue_log || family == Family::spill || family == Family::bodies;
  if (holds_chunks) {
    options.write_buffer_size = std::max<std::size_t>(settings.write_buffer_bytes / 2, 64_KiB);
    // Compaction then moves keys, not bodies; most chunks are dead before they are ever moved.
    options.enable_blob_files = true;
    options.min_blob_size = 1_KiB;
    options.blob_compression_type = rocksdb::kNoCompression;
    // Compactions would move the oldest bodies on and on, dead or alive: see rocks_reclaim.
    options.enable_blob_garbage_collection = false;
    options.target_file_size_base = 8_MiB;
  } else {
    options.write_buffer_size = std::max<std::size_t>(settings.write_buffer_bytes / 8, 64_KiB);
    options.target_file_size_base = 8_MiB;
  }
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

}  // namespace warren::storage
