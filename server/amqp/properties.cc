// SPDX-License-Identifier: Apache-2.0
#include "server/amqp/properties.h"

#include "server/amqp/frame.h"
#include "server/amqp/method_codec.h"

namespace warren::amqp {
namespace {

constexpr unsigned kFirstFlag = 15;
constexpr std::uint16_t kUndefinedFlags = 0b11;  // bit 0: another flag word follows; bit 1: unused

// Shows every property to `visit`, in wire order: flag 15 first.
template <class Properties, class Visit>
void for_each_property(Properties& properties, Visit visit) {
  visit(properties.content_type);
  visit(properties.content_encoding);
  visit(properties.headers);
  visit(properties.delivery_mode);
  visit(properties.priority);
  visit(properties.correlation_id);
  visit(properties.reply_to);
  visit(properties.expiration);
  visit(properties.message_id);
  visit(properties.timestamp);
  visit(properties.type);
  visit(properties.user_id);
  visit(properties.app_id);
  visit(properties.cluster_id);
}

}  // namespace

bool parse_properties(Bytes raw, PropertiesView& out) {
  if (raw.size() < 2) return false;
  const auto flags = load_big_endian<std::uint16_t>(raw.data());
  if ((flags & kUndefinedFlags) != 0) return false;
  ArgumentReader reader(raw.substr(2));
  unsigned flag = kFirstFlag;
  for_each_property(out, [&](auto& property) {
    if ((flags >> flag-- & 1) == 0) {
      property.reset();
    } else {
      reader.field(property.emplace());
    }
  });
  return reader.complete();
}

void encode_properties(std::string& out, const PropertiesView& properties) {
  ArgumentSizer sizer;
  unsigned flags = 0;
  unsigned flag = kFirstFlag;
  for_each_property(properties, [&](const auto& property) {
    if (property) {
      flags |= 1U << flag;
      sizer.field(*property);
    }
    --flag;
  });
  const std::size_t at = out.size();
  out.resize(at + 2 + sizer.size());
  ArgumentWriter writer(out.data() + at);
  writer.field(static_cast<std::uint16_t>(flags));
  for_each_property(properties, [&](const auto& property) {
    if (property) writer.field(*property);
  });
}

bool read_content_header(Bytes payload, ContentHeader& out) {
  if (payload.size() < kContentHeaderBytes) return false;
  out.class_id = load_big_endian<std::uint16_t>(payload.data());
  const auto weight = load_big_endian<std::uint16_t>(payload.data() + 2);
  out.body_size = load_big_endian<std::uint64_t>(payload.data() + 4);
  out.raw_properties = payload.substr(kContentHeaderBytes);
  return weight == 0;
}

}  // namespace warren::amqp
