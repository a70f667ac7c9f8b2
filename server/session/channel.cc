// SPDX-License-Identifier: Apache-2.0
#include "server/session/channel.h"

#include <algorithm>

#include <fmt/format.h>

#include "storage/base/assert.h"
#include "storage/base/log.h"

#include "server/session/channel_send.h"
#include "server/session/connection_session.h"

namespace warren::session {

struct MethodHandler {
  Channel& channel;
  template <class Method>
  Outcome operator()(const Method& method) const {
    return channel.handle(method);
  }
};

Channel::Channel(ConnectionSession& session, std::uint16_t number, std::uint64_t confirm_offset)
    : session_(session), number_(number), confirm_offset_(confirm_offset) {}

Channel::~Channel() {
  release(true);
}

broker::BrokerShard& Channel::broker() {
  return session_.broker();
}
const broker::Vhost& Channel::vhost() {
  return session_.vhost();
}
broker::ChannelKey Channel::key() const {
  return {session_.connection_id(), number_};
}

Outcome Channel::on_method(Bytes payload) {
  if (content_.state() != ContentAssembler::State::idle) {
    return amqp::connection_error(amqp::ReplyCode::unexpected_frame,
                                  "expected content header or body, got a method frame instead");
  }
  // The two that come once per message are decoded without the detour over all the others.
  ByteReader ids(payload);
  const amqp::MethodId id{ids.u16(), ids.u16()};
  if (id == amqp::MethodId{amqp::BasicPublish::kClassId, amqp::BasicPublish::kMethodId}) {
    amqp::BasicPublish publish;
    if (amqp::decode_arguments(payload.substr(4), publish)) return handle(publish);
  } else if (id == amqp::MethodId{amqp::BasicAck::kClassId, amqp::BasicAck::kMethodId}) {
    amqp::BasicAck ack;
    if (amqp::decode_arguments(payload.substr(4), ack)) return handle(ack);
  }
  amqp::AnyMethod method;
  switch (amqp::decode_method(payload, method)) {
    case amqp::MethodDecode::ok:
      return std::visit(MethodHandler{*this}, method);
    case amqp::MethodDecode::unknown_method:
      return amqp::connection_error(amqp::ReplyCode::command_invalid, "unknown method");
    case amqp::MethodDecode::malformed:
      return amqp::connection_error(
          amqp::ReplyCode::syntax_error,
          fmt::format("malformed {}", amqp::method_name(id.class_id, id.method_id)));
  }
  return {};
}

template <class Method>
Outcome Channel::handle(const Method&) {
  if constexpr (std::is_same_v<Method, amqp::ChannelOpen>) {
    return amqp::connection_error(amqp::ReplyCode::channel_error,
                                  "second 'channel.open' seen on an open channel");
  }
  return amqp::connection_error(amqp::ReplyCode::command_invalid,
                                fmt::format("unexpected {} on a channel", Method::kName));
}

Outcome Channel::handle(const amqp::ChannelFlow& method) {
  if (!method.active) {
    return amqp::connection_error(amqp::ReplyCode::not_implemented, "active=false");
  }
  send(amqp::ChannelFlowOk{.active = true});
  return {};
}

Outcome Channel::handle(const amqp::ChannelClose&) {
  release(true);
  send(amqp::ChannelCloseOk{});
  return {};  // the dispatcher drops the channel
}

Outcome Channel::handle(const amqp::AccessRequest&) {
  amqp::AccessRequestOk ok;
  ok.ticket = 1;
  send(ok);
  return {};
}

Outcome Channel::check_permission(auth::Operation operation, std::string_view resource) {
  if (session_.users().allowed(session_.user(), session_.vhost_name(), operation, resource)) {
    return {};
  }
  const std::string_view name = resource.empty() ? "amq.default" : resource;
  return amqp::channel_error(amqp::ReplyCode::access_refused,
                             fmt::format("access to '{}' in vhost '{}' refused for user '{}'", name,
                                         session_.vhost_name(), session_.user()));
}

void Channel::close_with(const amqp::AmqpError& error) {
  WLOG(info, "channel closed with an error conn={} channel={} code={} text='{}'",
       session_.connection_id().value, number_, static_cast<int>(error.code),
       printable(error.text));
  release(true);
  closing_ = true;
  amqp::ChannelClose close;
  close.reply_code = static_cast<std::uint16_t>(error.code);
  close.reply_text = error.text;
  close.class_id = error.class_id;
  close.method_id = error.method_id;
  send(close);
}

void Channel::release(bool tell_broker) {
  content_.reset();
  give_up_deferred();
  if (tx_) tx_.emplace();
  if (claim_) give_up(*claim_);
  claim_.reset();
  for (const auto& [tag, consumer] : consumers_) session_.remove_consumer(*consumer);
  consumers_.clear();
  reply_consumer_.reset();
  asks_.clear();
  shared_granted_ = 0;
  if (tell_broker) {
    for (ShardIndex shard = 0; shard < broker().shard_count(); ++shard) {
      if ((used_shards_ >> shard & 1) != 0) broker().send(shard, broker::HolderGone{key()});
    }
  }
  used_shards_ = 0;
}

Outcome Channel::on_reply(PendingRequest& pending, broker::Reply& reply) {
  if (pending.what == Waiting::direct_reply) return on_direct_reply_answer(pending, reply.no_queue);
  if (pending.what == Waiting::deduplicate) return on_duplicate_answer(pending, reply.duplicate);
  if (reply.no_queue) reply.error = broker::no_queue(pending.queue, session_.vhost_name());
  if (reply.error) {
    if (pending.what == Waiting::consume) {
      if (ConsumerRecord* const consumer = session_.find_consumer(pending.consumer)) {
        forget_consumer(*consumer);
      }
    }
    return std::move(reply.error);
  }
  const bool answer = !pending.nowait;
  switch (pending.what) {
    case Waiting::exchange_declare:
      if (answer) send(amqp::ExchangeDeclareOk{});
      break;
    case Waiting::exchange_delete:
      if (answer) send(amqp::ExchangeDeleteOk{});
      break;
    case Waiting::exchange_bind:
      if (answer) send(amqp::ExchangeBindOk{});
      break;
    case Waiting::exchange_unbind:
      if (answer) send(amqp::ExchangeUnbindOk{});
      break;
    case Waiting::queue_declare: {
      last_queue_ = pending.name;
      amqp::QueueDeclareOk ok;
      ok.queue = pending.name;
      ok.message_count = reply.message_count;
      ok.consumer_count = reply.consumer_count;
      if (answer) send(ok);
      break;
    }
    case Waiting::queue_bind:
      if (answer) send(amqp::QueueBindOk{});
      break;
    case Waiting::queue_unbind:
      send(amqp::QueueUnbindOk{});
      break;
    case Waiting::queue_purge:
      if (answer) send(amqp::QueuePurgeOk{.message_count = reply.message_count});
      break;
    case Waiting::queue_delete:
      if (answer) send(amqp::QueueDeleteOk{.message_count = reply.message_count});
      break;
    case Waiting::consume:
      if (answer) send(amqp::BasicConsumeOk{.consumer_tag = pending.name});
      break;
    case Waiting::cancel:
      if (ConsumerRecord* const consumer = session_.find_consumer(pending.consumer)) {
        forget_consumer(*consumer);
      }
      if (answer) send(amqp::BasicCancelOk{.consumer_tag = pending.name});
      break;
    case Waiting::get:
      answer_get(pending, reply);
      break;
    case Waiting::tx_commit:
      send(amqp::TxCommitOk{});
      break;
    case Waiting::direct_reply:
    case Waiting::deduplicate:
      break;  // above
  }
  return {};
}

void Channel::answer_get(const PendingRequest& pending, const broker::Reply& reply) {
  if (!reply.block) {
    send(amqp::BasicGetEmpty{});
    return;
  }
  const UnackedDelivery delivery{reply.queue, reply.place, 0, pending.home, 0};
  const broker::MessageView message(*reply.block);
  const auto properties = session_.header_for(message, reply.returns);
  if (!properties) return;
  amqp::BasicGetOk ok;
  ok.delivery_tag = track(delivery, pending.no_ack);
  ok.redelivered = reply.redelivered;
  ok.exchange = message.exchange();
  ok.routing_key = message.routing_key();
  ok.message_count = reply.message_count;
  send(ok);
  session_.send_content(number_, reply.block, *properties);
}

}  // namespace warren::session
