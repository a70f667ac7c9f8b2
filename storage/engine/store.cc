// SPDX-License-Identifier: Apache-2.0
#include "storage/engine/store.h"

#include <chrono>
#include <utility>

#include "storage/base/assert.h"
#include "storage/base/log.h"
#include "storage/base/units.h"
#include "storage/engine/store_impl.h"
#include "storage/kv/rocks_store.h"
#include "storage/record/body_record.h"
#include "storage/record/keys.h"

namespace warren::storage {
namespace {

constexpr unsigned kReaderThreads = 2;
// On top of what RocksDB may write while it opens.
constexpr std::uint64_t kFreeSpaceReserve = 16_MiB;

}  // namespace

Result<std::unique_ptr<Store>> Store::open(const StoreOptions& options) {
  const auto started = std::chrono::steady_clock::now();
  WARREN_TRY(StoreDirectory directory, StoreDirectory::open(options.directory));
  WARREN_CHECK(directory.check_free_space(2 * options.write_buffer_bytes + kFreeSpaceReserve));
  RocksSettings settings;
  settings.block_cache_bytes = options.block_cache_bytes;
  settings.write_buffer_bytes = options.write_buffer_bytes;
  settings.direct_io = options.direct_io;
  WARREN_TRY(std::unique_ptr<KvStore> kv, open_rocks_store(directory.database_path(), settings));
  const std::string store_id = directory.store_id();
  WARREN_TRY(std::unique_ptr<StoreImpl> store,
             StoreImpl::open_on(std::move(kv), store_id, options, Drive::threads));
  store->hold(std::move(directory));
  store->set_recovery_time(std::chrono::duration_cast<std::chrono::milliseconds>(
                               std::chrono::steady_clock::now() - started)
                               .count());
  return std::unique_ptr<Store>(std::move(store));
}

Result<std::unique_ptr<StoreImpl>> StoreImpl::open_on(std::unique_ptr<KvStore> kv,
                                                      const std::string& store_id,
                                                      const StoreOptions& options, Drive drive) {
  if (options.shard_count == 0 || options.shard_count > kBodyOriginsPerStart ||
      options.chunk_bytes_max == 0 || options.sweep_records_max == 0) {
    return Error{Errc::invalid_argument, "a store needs some shards and room in its chunks"};
  }
  WARREN_TRY(Recovered recovered, recover(*kv, store_id));
  std::unique_ptr<StoreImpl> store(
      new StoreImpl(std::move(kv), std::move(recovered), options));  // private constructor
  if (drive == Drive::threads) {
    store->committer_->start();
    store->readers_->start(kReaderThreads);
  }
  return store;
}

StoreImpl::StoreImpl(std::unique_ptr<KvStore> kv, Recovered recovered, const StoreOptions& options)
    : kv_(std::move(kv)), recovered_(std::move(recovered)) {
  committer_ = std::make_unique<Committer>(*kv_, options.shard_count, options.sweep_records_max,
                                           [this](ShardIndex shard, HandOvers done) {
                                             shards_[shard]->post_completion(std::move(done));
                                           });
  committer_->add_sweeps(recovered_.sweeps);
  readers_ = std::make_unique<ReaderPool>(*kv_);
  for (ShardIndex shard = 0; shard < options.shard_count; ++shard) {
    const std::uint64_t origin = recovered_.meta.starts * kBodyOriginsPerStart + shard;
    shards_.push_back(
        std::make_shared<ShardStoreImpl>(shard, options, origin, *committer_, *readers_));
  }
  kv_->on_background_error([this](const Error& error) { committer_->fail(error); });
}

StoreImpl::~StoreImpl() {
  if (!closed_) stop();
}

void StoreImpl::stop() {
  committer_->abandon();
  readers_->stop();
  static_cast<void>(kv_->close());
}

std::vector<Definition> StoreImpl::take_definitions() {
  return std::exchange(recovered_.definitions, {});
}

std::vector<LogState> StoreImpl::take_log_states() {
  return std::exchange(recovered_.logs, {});
}

LogId StoreImpl::new_log_ids(std::uint32_t count) {
  WARREN_ASSERT(count >= 1 && count <= kLogsPerQueueMax);
  static_assert(kLogsPerQueueMax <= kLogIdStep / 2);
  // The reservation rides in a hand-over of this shard, hence before or with the definition of the
  // first log that needs it.
  if (recovered_.next_log_id + kLogIdStep / 2 >= recovered_.meta.log_id_limit) {
    recovered_.meta.log_id_limit += kLogIdStep;
    shards_[0]->put(Family::meta, std::string(kStoreMetaKey), encode_store_meta(recovered_.meta));
  }
  const LogId first(recovered_.next_log_id);
  recovered_.next_log_id += count;
  return first;
}

ShardStore& StoreImpl::shard(ShardIndex index) {
  WARREN_ASSERT(index < shards_.size());
  return *shards_[index];
}

void StoreImpl::on_failure(std::function<void(const Error&)> handler) {
  committer_->on_failure(std::move(handler));
}

Status StoreImpl::close() {
  WARREN_ASSERT(!closed_);
  closed_ = true;
  bool complete = true;
  for (const auto& shard : shards_) {
    // S4: what a held shard gathered has parts of publishes whose others may never have arrived.
    complete = complete && !shard->held();
    if (!shard->held()) committer_->submit(shard->final_hand_over());
  }
  complete = committer_->drain() && complete;
  if (committer_->failed()) {
    stop();
    return Error{Errc::io_error, "the store had failed before it was closed"};
  }
  if (complete) {
    StoreMeta meta = recovered_.meta;
    meta.clean_stop = true;
    KvBatch batch;
    batch.put(Family::meta, std::string(kStoreMetaKey), encode_store_meta(meta));
    if (const Status marked = kv_->commit(batch, WriteMode::synced); !marked.ok()) {
      stop();
      return marked;
    }
  } else {
    // The rest of their publishes never arrived: as with a crash, none of it is confirmed.
    WLOG(warn, "store closed with incomplete fan-outs, they are dropped");
  }
  readers_->stop();
  return kv_->close();
}

}  // namespace warren::storage
