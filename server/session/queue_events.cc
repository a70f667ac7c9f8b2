// SPDX-License-Identifier: Apache-2.0
// What queues say to a connection beside deliveries: refusals and time-outs.
#include <fmt/format.h>

#include "server/session/channel_send.h"

namespace warren::session {

void ConnectionSession::on_refused(std::uint16_t number, std::uint64_t publish_seq) {
  Channel* const channel = find_channel(number);
  if (channel == nullptr || channel->closing()) return;
  channel->on_refused(publish_seq);
  mark_confirms(number);
}

void ConnectionSession::on_consumer_timed_out(const broker::ConsumerTimedOut& timed_out) {
  ConsumerRecord* const consumer = find_consumer(timed_out.consumer);
  if (consumer == nullptr) return;
  Channel* const channel = find_channel(consumer->channel);
  if (channel != nullptr && !channel->closing()) {
    channel->on_consumer_timed_out(timed_out.timeout_ms);
  }
}

void Channel::on_consumer_timed_out(std::int64_t timeout_ms) {
  close_with(amqp::channel_error(
      amqp::ReplyCode::precondition_failed,
      fmt::format("delivery acknowledgement on channel {} timed out. Timeout value used: {} ms. "
                  "This timeout value can be configured, see consumers doc guide to learn more",
                  number_, timeout_ms)));
}

}  // namespace warren::session
