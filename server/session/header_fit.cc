// SPDX-License-Identifier: Apache-2.0
#include "server/session/header_fit.h"

#include <algorithm>

#include "server/amqp/field_table_codec.h"
#include "server/amqp/properties.h"

namespace warren::session {

std::optional<std::string> fit_properties(Bytes properties, std::size_t bytes_max) {
  if (properties.size() <= bytes_max) return std::string(properties);
  amqp::PropertiesView view;
  if (!amqp::parse_properties(properties, view) || !view.headers) return std::nullopt;
  amqp::FieldTable headers = amqp::decode_or_empty(view.headers->value);
  const amqp::FieldValue* const value = headers.find("x-death");
  const auto* const array = value == nullptr ? nullptr : value->get<amqp::FieldArray>();
  if (array == nullptr) return std::nullopt;
  amqp::FieldArray deaths = *array;
  std::size_t excess = properties.size() - bytes_max;
  while (!deaths.empty() && excess > 0) {
    constexpr std::size_t kEntryBytes = 5;  // type and length
    std::string oldest;
    if (const auto* const entry = deaths.back().get<amqp::FieldTable>()) {
      amqp::encode_table(oldest, *entry);
    }
    deaths.pop_back();
    excess -= std::min(excess, oldest.size() + kEntryBytes);
  }
  if (deaths.empty()) {
    headers.erase("x-death");
  } else {
    headers.set("x-death", std::move(deaths));
  }
  std::string header_bytes;
  amqp::encode_table(header_bytes, headers);
  view.headers = amqp::TableBytes{header_bytes};
  std::string out;
  amqp::encode_properties(out, view);
  if (out.size() > bytes_max) return std::nullopt;
  return out;
}

}  // namespace warren::session
