// SPDX-License-Identifier: Apache-2.0
// Class tx (90): publishes and settlements are kept until tx.commit makes one commit of them, on
// disk before commit-ok (B11). A publish is checked and routed when it is sent, as RabbitMQ does;
// an unknown tag fails at once.
#include "server/broker/reply_address.h"
#include "server/session/channel_send.h"

namespace warren::session {
namespace {

amqp::AmqpError not_transactional() {
  return amqp::channel_error(amqp::ReplyCode::precondition_failed, "channel is not transactional");
}

amqp::AmqpError too_large() {
  return amqp::channel_error(amqp::ReplyCode::precondition_failed,
                             "transaction is too large: commit more often");
}

}  // namespace

Outcome Channel::handle(const amqp::TxSelect&) {
  if (confirming_) {
    return amqp::channel_error(amqp::ReplyCode::precondition_failed,
                               "cannot switch from confirm to tx mode");
  }
  if (!tx_) tx_.emplace();
  send(amqp::TxSelectOk{});
  return {};
}

Outcome Channel::defer_publish(BlockRef block) {
  tx_->bytes += block->size() + kTransactionStepBytes;
  if (tx_->bytes > kTransactionBytesMax) return too_large();
  DeferredPublish publish;
  publish.persistent = content_.persistent();
  publish.mandatory = content_.mandatory();
  for (const broker::QueueHandle* queue : route_.queues) {
    publish.queues.push_back(queue->definition->name);
  }
  if (content_.exchange().empty()) {
    const broker::RouteInput keys{content_.routing_key(), {}, content_.extra_keys()};
    keys.for_each_key([&publish](Bytes key) {
      if (broker::is_reply_address(key)) publish.reply_addresses.emplace_back(key);
    });
  }
  publish.claim = std::move(claim_);
  claim_.reset();
  publish.block = std::move(block);
  tx_->publishes.push_back(std::move(publish));
  return {};
}

// Of the deliveries in scratch_, which are not outstanding any more.
Outcome Channel::defer_settlements(broker::Settlement how) {
  tx_->bytes += scratch_.size() * kTransactionStepBytes;
  if (tx_->bytes > kTransactionBytesMax) return too_large();
  for (const UnackedDelivery& delivery : scratch_) tx_->settled.push_back({delivery, how});
  return {};
}

Outcome Channel::handle(const amqp::TxCommit&) {
  if (!tx_) return not_transactional();
  DeferredWork work;
  std::swap(work, *tx_);
  broker::Transaction transaction;
  for (const DeferredPublish& publish : work.publishes) {
    broker::Transaction::Publish one{publish.block, publish.persistent, {}};
    for (const std::string& name : publish.queues) {
      if (const broker::QueueHandle* const queue = vhost().find_queue(name)) {
        one.queues.push_back(queue);
      }
    }
    bool reached = !one.queues.empty();
    for (const std::string& address : publish.reply_addresses) {
      const auto channel = find_reply_channel(address);
      if (!channel) continue;
      reached = true;
      broker().count_direct_reply(channel->connection.shard(), *publish.block);
      broker().send(channel->connection.shard(),
                    broker::DirectReply{{}, *channel, address, publish.block});
    }
    if (!reached && publish.mandatory) return_unroutable(publish.block);
    if (!one.queues.empty()) transaction.publishes.push_back(std::move(one));
  }
  for (const DeferredSettlement& settled : work.settled) {
    const UnackedDelivery& delivery = settled.delivery;
    if (delivery.consumer != 0) --shared_unacked_;
    transaction.settled.push_back({delivery.home, {delivery.queue, delivery.place, settled.how}});
  }
  if (!asks_.empty()) serve_asks();
  if (!session_.request_commit(number_, transaction)) send(amqp::TxCommitOk{});
  return {};
}

// What is not committed may come again.
void Channel::give_up_deferred() {
  if (!tx_) return;
  for (const DeferredPublish& publish : tx_->publishes) {
    if (publish.claim) give_up(*publish.claim);
  }
}

Outcome Channel::handle(const amqp::TxRollback&) {
  if (!tx_) return not_transactional();
  std::vector<UnackedDelivery> back;
  for (const DeferredSettlement& settled : tx_->settled) back.push_back(settled.delivery);
  if (!back.empty()) unacked_.restore(back);
  give_up_deferred();
  tx_.emplace();
  send(amqp::TxRollbackOk{});
  return {};
}

bool ConnectionSession::request_commit(std::uint16_t channel,
                                       const broker::Transaction& transaction) {
  PendingRequest pending;
  pending.what = Waiting::tx_commit;
  const broker::ReplyTo reply_to = suspend(channel, std::move(pending));
  const unsigned answers = broker().commit(transaction, reply_to);
  if (answers == 0) {
    pending_.reset();
    return false;
  }
  pending_->answers = answers;
  return true;
}

}  // namespace warren::session
