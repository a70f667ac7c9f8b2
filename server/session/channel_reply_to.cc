// SPDX-License-Identifier: Apache-2.0
// Direct reply-to: a channel consumes from the pseudo-queue amq.rabbitmq.reply-to, its requests
// carry an address in its place, and what is published to that address through the default exchange
// goes straight to the channel. Nothing is stored: a reply reaches its channel or nobody.
#include "server/auth/secret.h"
#include "server/broker/reply_address.h"
#include "server/session/channel_send.h"

namespace warren::session {
namespace {

constexpr std::size_t kSecretBytes = 16;

}  // namespace

Outcome Channel::consume_replies(const amqp::BasicConsume& method) {
  if (!method.no_ack) {
    return amqp::channel_error(amqp::ReplyCode::precondition_failed,
                               "reply consumer cannot acknowledge");
  }
  if (reply_consumer_) {
    return amqp::channel_error(amqp::ReplyCode::precondition_failed, "reply consumer already set");
  }
  ReplyConsumer& consumer = reply_consumer_.emplace();
  consumer.tag = method.consumer_tag.empty() ? session_.random_name("amq.ctag-")
                                             : std::string(method.consumer_tag.value);
  consumer.address = broker::make_reply_address(key(), auth::random_secret(kSecretBytes));
  if (!method.nowait) send(amqp::BasicConsumeOk{.consumer_tag = consumer.tag});
  return {};
}

// The pseudo-queue is always there; an address is as long as its channel waits for replies.
Outcome Channel::declare_reply_queue(std::string_view name, bool nowait) {
  PendingRequest pending;
  pending.what = Waiting::queue_declare;
  pending.nowait = nowait;
  pending.name = name;
  pending.queue = name;
  if (name == broker::kReplyQueue) {
    broker::Reply exists;
    exists.consumer_count = 1;
    return on_reply(pending, exists);
  }
  const auto channel = find_reply_channel(name);
  if (!channel) return broker::no_queue(name, session_.vhost_name());
  session_.request(number_, std::move(pending), channel->connection.shard(),
                   [&](broker::ReplyTo to) {
                     return broker::DirectReply{to, *channel, std::string(name), nullptr};
                   });
  return {};
}

// Where an address says that its channel is; nothing when it names no shard of ours.
std::optional<broker::ChannelKey> Channel::find_reply_channel(std::string_view address) {
  const auto channel = broker::read_reply_address(address);
  if (!channel || channel->connection.shard() >= broker().shard_count()) return std::nullopt;
  return channel;
}

// Sends the message to the addresses among its keys. With `ask` the last of them says whether it is
// there: true, and input stands still until on_direct_reply_answer().
bool Channel::send_direct_replies(const BlockRef& block, bool ask) {
  struct Target {
    broker::ChannelKey channel;
    std::string address;
  };
  std::vector<Target> targets;
  const broker::RouteInput keys{content_.routing_key(), {}, content_.extra_keys()};
  keys.for_each_key([&](Bytes key) {
    if (!broker::is_reply_address(key)) return;
    if (const auto channel = find_reply_channel(key)) {
      targets.push_back({*channel, std::string(key)});
    }
  });
  for (Target& target : targets) {
    const ShardIndex shard = target.channel.connection.shard();
    broker::DirectReply reply{{}, target.channel, std::move(target.address), block};
    broker().count_direct_reply(shard, *block);
    if (!ask || &target != &targets.back()) {
      broker().send(shard, std::move(reply));
      continue;
    }
    PendingRequest pending;
    pending.what = Waiting::direct_reply;
    pending.block = block;
    if (confirming_) pending.publish_seq = confirm_offset_ + confirms_.next_seq();
    session_.request(number_, std::move(pending), shard, [&](broker::ReplyTo to) {
      reply.reply_to = to;
      return std::move(reply);
    });
  }
  return ask && !targets.empty();
}

// A mandatory reply was taken, or its requester is gone: the return goes out before the confirm
// (B6).
Outcome Channel::on_direct_reply_answer(const PendingRequest& pending, bool gone) {
  if (gone) return_unroutable(pending.block);
  if (pending.publish_seq != 0) {
    on_confirmed(pending.publish_seq);
    session_.mark_confirms(number_);
  }
  return {};
}

bool Channel::take_direct_reply(const broker::DirectReply& reply) {
  if (!reply_consumer_ || reply_consumer_->address != reply.address) return false;
  if (!reply.block) return true;
  // A requester that does not read loses replies and not our memory (P6).
  if (session_.output().size() > kReplyOutputBytes) return false;
  const broker::MessageView message(*reply.block);
  const auto properties = session_.header_for(message, 0);
  if (!properties) return false;
  amqp::BasicDeliver deliver;
  deliver.consumer_tag = reply_consumer_->tag;
  deliver.delivery_tag = unacked_.skip();
  deliver.exchange = message.exchange();
  deliver.routing_key = message.routing_key();
  send(deliver);
  session_.send_content(number_, reply.block, *properties);
  return true;
}

}  // namespace warren::session
