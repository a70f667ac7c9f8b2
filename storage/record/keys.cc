// SPDX-License-Identifier: Apache-2.0
#include "storage/record/keys.h"

namespace warren::storage {
namespace {

struct KeyOfDefinition {
  std::string& key;

  void start(DefinitionKind kind) const { key.push_back(static_cast<char>(kind)); }

  void operator()(const VhostDefinition& vhost) const {
    start(DefinitionKind::vhost);
    append_key_part(key, vhost.name);
  }
  void operator()(const UserDefinition& user) const {
    start(DefinitionKind::user);
    append_key_part(key, user.name);
  }
  void operator()(const PermissionDefinition& permission) const {
    start(DefinitionKind::permission);
    append_key_part(key, permission.user);
    append_key_part(key, permission.vhost);
  }
  void operator()(const ExchangeDefinition& exchange) const {
    start(DefinitionKind::exchange);
    append_key_part(key, exchange.vhost);
    append_key_part(key, exchange.name);
  }
  void operator()(const QueueDefinition& queue) const {
    start(DefinitionKind::queue);
    append_key_part(key, queue.vhost);
    append_key_part(key, queue.name);
  }
  void operator()(const BindingDefinition& binding) const {
    start(DefinitionKind::binding);
    append_key_part(key, binding.vhost);
    append_key_part(key, binding.source);
    key.push_back(static_cast<char>(binding.destination_kind));
    append_key_part(key, binding.destination);
    append_key_part(key, binding.routing_key);
    append_key_part(key, binding.arguments);
  }
  void operator()(const PolicyDefinition& policy) const {
    start(DefinitionKind::policy);
    append_key_part(key, policy.vhost);
    key.push_back(policy.operator_policy ? 1 : 0);
    append_key_part(key, policy.name);
  }
};

}  // namespace

std::string encode_chunk_key(const ChunkKey& key) {
  std::string out(16, '\0');
  store_big_endian<std::uint64_t>(out.data(), key.log.value);
  store_big_endian<std::uint64_t>(out.data() + 8, key.base);
  return out;
}

std::optional<ChunkKey> decode_chunk_key(Bytes bytes) {
  if (bytes.size() != 16) return std::nullopt;
  return ChunkKey{LogId(load_big_endian<std::uint64_t>(bytes.data())),
                  load_big_endian<std::uint64_t>(bytes.data() + 8)};
}

std::string encode_log_key(LogId log) {
  std::string out(8, '\0');
  store_big_endian<std::uint64_t>(out.data(), log.value);
  return out;
}

std::optional<LogId> decode_log_key(Bytes bytes) {
  if (bytes.size() != 8) return std::nullopt;
  return LogId(load_big_endian<std::uint64_t>(bytes.data()));
}

std::string encode_due_key(const DueKey& key) {
  std::string out(24, '\0');
  store_big_endian<std::uint64_t>(out.data(), key.log.value);
  store_big_endian<std::uint64_t>(out.data() + 8, static_cast<std::uint64_t>(key.due_ms));
  store_big_endian<std::uint64_t>(out.data() + 16, key.seq);
  return out;
}

std::optional<DueKey> decode_due_key(Bytes bytes) {
  if (bytes.size() != 24) return std::nullopt;
  const auto due_ms = static_cast<std::int64_t>(load_big_endian<std::uint64_t>(bytes.data() + 8));
  if (due_ms < 0) return std::nullopt;
  return DueKey{LogId(load_big_endian<std::uint64_t>(bytes.data())), due_ms,
                load_big_endian<std::uint64_t>(bytes.data() + 16)};
}

std::string encode_message_key(const MessageKey& key) {
  return encode_chunk_key({key.log, key.seq});
}

std::optional<MessageKey> decode_message_key(Bytes bytes) {
  const auto key = decode_chunk_key(bytes);
  if (!key.has_value()) return std::nullopt;
  return MessageKey{key->log, key->base};
}

std::string encode_body_key(const BodyId& body) {
  return encode_chunk_key({LogId(body.origin), body.number});
}

std::optional<BodyId> decode_body_key(Bytes bytes) {
  const auto key = decode_chunk_key(bytes);
  if (!key.has_value() || key->base == 0) return std::nullopt;
  return BodyId{key->log.value, key->base};
}

std::string encode_sweep_key(const SweepKey& key) {
  std::string out(kSweepKeyPrefix);
  ByteWriter writer(out);
  writer.u64(key.log.value);
  writer.u64(key.from);
  writer.u64(key.to);
  return out;
}

std::optional<SweepKey> decode_sweep_key(Bytes bytes) {
  if (!bytes.starts_with(kSweepKeyPrefix)) return std::nullopt;
  ByteReader reader(bytes.substr(kSweepKeyPrefix.size()));
  SweepKey key;
  key.log = LogId(reader.u64());
  key.from = reader.u64();
  key.to = reader.u64();
  if (!reader.ok() || !reader.at_end() || key.from >= key.to) return std::nullopt;
  return key;
}

std::string encode_definition_key(const Definition& definition) {
  std::string key;
  std::visit(KeyOfDefinition{key}, definition);
  return key;
}

void append_key_part(std::string& key, Bytes part) {
  for (const char c : part) {
    key.push_back(c);
    if (c == '\0') key.push_back('\xFF');
  }
  key.append("\x00\x01", 2);
}

std::optional<std::string> take_key_part(Bytes& key) {
  std::string part;
  for (std::size_t at = 0; at < key.size(); ++at) {
    if (key[at] != '\0') {
      part.push_back(key[at]);
      continue;
    }
    if (++at == key.size()) return std::nullopt;
    if (key[at] == '\x01') {
      key.remove_prefix(at + 1);
      return part;
    }
    if (key[at] != '\xFF') return std::nullopt;
    part.push_back('\0');
  }
  return std::nullopt;
}

}  // namespace warren::storage
