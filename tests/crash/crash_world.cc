// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/crash_world.h"

#include "storage/base/crc32c.h"

#include "server/amqp/properties.h"

namespace warren::test {
namespace {

constexpr std::size_t kHeaderBytes = 12;  // publisher, number, checksum
constexpr Duration kOpenTimeout = std::chrono::seconds(5);

// Mostly small, some of several pages, few of several frames.
std::size_t filler_bytes(MessageId id) {
  std::uint64_t mix = (std::uint64_t{id.publisher} << 32 | id.number) * 0x9E3779B97F4A7C15ULL;
  mix ^= mix >> 29;
  if (mix % 1000 == 0) return 150'000 + mix / 1000 % 150'000;
  if (mix % 50 == 0) return mix / 50 % 20'000;
  return mix % 200;
}

}  // namespace

std::string make_body(MessageId id) {
  std::string body;
  ByteWriter out(body);
  out.u32(id.publisher);
  out.u32(id.number);
  out.u32(0);
  const std::size_t filler = filler_bytes(id);
  body.reserve(kHeaderBytes + filler);
  for (std::size_t i = 0; i < filler; ++i) {
    body.push_back(static_cast<char>(id.number * 31 + id.publisher * 7 + i));
  }
  out.patch_u32(8, crc32c(body));
  return body;
}

void append_message(perf::WireClient& client, std::uint16_t channel,
                    const amqp::BasicPublish& publish, MessageId id, bool persistent) {
  amqp::PropertiesView properties;
  properties.delivery_mode =
      persistent ? amqp::kDeliveryModePersistent : amqp::kDeliveryModeTransient;
  std::string raw;
  amqp::encode_properties(raw, properties);
  const std::string body = make_body(id);
  client.append(channel, publish);
  amqp::append_header_frame(client.out(), channel, amqp::BasicPublish::kClassId, body.size(), raw);
  amqp::append_body_frames(client.out(), channel, body, perf::kFrameMax);
}

bool read_body(Bytes body, MessageId& id) {
  ByteReader in(body);
  id.publisher = in.u32();
  id.number = in.u32();
  const std::uint32_t checksum = in.u32();
  if (!in.ok()) return false;
  std::string unsigned_body(body);
  store_big_endian<std::uint32_t>(unsigned_body.data() + 8, 0);
  return checksum == crc32c(unsigned_body);
}

Status open_client(perf::WireClient& client, std::uint16_t port) {
  perf::Uri uri;
  uri.port = port;
  WARREN_CHECK(client.open(uri, kOpenTimeout));
  WARREN_TRY([[maybe_unused]] const auto opened,
             (client.call<amqp::ChannelOpenOk>(kChannel, amqp::ChannelOpen{})));
  return {};
}

void answer_close(perf::WireClient& client, const amqp::Frame& frame) {
  if (frame.channel != 0 || perf::close_text(frame.payload).empty()) return;
  client.append(0, amqp::ConnectionCloseOk{});
  (void)client.flush();
  client.close_socket();
}

}  // namespace warren::test
