// SPDX-License-Identifier: Apache-2.0
// Stores made record by record, sound or not, in memory or in a directory.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "storage/engine/store_directory.h"
#include "storage/kv/memory_store.h"
#include "storage/kv/rocks_store.h"
#include "storage/record/ack_set.h"
#include "storage/record/body_record.h"
#include "storage/record/chunk_writer.h"
#include "storage/record/definition_record.h"
#include "storage/record/keys.h"
#include "storage/record/log_state_record.h"
#include "storage/record/store_meta.h"

namespace warren::storage {

inline constexpr const char* kTestStoreId = "test-store";

// What will be in the store.
class StoreRecords {
 public:
  StoreRecords& meta(std::uint64_t log_id_limit = 1000) {
    return raw(Family::meta, std::string(kStoreMetaKey),
               encode_store_meta(StoreMeta{kTestStoreId, log_id_limit, true, 1}));
  }
  StoreRecords& define(const Definition& definition) {
    return raw(Family::definitions, encode_definition_key(definition),
               encode_definition(definition));
  }
  StoreRecords& queue(const std::string& name, std::uint64_t log) {
    QueueDefinition queue;
    queue.vhost = "/";
    queue.name = name;
    queue.log = LogId(log);
    queue.durable = true;
    return define(queue);
  }
  // One message per block, at base, base + 1 and so on.
  StoreRecords& chunk(std::uint64_t log, Seq base, const std::vector<std::string>& blocks) {
    return raw(Family::queue_log, key(log, base), chunk_value(log, base, blocks));
  }
  StoreRecords& acks(std::uint64_t log, Seq base, std::uint32_t count,
                     const std::vector<std::uint32_t>& settled) {
    AckSet set(count);
    for (const std::uint32_t index : settled) set.set(index);
    return raw(Family::queue_acks, key(log, base), set.encode());
  }
  // A message of log `log`, at `base`, that is stored as `body`.
  StoreRecords& shared_chunk(std::uint64_t log, Seq base, const BodyId& body,
                             std::uint32_t block_bytes) {
    const std::string ref = encode_body_ref({body, block_bytes});
    const std::vector<ChunkEntry> entries = {{base, ref}};
    const std::vector<std::uint32_t> shared = {0};
    return raw(Family::queue_log, key(log, base), encode_chunk(LogId(log), entries, shared));
  }
  StoreRecords& references(std::uint64_t log, Seq base, const std::vector<BodyId>& bodies) {
    return raw(Family::queue_shared, key(log, base), encode_shared(bodies));
  }
  StoreRecords& body(const BodyId& body, const std::string& block) {
    return raw(Family::bodies, encode_body_key(body), encode_body(block));
  }
  StoreRecords& body_count(const BodyId& body, std::uint64_t count) {
    return raw(Family::body_counts, encode_body_key(body), encode_body_count(count));
  }
  StoreRecords& sweep(const SweepKey& range) {
    return raw(Family::meta, encode_sweep_key(range), encode_sweep());
  }
  StoreRecords& remove(Family family, const std::string& key) {
    records_.erase({family, key});
    return *this;
  }
  StoreRecords& state(std::uint64_t log, const LogStateRecord& state) {
    return raw(Family::queue_state, encode_log_key(LogId(log)), encode_log_state(state));
  }
  StoreRecords& raw(Family family, std::string key, std::string value) {
    records_[{family, std::move(key)}] = std::move(value);
    return *this;
  }

  static std::string key(std::uint64_t log, Seq base) {
    return encode_chunk_key({LogId(log), base});
  }
  static std::string chunk_value(std::uint64_t log, Seq base,
                                 const std::vector<std::string>& blocks) {
    std::vector<ChunkEntry> entries;
    for (const std::string& block : blocks) entries.push_back({base + entries.size(), block});
    return encode_chunk(LogId(log), entries);
  }

  std::unique_ptr<KvStore> in_memory() const {
    auto store = std::make_unique<MemoryStore>(std::make_shared<MemoryDisk>());
    EXPECT_TRUE(store->commit(batch(), WriteMode::synced).ok());
    return store;
  }
  // A data directory, stopped.
  void in_directory(const std::string& path) const {
    if (!std::filesystem::exists(path + "/WARREN")) {
      EXPECT_TRUE(create_store_marker(path, kTestStoreId).ok());
    }
    auto store = open_rocks_store(store_database_path(path), RocksSettings{});
    ASSERT_TRUE(store.ok()) << store.error().text;
    EXPECT_TRUE((*store)->commit(batch(), WriteMode::synced).ok());
    EXPECT_TRUE((*store)->close().ok());
  }

 private:
  KvBatch batch() const {
    KvBatch out;
    for (const auto& [place, value] : records_) out.put(place.first, place.second, value);
    return out;
  }

  std::map<std::pair<Family, std::string>, std::string> records_;
};

// Two queues: log 1 with three live messages of four, log 2 empty; all sound.
inline StoreRecords sound_records() {
  StoreRecords records;
  records.meta().define(VhostDefinition{"/"}).queue("one", 1).queue("two", 2);
  records.chunk(1, 5, {"aaa", "bb"}).chunk(1, 9, {"c", "dddd"}).acks(1, 5, 2, {0});
  records.state(1, {.head = 5, .next = 11, .live_count = 3, .live_bytes = 7, .delivered_mark = 6});
  records.state(2, {.head = 4, .next = 4});
  return records;
}

inline constexpr BodyId kSharedBody{kBodyOriginsPerStart, 1};

// Two queues with one message each, which is stored once; all sound.
inline StoreRecords shared_records() {
  StoreRecords records;
  records.meta().define(VhostDefinition{"/"}).queue("one", 1).queue("two", 2);
  for (const std::uint64_t log : {1, 2}) {
    records.shared_chunk(log, 3, kSharedBody, 7).references(log, 3, {kSharedBody});
    records.state(log, {.head = 3,
                        .next = 4,
                        .live_count = 1,
                        .live_bytes = 7,
                        .delivered_mark = 3,
                        .has_shared = true});
  }
  return records.body(kSharedBody, "a block").body_count(kSharedBody, 2);
}

}  // namespace warren::storage
