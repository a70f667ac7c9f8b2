// SPDX-License-Identifier: Apache-2.0
#include "server/session/connection_session.h"

#include <algorithm>

#include <fmt/format.h>

#include "storage/base/assert.h"
#include "storage/base/log.h"

#include "server/broker/message.h"
#include "server/session/delivery_count.h"
#include "server/session/header_fit.h"

namespace warren::session {

struct ConnectionMethodHandler {
  ConnectionSession& session;
  template <class Method>
  Outcome operator()(const Method& method) const {
    return session.handle(method);
  }
};

ConnectionSession::ConnectionSession(SessionParts parts)
    : parts_(std::move(parts)),
      id_(parts_.broker->new_connection_id()),
      frame_max_(parts_.limits->frame_max),
      channel_max_(parts_.limits->channel_max) {
  const Instant now = clock().now();
  last_received_ = now;
  last_sent_ = now;
  deadline_ = now + limits().handshake_timeout;
  wall_ms_ = clock().wall_ms();
  broker().add_session(*this);
}

ConnectionSession::~ConnectionSession() {
  release();
  broker().remove_session(*this);
}

const broker::Vhost& ConnectionSession::vhost() const {
  const broker::Vhost* const found = parts_.broker->topology().find_vhost(vhost_name_);
  WARREN_ASSERT(found != nullptr);
  return *found;
}

// ---- input ----

std::size_t ConnectionSession::on_bytes(Bytes in) {
  received_ = true;
  wall_ms_ = clock().wall_ms();
  std::size_t consumed = 0;
  if (state_ == State::want_header) {
    consumed = on_protocol_header(in);
    if (state_ == State::want_header) return consumed;
  }
  while (wants_input() && !waits_for_turn() && consumed < in.size()) {
    amqp::Frame frame;
    const amqp::FrameStatus status = amqp::read_frame(in.substr(consumed), frame_max_, frame);
    if (status == amqp::FrameStatus::need_more) break;
    if (status != amqp::FrameStatus::ok) {
      constexpr std::string_view kTexts[] = {"unknown frame type", "frame too large",
                                             "bad frame end octet"};
      const auto which = static_cast<std::size_t>(status) - 2;
      if (state_ == State::closing) {
        become_closed();
      } else {
        close_with(amqp::connection_error(amqp::ReplyCode::frame_error, kTexts[which]));
        if (state_ == State::closing) become_closed();  // the stream cannot be read any further
      }
      return in.size();
    }
    consumed += frame.size;
    on_frame(frame);
  }
  return state_ == State::closed ? in.size() : consumed;
}

void ConnectionSession::on_frame(const amqp::Frame& frame) {
  current_method_ = {};
  const bool usual =
      state_ == State::open && frame.channel != 0 && frame.type != amqp::kFrameHeartbeat;
  Outcome error = usual ? dispatch_channel(frame) : dispatch(frame);
  if (error) fail(std::move(*error), frame);
}

Outcome ConnectionSession::dispatch(const amqp::Frame& frame) {
  if (state_ == State::closing) {
    // Only the end of the conversation matters now.
    if (frame.type != amqp::kFrameMethod || frame.channel != 0) return {};
    amqp::AnyMethod method;
    if (amqp::decode_method(frame.payload, method) != amqp::MethodDecode::ok) return {};
    if (std::holds_alternative<amqp::ConnectionCloseOk>(method)) become_closed();
    if (std::holds_alternative<amqp::ConnectionClose>(method)) {
      send(0, amqp::ConnectionCloseOk{});
      become_closed();
    }
    return {};
  }
  if (frame.type == amqp::kFrameHeartbeat) {
    if (frame.channel == 0) return {};
    return amqp::connection_error(amqp::ReplyCode::unexpected_frame,
                                  "heartbeat frame on a channel other than 0");
  }
  if (frame.channel != 0) return dispatch_channel(frame);
  if (frame.type != amqp::kFrameMethod) {
    return amqp::connection_error(amqp::ReplyCode::unexpected_frame, "content frame on channel 0");
  }
  return on_connection_method(frame.payload);
}

Outcome ConnectionSession::dispatch_channel(const amqp::Frame& frame) {
  if (state_ != State::open) {
    return amqp::connection_error(amqp::ReplyCode::channel_error,
                                  "channel frame before the connection is open");
  }
  Channel* const channel = find_channel(frame.channel);
  ByteReader ids(frame.payload);
  if (frame.type == amqp::kFrameMethod) {
    current_method_.class_id = ids.u16();
    current_method_.method_id = ids.u16();
  }
  if (channel == nullptr) {
    if (frame.type == amqp::kFrameMethod &&
        current_method_ ==
            amqp::MethodId{amqp::ChannelOpen::kClassId, amqp::ChannelOpen::kMethodId}) {
      amqp::ChannelOpen open;
      if (amqp::decode_arguments(frame.payload.substr(4), open)) return open_channel(frame.channel);
      return amqp::connection_error(amqp::ReplyCode::syntax_error, "malformed channel.open");
    }
    // A close-ok that crossed our connection-wide clean-up is harmless.
    if (current_method_ ==
        amqp::MethodId{amqp::ChannelCloseOk::kClassId, amqp::ChannelCloseOk::kMethodId}) {
      return {};
    }
    return amqp::connection_error(amqp::ReplyCode::channel_error, "expected 'channel.open'");
  }
  if (channel->closing()) {
    if (current_method_.class_id != amqp::kClassChannel) return {};
    if (current_method_.method_id == amqp::ChannelCloseOk::kMethodId) erase_channel(frame.channel);
    if (current_method_.method_id == amqp::ChannelClose::kMethodId) {
      send(frame.channel, amqp::ChannelCloseOk{});
      erase_channel(frame.channel);
    }
    return {};
  }
  if (frame.type != amqp::kFrameMethod) {
    Outcome outcome = frame.type == amqp::kFrameHeader ? channel->on_header(frame.payload)
                                                       : channel->on_body(frame.payload);
    // A message that is refused is its publish's fault.
    if (outcome && !outcome->closes_connection) {
      current_method_ = {amqp::BasicPublish::kClassId, amqp::BasicPublish::kMethodId};
    }
    return outcome;
  }
  Outcome outcome = channel->on_method(frame.payload);
  const bool closed = current_method_ ==
                      amqp::MethodId{amqp::ChannelClose::kClassId, amqp::ChannelClose::kMethodId};
  if (!outcome && closed) erase_channel(frame.channel);
  return outcome;
}

Outcome ConnectionSession::open_channel(std::uint16_t number) {
  if (number > channel_max_) {
    return amqp::connection_error(
        amqp::ReplyCode::not_allowed,
        fmt::format("number of channels opened ({}) has reached the negotiated channel_max ({})",
                    number, channel_max_));
  }
  channels_.emplace(number, std::make_unique<Channel>(*this, number, confirm_offset_));
  send(number, amqp::ChannelOpenOk{});
  return {};
}

Outcome ConnectionSession::on_connection_method(Bytes payload) {
  amqp::AnyMethod method;
  ByteReader ids(payload);
  current_method_.class_id = ids.u16();
  current_method_.method_id = ids.u16();
  switch (amqp::decode_method(payload, method)) {
    case amqp::MethodDecode::ok:
      return std::visit(ConnectionMethodHandler{*this}, method);
    case amqp::MethodDecode::unknown_method:
      return amqp::connection_error(amqp::ReplyCode::command_invalid, "unknown method");
    case amqp::MethodDecode::malformed:
      return amqp::connection_error(
          amqp::ReplyCode::syntax_error,
          fmt::format("malformed {}",
                      amqp::method_name(current_method_.class_id, current_method_.method_id)));
  }
  return {};
}

template <class Method>
Outcome ConnectionSession::handle(const Method&) {
  return amqp::connection_error(amqp::ReplyCode::command_invalid,
                                fmt::format("unexpected {} on channel 0", Method::kName));
}

Outcome ConnectionSession::handle(const amqp::ConnectionClose&) {
  for (auto& [number, channel] : channels_) channel->release(false);
  if (!owns_exclusive_ || state_ != State::open) {
    send(0, amqp::ConnectionCloseOk{});
    become_closed();
    return {};
  }
  // Exclusive queues are gone before close-ok: their names are free again (conformance rule 24).
  state_ = State::peer_closing;
  awaits_release_ = true;
  released_ = true;
  pending_.emplace();
  broker().release_connection(id_, true, {id_, ++ticket_});
  return {};
}

Outcome ConnectionSession::handle(const amqp::ConnectionCloseOk&) {
  become_closed();
  return {};
}

// ---- errors and closing ----

void ConnectionSession::fail(amqp::AmqpError error, const amqp::Frame& frame) {
  error.class_id = current_method_.class_id;
  error.method_id = current_method_.method_id;
  Channel* const channel = frame.channel == 0 ? nullptr : find_channel(frame.channel);
  if (error.closes_connection || channel == nullptr) {
    close_with(error);
  } else {
    channel->close_with(error);
  }
}

void ConnectionSession::close_with(const amqp::AmqpError& error) {
  WLOG(info, "connection closed with an error conn={} peer={} user='{}' code={} text='{}'",
       id_.value, parts_.peer, user_, static_cast<int>(error.code), printable(error.text));
  for (auto& [number, channel] : channels_) channel->release(false);
  amqp::ConnectionClose close;
  close.reply_code = static_cast<std::uint16_t>(error.code);
  close.reply_text = error.text;
  close.class_id = error.class_id;
  close.method_id = error.method_id;
  send(0, close);
  state_ = State::closing;
  pending_.reset();
  blocked_ = false;  // close-ok must be heard
  deadline_ = clock().now() + kCloseTimeout;
  release();
}

void ConnectionSession::force_close(amqp::ReplyCode code, std::string_view explanation) {
  if (state_ == State::closing || state_ == State::closed) return;
  if (state_ != State::open) return become_closed();
  close_with(amqp::connection_error(code, explanation));
  parts_.host->input_ready();  // it may have stood still: close-ok must be heard
}

void ConnectionSession::become_closed() {
  if (state_ == State::closed) return;
  state_ = State::closed;
  pending_.reset();
  release();
  touch_output();
}

void ConnectionSession::on_disconnect() {
  become_closed();
}

void ConnectionSession::release() {
  if (released_) return;
  released_ = true;
  for (auto& [number, channel] : channels_) channel->release(false);
  consumers_.clear();
  owing_.clear();
  if (!user_.empty()) broker().release_connection(id_, owns_exclusive_, {id_, 0});
}

// ---- channels and consumers ----

Channel* ConnectionSession::find_channel(std::uint16_t number) {
  if (last_channel_ != nullptr && last_channel_->number() == number) return last_channel_;
  const auto at = channels_.find(number);
  if (at == channels_.end()) return nullptr;
  last_channel_ = at->second.get();
  return last_channel_;
}

void ConnectionSession::erase_channel(std::uint16_t number) {
  last_channel_ = nullptr;
  const auto at = channels_.find(number);
  if (at == channels_.end()) return;
  confirm_offset_ = std::max(confirm_offset_, at->second->confirm_end());
  channels_.erase(at);
}

void ConnectionSession::add_consumer(ConsumerRecord& consumer) {
  consumer.number = next_consumer_++;
  consumers_.emplace(consumer.number, &consumer);
}

void ConnectionSession::remove_consumer(ConsumerRecord& consumer) {
  consumers_.erase(consumer.number);
}

ConsumerRecord* ConnectionSession::find_consumer(broker::ConsumerNumber number) {
  const auto at = consumers_.find(number);
  return at == consumers_.end() ? nullptr : at->second;
}

void ConnectionSession::owe_credit(ConsumerRecord& consumer, std::uint64_t bytes) {
  consumer.in_flight_bytes += bytes;
  if (consumer.owes_credit) return;
  consumer.owes_credit = true;
  owing_.push_back(consumer.number);
}

void ConnectionSession::on_flushed() {
  output_announced_ = false;
  if (out_.size() > kOutputLowBytes) return;
  for (const broker::ConsumerNumber number : owing_) {
    ConsumerRecord* const consumer = find_consumer(number);
    if (consumer == nullptr) continue;
    consumer->owes_credit = false;
    broker().send(
        consumer->home,
        broker::CreditReturn{
            consumer->queue, {id_, consumer->channel}, number, consumer->in_flight_bytes});
    consumer->in_flight_bytes = 0;
  }
  owing_.clear();
}

// ---- from the broker ----

broker::ReplyTo ConnectionSession::suspend(std::uint16_t channel, PendingRequest pending) {
  WARREN_ASSERT(!pending_);
  pending_ = std::move(pending);
  pending_channel_ = channel;
  pending_method_ = current_method_;
  return {id_, ++ticket_};
}

void ConnectionSession::on_reply(broker::Reply& reply) {
  if (!pending_ || reply.to.ticket != ticket_) return;  // of a conversation that ended
  if (--pending_->answers > 0) return;
  PendingRequest pending = std::move(*pending_);
  pending_.reset();
  if (awaits_release_) {
    send(0, amqp::ConnectionCloseOk{});
    become_closed();
    return;
  }
  Channel* const channel = find_channel(pending_channel_);
  if (channel != nullptr && !channel->closing()) {
    if (Outcome error = channel->on_reply(pending, reply)) {
      error->class_id = pending_method_.class_id;
      error->method_id = pending_method_.method_id;
      if (error->closes_connection) {
        close_with(*error);
      } else {
        channel->close_with(*error);
      }
    }
  }
  parts_.host->input_ready();
}

void ConnectionSession::on_delivery(const broker::Delivery& delivery) {
  ConsumerRecord* const consumer = find_consumer(delivery.consumer);
  if (consumer == nullptr) return;  // its channel is closing: the queue takes the message back
  Channel* const channel = find_channel(consumer->channel);
  if (channel != nullptr) channel->on_delivery(*consumer, delivery);
}

void ConnectionSession::on_confirmed(std::uint16_t number, std::uint64_t publish_seq) {
  Channel* const channel = find_channel(number);
  if (channel == nullptr || channel->closing()) return;
  channel->on_confirmed(publish_seq);
  mark_confirms(number);
}

void ConnectionSession::on_consumer_cancelled(broker::ConsumerNumber number) {
  ConsumerRecord* const consumer = find_consumer(number);
  if (consumer == nullptr) return;
  Channel* const channel = find_channel(consumer->channel);
  if (channel != nullptr) channel->on_consumer_cancelled(*consumer);
}

void ConnectionSession::on_ask(const broker::Ask& ask) {
  ConsumerRecord* const consumer = find_consumer(ask.consumer);
  if (consumer == nullptr) return;
  Channel* const channel = find_channel(consumer->channel);
  if (channel != nullptr) channel->on_ask(*consumer, ask);
}

void ConnectionSession::on_grant_return(const broker::GrantReturn& back) {
  ConsumerRecord* const consumer = find_consumer(back.consumer);
  if (consumer == nullptr) return;
  Channel* const channel = find_channel(consumer->channel);
  if (channel != nullptr) channel->on_grant_return(*consumer, back);
}

bool ConnectionSession::on_direct_reply(const broker::DirectReply& reply) {
  Channel* const channel = find_channel(reply.channel.channel);
  return channel != nullptr && channel->take_direct_reply(reply);
}

void ConnectionSession::mark_turn() {
  if (turn_marked_) return;
  turn_marked_ = true;
  broker().mark_session(*this);
}

void ConnectionSession::mark_confirms(std::uint16_t channel) {
  if (!confirm_channels_.empty() && confirm_channels_.back() == channel) return;
  confirm_channels_.push_back(channel);
  mark_turn();
}

void ConnectionSession::on_turn_end() {
  turn_marked_ = false;
  if (std::exchange(header_too_large_, false)) {
    force_close(
        amqp::ReplyCode::frame_error,
        fmt::format("the properties of a message need a frame of more than {} bytes", frame_max_));
  }
  // Nothing is said behind close or close-ok (conformance rule 11).
  if (state_ != State::open) confirm_channels_.clear();
  for (const std::uint16_t number : confirm_channels_) {
    Channel* const channel = find_channel(number);
    if (channel != nullptr && !channel->closing()) channel->flush_confirms();
  }
  confirm_channels_.clear();
}

// ---- output ----

void ConnectionSession::announce_output() {
  output_announced_ = true;
  parts_.host->output_ready();
}

std::optional<std::string> ConnectionSession::header_for(const broker::MessageView& message,
                                                         std::uint32_t returns) {
  const Bytes whole = message.properties();
  auto fitting =
      fit_properties(returns == 0 ? std::string(whole) : with_delivery_count(whole, returns),
                     frame_max_ - amqp::kFrameOverheadBytes - amqp::kContentHeaderBytes);
  if (!fitting) {
    header_too_large_ = true;
    mark_turn();
  }
  return fitting;
}

void ConnectionSession::send_content(std::uint16_t channel, const BlockRef& block,
                                     Bytes properties) {
  const broker::MessageView message(*block);
  const Bytes body = message.body();
  std::string& text = out_.text();
  amqp::append_header_frame(text, channel, amqp::kClassBasic, body.size(), properties);
  if (body.size() < kBodyReferenceBytes) {
    amqp::append_body_frames(text, channel, body, frame_max_);
    touch_output();
    return;
  }
  const std::size_t piece_max = frame_max_ - amqp::kFrameOverheadBytes;
  for (std::size_t at = 0; at < body.size(); at += piece_max) {
    const Bytes piece = body.substr(at, piece_max);
    amqp::append_frame_prefix(out_.text(), amqp::kFrameBody, channel,
                              static_cast<std::uint32_t>(piece.size()));
    out_.reference(block, piece);
    out_.text().push_back(static_cast<char>(amqp::kFrameEnd));
  }
  touch_output();
}

// ---- names ----

std::string ConnectionSession::random_name(std::string_view prefix) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string name(prefix);
  for (int i = 0; i < 22; ++i) name.push_back(kAlphabet[(*parts_.random)() % kAlphabet.size()]);
  return name;
}

}  // namespace warren::session
