// SPDX-License-Identifier: Apache-2.0
#include "server/session/delivery_count.h"

#include "server/amqp/field_table_codec.h"
#include "server/amqp/properties.h"

namespace warren::session {

std::string with_delivery_count(Bytes properties, std::uint32_t returns) {
  amqp::PropertiesView view;
  if (!amqp::parse_properties(properties, view)) return std::string(properties);
  amqp::FieldTable headers;
  if (view.headers) {
    auto decoded = amqp::decode_table(view.headers->value);
    if (decoded.ok()) headers = decoded.take();
  }
  const amqp::FieldValue count(amqp::FieldType::signed_64, std::int64_t{returns});
  headers.set("x-delivery-count", count);
  headers.set("x-acquired-count", count);
  std::string header_bytes;
  amqp::encode_table(header_bytes, headers);
  view.headers = amqp::TableBytes{header_bytes};
  std::string out;
  amqp::encode_properties(out, view);
  return out;
}

}  // namespace warren::session
