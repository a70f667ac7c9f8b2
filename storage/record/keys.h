// SPDX-License-Identifier: Apache-2.0
// Every key of the store. Byte order equals logical order, and decode(encode(key)) == key (S11).
// Layouts: storage/FORMAT.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "storage/base/bytes.h"
#include "storage/base/ids.h"
#include "storage/record/definitions.h"

namespace warren::storage {

// queue_log, queue_acks, queue_shared and spill: a chunk is named by its log and the seq of its
// first entry.
struct ChunkKey {
  LogId log;
  Seq base = 0;
  friend auto operator<=>(const ChunkKey&, const ChunkKey&) = default;
};

std::string encode_chunk_key(const ChunkKey& key);
std::optional<ChunkKey> decode_chunk_key(Bytes bytes);

// queue_state: one record per log.
std::string encode_log_key(LogId log);
std::optional<LogId> decode_log_key(Bytes bytes);

// queue_due: by log, then time.
struct DueKey {
  LogId log;
  std::int64_t due_ms = 0;  // not negative
  Seq seq = 0;
  friend auto operator<=>(const DueKey&, const DueKey&) = default;
};
std::string encode_due_key(const DueKey& key);
std::optional<DueKey> decode_due_key(Bytes bytes);

// queue_returns: by log and seq.
struct MessageKey {
  LogId log;
  Seq seq = 0;
  friend auto operator<=>(const MessageKey&, const MessageKey&) = default;
};
std::string encode_message_key(const MessageKey& key);
std::optional<MessageKey> decode_message_key(Bytes bytes);

// bodies and body_counts.
std::string encode_body_key(const BodyId& body);
std::optional<BodyId> decode_body_key(Bytes bytes);

// default: chunks of [from, to) are gone, and what they referred to is yet to be released.
struct SweepKey {
  LogId log;
  Seq from = 0;
  Seq to = 0;
  friend auto operator<=>(const SweepKey&, const SweepKey&) = default;
};
inline constexpr Seq kSweepAll = ~Seq{0};  // as `to`: the whole log
inline constexpr Bytes kSweepKeyPrefix = "sweep";
std::string encode_sweep_key(const SweepKey& key);
std::optional<SweepKey> decode_sweep_key(Bytes bytes);
// Above every sweep key.
inline constexpr Bytes kSweepKeysEnd = "sweeq";

// First byte of a definition key. Never renumber: it is on disk. The order is the order in which
// recovery meets them, so that what is referred to comes first.
enum class DefinitionKind : std::uint8_t {
  vhost = 1,
  user = 2,
  permission = 3,
  exchange = 4,
  queue = 5,
  binding = 6,
  policy = 7,
};

// definitions: kind, then the names that make the identity, in the order of the structs.
std::string encode_definition_key(const Definition& definition);

// default: what the store says of itself.
inline constexpr Bytes kStoreMetaKey = "store";

// Appends `part` so that order is kept and no part is a prefix of another: 0x00 becomes 0x00 0xFF,
// the end is 0x00 0x01.
void append_key_part(std::string& key, Bytes part);
// Takes one part off the front of `key`. Empty when it is malformed.
std::optional<std::string> take_key_part(Bytes& key);

}  // namespace warren::storage
