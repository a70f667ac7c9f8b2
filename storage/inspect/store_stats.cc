// SPDX-License-Identifier: Apache-2.0
#include "storage/inspect/store_stats.h"

#include <limits>

#include "storage/inspect/bodies.h"
#include "storage/inspect/chunk_walk.h"

namespace warren::storage {
namespace {

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

void add(LogUsage& usage, const WalkedChunk& chunk) {
  usage.stored_bytes += chunk.value.size() + chunk.raw_acks.size() + chunk.raw_shared.size();
  const std::size_t keys =
      (chunk.value.empty() ? 0 : 1) + (chunk.has_acks ? 1 : 0) + (chunk.has_shared ? 1 : 0);
  usage.stored_bytes += chunk.raw_key.size() * keys;
  if (chunk.kind == WalkedChunk::Kind::missing) return;
  ++usage.chunks;
  if (chunk.kind != WalkedChunk::Kind::sound) {
    ++usage.damaged_chunks;
    return;
  }
  for (std::uint32_t i = 0; i < chunk.reader->count(); ++i) {
    const std::uint64_t bytes = chunk.reader->block_bytes(i);
    if (chunk.settled(i)) {
      usage.settled_bytes += bytes;
    } else {
      ++usage.live_messages;
      usage.live_bytes += bytes;
    }
  }
}

}  // namespace

Result<std::map<LogId, LogUsage>> measure_logs(KvStore& store,
                                               const std::function<void(std::uint64_t)>& progress) {
  std::map<LogId, LogUsage> usage;
  std::uint64_t read = 0;
  ChunkWalk walk(store, ChunkKey{}, ChunkKey{LogId(kMax), kMax});
  for (; walk.valid(); walk.next()) {
    const WalkedChunk& chunk = walk.chunk();
    if (chunk.kind == WalkedChunk::Kind::malformed_key) continue;
    add(usage[chunk.key.log], chunk);
    read += chunk.value.size();
    if (progress) progress(read);
  }
  WARREN_CHECK(walk.status());
  return usage;
}

Result<BodyUsage> measure_bodies(KvStore& store) {
  StoredBodies bodies;
  StoredBodies::Handlers handlers;
  handlers.on_damaged = [](const DamagedRecord&) { return Status(); };
  handlers.on_gap = [](const BodyGap&) { return Status(); };
  WARREN_CHECK(bodies.read(store, handlers));
  BodyUsage usage;
  for (const auto& [id, body] : bodies.all()) {
    if (!body.present) continue;
    ++usage.bodies;
    usage.bytes += body.bytes;
    usage.references += body.count.value_or(0);
  }
  return usage;
}

}  // namespace warren::storage
