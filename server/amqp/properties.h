// SPDX-License-Identifier: Apache-2.0
// The content header and the basic properties in it (AMQP 4.2.6.1). The broker keeps and forwards
// the raw property bytes; it parses them to check them and to look.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "storage/base/bytes.h"

#include "server/amqp/wire_types.h"

namespace warren::amqp {

inline constexpr std::uint8_t kDeliveryModeTransient = 1;
inline constexpr std::uint8_t kDeliveryModePersistent = 2;

// Views point into the raw bytes.
struct PropertiesView {
  std::optional<ShortString> content_type = {};
  std::optional<ShortString> content_encoding = {};
  std::optional<TableBytes> headers = {};
  std::optional<std::uint8_t> delivery_mode = {};
  std::optional<std::uint8_t> priority = {};
  std::optional<ShortString> correlation_id = {};
  std::optional<ShortString> reply_to = {};
  std::optional<ShortString> expiration = {};
  std::optional<ShortString> message_id = {};
  std::optional<std::uint64_t> timestamp = {};
  std::optional<ShortString> type = {};
  std::optional<ShortString> user_id = {};
  std::optional<ShortString> app_id = {};
  std::optional<ShortString> cluster_id = {};

  bool operator==(const PropertiesView&) const = default;
};

// raw: the flag word and the property list. False on truncation, trailing bytes, undefined or
// continuation flags and invalid headers; `out` is then half filled. Allocates nothing.
bool parse_properties(Bytes raw, PropertiesView& out);

// Appends the flag word and the property list.
// REQUIRES: short strings of at most kShortStringBytesMax bytes.
void encode_properties(std::string& out, const PropertiesView& properties);

struct ContentHeader {
  std::uint16_t class_id = 0;
  std::uint64_t body_size = 0;
  Bytes raw_properties = {};  // not checked here: see parse_properties()
};

// The payload of a header frame. False when it is shorter than its fixed part or its weight is not
// zero.
bool read_content_header(Bytes payload, ContentHeader& out);

}  // namespace warren::amqp
