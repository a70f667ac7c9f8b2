// SPDX-License-Identifier: Apache-2.0
#include "server/session/delivery_frames.h"

#include <cstring>

#include "storage/base/assert.h"

#include "server/amqp/frame_writer.h"
#include "server/amqp/gen/basic.gen.h"

namespace warren::session {
namespace {

char* write_bytes(char* to, Bytes bytes) {
  if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
  return to + bytes.size();
}

char* write_short_string(char* to, Bytes bytes) {
  *to = static_cast<char>(bytes.size());
  return write_bytes(to + 1, bytes);
}

char* write_frame_end(char* to) {
  *to = static_cast<char>(amqp::kFrameEnd);
  return to + 1;
}

}  // namespace

DeliveryFrames::DeliveryFrames(std::uint16_t channel, std::string_view consumer_tag)
    : channel_(channel) {
  WARREN_ASSERT(consumer_tag.size() <= amqp::kShortStringBytesMax);
  ByteWriter out(beginning_);
  out.u16(amqp::BasicDeliver::kClassId);
  out.u16(amqp::BasicDeliver::kMethodId);
  out.u8(static_cast<std::uint8_t>(consumer_tag.size()));
  beginning_.append(consumer_tag);
}

void DeliveryFrames::append(std::string& out, std::uint64_t delivery_tag, bool redelivered,
                            const broker::MessageView& message) const {
  const Bytes exchange = message.exchange();
  const Bytes routing_key = message.routing_key();
  const Bytes properties = message.properties();
  const Bytes body = message.body();
  const std::size_t method_size =
      beginning_.size() + 8 + 1 + 1 + exchange.size() + 1 + routing_key.size();
  const std::size_t header_size = amqp::kContentHeaderBytes + properties.size();
  const std::size_t body_frame_size = body.empty() ? 0 : body.size() + amqp::kFrameOverheadBytes;
  const std::size_t at = out.size();
  out.resize(at + method_size + header_size + 2 * amqp::kFrameOverheadBytes + body_frame_size);
  char* to = out.data() + at;
  to = amqp::write_frame_prefix(to, amqp::kFrameMethod, channel_,
                                static_cast<std::uint32_t>(method_size));
  to = write_bytes(to, beginning_);
  store_big_endian<std::uint64_t>(to, delivery_tag);
  to[8] = redelivered ? 1 : 0;
  to = write_short_string(to + 9, exchange);
  to = write_frame_end(write_short_string(to, routing_key));
  to = amqp::write_frame_prefix(to, amqp::kFrameHeader, channel_,
                                static_cast<std::uint32_t>(header_size));
  store_big_endian<std::uint32_t>(to, std::uint32_t{amqp::kClassBasic} << 16);  // weight 0
  store_big_endian<std::uint64_t>(to + 4, body.size());
  to = write_frame_end(write_bytes(to + amqp::kContentHeaderBytes, properties));
  if (!body.empty()) {
    to = amqp::write_frame_prefix(to, amqp::kFrameBody, channel_,
                                  static_cast<std::uint32_t>(body.size()));
    to = write_frame_end(write_bytes(to, body));
  }
  WARREN_ASSERT(to == out.data() + out.size());
}

}  // namespace warren::session
