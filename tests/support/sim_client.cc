// SPDX-License-Identifier: Apache-2.0
#include "tests/support/sim_client.h"

#include <fmt/format.h>

#include "storage/base/assert.h"

#include "server/amqp/properties.h"

namespace warren::test {

SimClient::SimClient(SimBroker& broker, ShardIndex shard)
    : broker_(broker), shard_(shard), random_(broker.random()()) {
  session::SessionParts parts;
  parts.broker = &broker.shard(shard);
  parts.users = &broker.users(shard);
  parts.limits = &broker.options().session_limits;
  parts.clock = &broker.clock();
  parts.host = this;
  parts.random = &random_;
  parts.peer = "sim";
  parts.peer_is_loopback = true;
  session_ = std::make_unique<session::ConnectionSession>(std::move(parts));
}

SimClient::~SimClient() = default;

void SimClient::send_start_ok() {
  amqp::FieldTable capabilities;
  capabilities.set("consumer_cancel_notify", true);
  capabilities.set("authentication_failure_close", true);
  if (blocked_notify_) capabilities.set("connection.blocked", true);
  amqp::FieldTable properties;
  properties.set("capabilities", capabilities);
  std::string encoded;
  amqp::encode_table(encoded, properties);
  amqp::ConnectionStartOk start_ok;
  start_ok.client_properties = encoded;
  start_ok.mechanism = "PLAIN";
  start_ok.response = std::string_view("\0guest\0guest", 12);
  start_ok.locale = "en_US";
  send(0, start_ok);
}

void SimClient::send_open() {
  const session::SessionLimits& limits = broker_.options().session_limits;
  amqp::ConnectionTuneOk tune_ok;
  tune_ok.channel_max = limits.channel_max;
  tune_ok.frame_max = limits.frame_max;
  tune_ok.heartbeat = limits.heartbeat_s;
  send(0, tune_ok);
  amqp::ConnectionOpen open;
  open.virtual_host = "/";
  send(0, open);
}

void SimClient::handshake() {
  send_bytes(amqp::kProtocolHeader);
  broker_.settle();
  expect<amqp::ConnectionStart>(0);
  send_start_ok();
  broker_.settle();
  expect<amqp::ConnectionTune>(0);
  send_open();
  broker_.settle();
  expect<amqp::ConnectionOpenOk>(0);
}

void SimClient::send_handshake() {
  send_bytes(amqp::kProtocolHeader);
  send_start_ok();
  send_open();
}

void SimClient::open_channel(std::uint16_t channel) {
  call(channel, amqp::ChannelOpen{});
  expect<amqp::ChannelOpenOk>(channel);
}

void SimClient::publish(std::uint16_t channel, const PublishOptions& options) {
  amqp::BasicPublish publish;
  publish.exchange = options.exchange;
  publish.routing_key = options.routing_key;
  publish.mandatory = options.mandatory;
  send(channel, publish);
  amqp::PropertiesView properties;
  properties.delivery_mode =
      options.persistent ? amqp::kDeliveryModePersistent : amqp::kDeliveryModeTransient;
  if (!options.headers.empty()) properties.headers = amqp::TableBytes(options.headers);
  if (!options.message_id.empty()) properties.message_id = options.message_id;
  if (!options.reply_to.empty()) properties.reply_to = options.reply_to;
  if (!options.expiration.empty()) properties.expiration = options.expiration;
  if (options.priority >= 0) properties.priority = static_cast<std::uint8_t>(options.priority);
  std::string raw;
  amqp::encode_properties(raw, properties);
  amqp::append_header_frame(to_session_, channel, amqp::kClassBasic, options.body.size(), raw);
  amqp::append_body_frames(to_session_, channel, options.body,
                           broker_.options().session_limits.frame_max);
}

Received SimClient::take() {
  WARREN_ASSERT(!received_.empty());
  Received next = std::move(received_.front());
  received_.pop_front();
  return next;
}

void SimClient::expect_nothing() {
  broker_.settle();
  for (const Received& one : received_) ADD_FAILURE() << "unexpected " << describe(one);
}

void SimClient::expect_channel_close(std::uint16_t channel, int code, std::string_view text_part) {
  const Received received = expect<amqp::ChannelClose>(channel);
  const auto& close = as<amqp::ChannelClose>(received);
  EXPECT_EQ(close.reply_code, code);
  EXPECT_NE(std::string_view(close.reply_text).find(text_part), std::string_view::npos)
      << std::string_view(close.reply_text);
}

void SimClient::expect_connection_close(int code, std::string_view text_part) {
  const Received received = expect<amqp::ConnectionClose>(0);
  const auto& close = as<amqp::ConnectionClose>(received);
  EXPECT_EQ(close.reply_code, code);
  EXPECT_NE(std::string_view(close.reply_text).find(text_part), std::string_view::npos)
      << std::string_view(close.reply_text);
}

std::string SimClient::describe(const Received& received) {
  return std::visit(
      [&received](const auto& method) {
        std::string text = fmt::format("{} on channel {}", method.kName, received.channel);
        if constexpr (requires { method.reply_text; }) {
          text += fmt::format(" '{}'", method.reply_text.value);
        }
        return text;
      },
      received.method);
}

std::string SimClient::next_delivery(std::uint16_t channel) {
  if (received_.empty()) return "nothing";
  const Received received = take();
  const auto* const deliver = std::get_if<amqp::BasicDeliver>(&received.method);
  if (deliver == nullptr || received.channel != channel) return describe(received);
  return fmt::format("{} {} {}", deliver->delivery_tag, deliver->redelivered ? "r" : "-",
                     received.body);
}

bool SimClient::move_bytes(std::size_t input_max) {
  bool moved = false;
  // As net::Connection does.
  const bool overloaded = broker_.shard(shard_).overloaded();
  if (!overloaded) session_->let_go();
  const bool held = session_->held_by_queue() || (session_->publishes() && overloaded);
  if (!to_session_.empty() && session_->wants_input() && !held) {
    const std::size_t consumed = session_->on_bytes(Bytes(to_session_).substr(0, input_max));
    to_session_.erase(0, consumed);
    taken_bytes_ += consumed;
    moved = consumed > 0;
  }
  if (reading_) {
    session::OutBuffer& out = session_->output();
    while (!out.empty()) {
      Bytes piece;
      const std::size_t n = out.front(&piece, 1);
      WARREN_ASSERT(n == 1);
      from_session_.append(piece);
      out.consume(piece.size());
      moved = true;
    }
    session_->on_flushed();
    if (on_output) {
      on_output(from_session_);
      from_session_.clear();
    } else {
      parse_output();
    }
  }
  return moved;
}

void SimClient::parse_output() {
  std::size_t at = 0;
  while (at < from_session_.size()) {
    amqp::Frame frame;
    const amqp::FrameStatus status = amqp::read_frame(Bytes(from_session_).substr(at), 0, frame);
    if (status == amqp::FrameStatus::need_more) break;
    if (status != amqp::FrameStatus::ok) {
      raw_output_ += from_session_.substr(at);
      at = from_session_.size();
      break;
    }
    on_frame(frame);
    at += frame.size;
  }
  from_session_.erase(0, at);
}

void SimClient::on_frame(const amqp::Frame& frame) {
  if (frame.type == amqp::kFrameHeartbeat) return;
  if (frame.type == amqp::kFrameMethod) {
    Received received;
    received.channel = frame.channel;
    received.payload = std::make_unique<std::string>(frame.payload);
    const auto decoded = amqp::decode_method(*received.payload, received.method);
    WARREN_ASSERT(decoded == amqp::MethodDecode::ok);
    received_.push_back(std::move(received));
    return;
  }
  // The server never interleaves contents (P2).
  WARREN_ASSERT(!received_.empty() && received_.back().channel == frame.channel);
  Received& last = received_.back();
  if (frame.type == amqp::kFrameHeader) {
    amqp::ContentHeader header;
    const bool ok = amqp::read_content_header(frame.payload, header);
    WARREN_ASSERT(ok);
    last.properties = header.raw_properties;
    last.body_size = header.body_size;
  } else {
    last.body.append(frame.payload);
    WARREN_ASSERT(last.body.size() <= last.body_size);
  }
}

}  // namespace warren::test
