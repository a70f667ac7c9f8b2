// SPDX-License-Identifier: Apache-2.0
#include "server/tools/dump/queue_walk.h"

#include <algorithm>

#include <fmt/format.h>

#include "storage/inspect/bodies.h"
#include "storage/inspect/chunk_walk.h"
#include "storage/record/keys.h"
#include "storage/record/log_state_record.h"

#include "server/amqp/field_table_codec.h"
#include "server/amqp/properties.h"

namespace warren::dump {
namespace {

using storage::ChunkKey;
using storage::ChunkWalk;
using storage::WalkedChunk;

bool has_headers(const amqp::PropertiesView& properties,
                 const std::vector<std::pair<std::string, std::string>>& wanted) {
  if (wanted.empty()) return true;
  if (!properties.headers.has_value()) return false;
  const auto table = amqp::decode_table(properties.headers->value);
  if (!table.ok()) return false;
  return std::ranges::all_of(wanted, [&](const auto& header) {
    const amqp::FieldValue* const value = table->find(header.first);
    return value != nullptr && amqp::to_text(*value) == header.second;
  });
}

class QueueWalk {
 public:
  QueueWalk(storage::KvStore& store, const MessageFilter& filter, const WalkHandlers& handlers)
      : store_(store), filter_(filter), handlers_(handlers) {}

  // False: stop.
  bool walk(LogId log, std::uint32_t lane, const storage::LogStateRecord& state) {
    lane_ = lane;
    Seq from = state.head;
    if (filter_.from > from) from = storage::chunk_base_for(store_, log, filter_.from);
    returns_ = store_.scan(storage::Family::queue_returns, storage::encode_message_key({log, from}),
                           storage::encode_message_key({LogId(log.value + 1), 0}));
    ChunkWalk chunks(store_, ChunkKey{log, from}, ChunkKey{LogId(log.value + 1), 0});
    for (; chunks.valid(); chunks.next()) {
      if (!take(chunks.chunk(), state)) return false;
    }
    if (!chunks.status().ok()) handlers_.on_damage(chunks.status().error().text);
    return true;
  }

 private:
  bool take(const WalkedChunk& chunk, const storage::LogStateRecord& state) {
    if (chunk.acks_error.has_value()) {
      handlers_.on_damage(fmt::format("chunk {}: {}; what it says is settled is shown",
                                      chunk.key.base, chunk.acks_error->text));
    }
    if (chunk.kind == WalkedChunk::Kind::missing) return true;
    if (chunk.kind != WalkedChunk::Kind::sound) {
      handlers_.on_damage(fmt::format("chunk {}: {}", chunk.key.base, chunk.error->text));
      return true;
    }
    for (std::uint32_t i = 0; i < chunk.reader->count(); ++i) {
      if (chunk.settled(i)) continue;
      const storage::ChunkEntry entry = chunk.reader->entry(i);
      if (entry.seq < filter_.from) continue;
      const auto found_block = storage::block_of_entry(store_, *chunk.reader, i);
      if (!found_block.ok()) {
        handlers_.on_damage(fmt::format("position {}: {}", entry.seq, found_block.error().text));
        continue;
      }
      const BlockRef& block = *found_block;
      if (!broker::valid_message(*block)) {
        handlers_.on_damage(fmt::format("position {}: no message", entry.seq));
        continue;
      }
      if (!filter_.wants(broker::MessageView(*block))) continue;
      const FoundMessage found{entry.seq, lane_, returns_of(entry.seq),
                               entry.seq <= state.delivered_mark, block};
      if (!handlers_.on_message(found)) return false;
    }
    return true;
  }

  // Asked with ascending seqs.
  std::uint32_t returns_of(Seq seq) {
    for (; returns_->valid(); returns_->next()) {
      const auto key = storage::decode_message_key(returns_->key());
      if (!key.has_value() || key->seq < seq) continue;
      if (key->seq > seq) return 0;
      const auto returns = storage::decode_returns(returns_->value());
      return returns.ok() ? *returns : 0;
    }
    return 0;
  }

  storage::KvStore& store_;
  const MessageFilter& filter_;
  const WalkHandlers& handlers_;
  std::unique_ptr<storage::KvCursor> returns_;
  std::uint32_t lane_ = 0;
};

}  // namespace

bool MessageFilter::wants(const broker::MessageView& message) const {
  if (newer_ms.has_value() && message.published_ms() < *newer_ms) return false;
  if (older_ms.has_value() && message.published_ms() >= *older_ms) return false;
  if (routing_key.has_value() && message.routing_key() != *routing_key) return false;
  if (!message_id.has_value() && headers.empty()) return true;
  amqp::PropertiesView properties;
  if (!amqp::parse_properties(message.properties(), properties)) return false;
  if (message_id.has_value() &&
      (!properties.message_id.has_value() || properties.message_id->value != *message_id)) {
    return false;
  }
  return has_headers(properties, headers);
}

void walk_queue(storage::KvStore& store, const storage::Catalog& catalog,
                const storage::QueueDefinition& queue, const MessageFilter& filter,
                const WalkHandlers& handlers) {
  QueueWalk walk(store, filter, handlers);
  const std::vector<LogId> logs = storage::logs_of(queue);
  for (std::size_t lane = logs.size(); lane-- > 0;) {  // the highest priority first
    const LogId log = logs[lane];
    if (!walk.walk(log, static_cast<std::uint32_t>(lane), catalog.state(log))) return;
  }
}

QueueCounts queue_counts(const storage::Catalog& catalog, const storage::QueueDefinition& queue) {
  QueueCounts counts;
  for (const LogId log : storage::logs_of(queue)) {
    const storage::LogStateRecord state = catalog.state(log);
    counts.messages += state.live_count;
    counts.bytes += state.live_bytes;
  }
  return counts;
}

const storage::QueueDefinition* find_queue(const storage::Catalog& catalog,
                                           const std::string& vhost, const std::string& name) {
  for (const storage::Definition& definition : catalog.definitions) {
    const auto* const queue = std::get_if<storage::QueueDefinition>(&definition);
    if (queue != nullptr && queue->vhost == vhost && queue->name == name) return queue;
  }
  return nullptr;
}

}  // namespace warren::dump
