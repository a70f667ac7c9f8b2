// SPDX-License-Identifier: Apache-2.0
#include "server/broker/dedup.h"

#include <algorithm>

#include <fmt/format.h>

#include "server/amqp/field_table_codec.h"

namespace warren::broker {
namespace {

// What an entry costs besides its id: list node, map slot, heap headers.
constexpr std::size_t kEntryBytes = 128;

std::optional<std::int64_t> integer_of(const amqp::FieldTable& table, std::string_view name) {
  const amqp::FieldValue* const value = table.find(name);
  return value == nullptr ? std::nullopt : amqp::as_integer(*value);
}

}  // namespace

std::optional<DedupSettings> read_dedup_settings(const storage::ArgumentBytes& arguments) {
  if (arguments.find(kDedupArgument) == std::string::npos) return std::nullopt;
  const auto table = amqp::decode_table(arguments);
  const amqp::FieldValue* const wanted = table.ok() ? table->find(kDedupArgument) : nullptr;
  if (wanted == nullptr || !amqp::as_bool(*wanted).value_or(false)) return std::nullopt;
  DedupSettings settings;
  if (const auto size = integer_of(*table, kDedupSize)) {
    settings.size = static_cast<std::size_t>(std::clamp<std::int64_t>(*size, 1, kDedupSizeMax));
  }
  settings.ttl_ms = integer_of(*table, kDedupTtl);
  if (const amqp::FieldValue* const header = table->find(kDedupHeader)) {
    settings.header = amqp::as_string(*header).value_or(kDedupHeader);
  }
  return settings;
}

std::optional<DedupId> read_dedup_id(const DedupSettings& settings, Bytes headers) {
  if (headers.find(settings.header) == Bytes::npos) return std::nullopt;
  const auto table = amqp::decode_table(headers);
  const amqp::FieldValue* const value = table.ok() ? table->find(settings.header) : nullptr;
  if (value == nullptr) return std::nullopt;
  DedupId id;
  if (const auto number = amqp::as_integer(*value)) {
    id.id = fmt::format("I{}", *number);
  } else {
    amqp::encode_table(id.id, amqp::FieldTable().set("", *value));  // the type letter is in it
  }
  id.ttl_ms = settings.ttl_ms;
  if (const auto own = integer_of(*table, kDedupTtl); own && *own >= 0) id.ttl_ms = own;
  return id;
}

bool DedupCache::insert(const DedupId& id, Instant now) {
  const auto known = by_id_.find(id.id);
  if (known != by_id_.end()) {
    if (now < known->second->until) return false;
    erase(known->second);
  }
  Entry entry{id.id, Instant::max(), id.claim};
  if (id.ttl_ms) {
    const auto longest =
        std::chrono::duration_cast<std::chrono::milliseconds>(Instant::max() - now).count();
    entry.until = now + std::chrono::milliseconds(std::min<std::int64_t>(*id.ttl_ms, longest));
  }
  bytes_ += entry.id.size() + kEntryBytes;
  order_.push_back(std::move(entry));
  by_id_.emplace(order_.back().id, std::prev(order_.end()));
  while (order_.size() > size_max_ || (bytes_ > kDedupBytesMax && order_.size() > 1)) {
    erase(order_.begin());
  }
  return true;
}

void DedupCache::forget(std::string_view id, std::uint64_t claim) {
  const auto known = by_id_.find(id);
  if (known != by_id_.end() && known->second->claim == claim) erase(known->second);
}

void DedupCache::erase(Order::iterator at) {
  by_id_.erase(at->id);
  bytes_ -= at->id.size() + kEntryBytes;
  order_.erase(at);
}

}  // namespace warren::broker
