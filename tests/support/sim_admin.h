// SPDX-License-Identifier: Apache-2.0
// An administrator of a simulated broker: asks the control shard and keeps its answer.
#pragma once

#include <optional>

#include "tests/support/sim_broker.h"

namespace warren::test {

// Dies with the broker's process: not usable over SimBroker::crash() or stop().
class SimAdmin final : public broker::SessionSink {
 public:
  SimAdmin(SimBroker& broker, ShardIndex shard)
      : broker_(broker), shard_(broker.shard(shard)), id_(shard_.new_connection_id()) {
    shard_.add_session(*this);
  }
  ~SimAdmin() override { shard_.remove_session(*this); }

  // The error; nothing: it is done, durable and in force on every shard.
  template <class Request>
  std::optional<amqp::AmqpError> ask(Request request) {
    reply_.reset();
    request.reply_to = broker::ReplyTo{id_, 1};
    shard_.send(broker::BrokerShard::kControlShard, std::move(request));
    broker_.settle();
    WARREN_ASSERT(reply_.has_value());
    return reply_->error;
  }

  broker::ConnectionId connection_id() const override { return id_; }
  void on_reply(broker::Reply& reply) override { reply_ = std::move(reply); }
  void on_delivery(const broker::Delivery&) override {}
  void on_confirmed(std::uint16_t, std::uint64_t) override {}
  void on_refused(std::uint16_t, std::uint64_t) override {}
  void on_consumer_timed_out(const broker::ConsumerTimedOut&) override {}
  void on_consumer_cancelled(broker::ConsumerNumber) override {}
  void on_ask(const broker::Ask&) override {}
  void on_grant_return(const broker::GrantReturn&) override {}
  bool on_direct_reply(const broker::DirectReply&) override { return false; }
  void on_turn_end() override {}

 private:
  SimBroker& broker_;
  broker::BrokerShard& shard_;
  broker::ConnectionId id_;
  std::optional<broker::Reply> reply_;
};

}  // namespace warren::test
