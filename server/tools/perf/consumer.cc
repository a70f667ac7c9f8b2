// SPDX-License-Identifier: Apache-2.0
#include "server/tools/perf/consumer.h"

#include <algorithm>

#include "server/amqp/properties.h"
#include "server/tools/perf/publisher.h"

namespace warren::perf {

Consumer::Consumer(boost::asio::io_context& io, WireClient&& opened,
                   const ThroughputOptions& options)
    : Link(io, std::move(opened)), options_(options) {}

void Consumer::on_frame(const amqp::Frame& frame) {
  if (frame.type == amqp::kFrameMethod) {
    if (frame.payload.size() < 4) return;
    const auto method_id = load_big_endian<std::uint16_t>(frame.payload.data() + 2);
    if (method_id == amqp::BasicDeliver::kMethodId) return on_deliver(frame.payload);
    if (method_id == amqp::BasicCancel::kMethodId) fail("the broker cancelled the consumer");
    return;
  }
  if (frame.type == amqp::kFrameHeader) {
    amqp::ContentHeader header;
    if (!amqp::read_content_header(frame.payload, header)) return fail("broken content header");
    body_left_ = header.body_size;
    first_body_frame_ = true;
    if (body_left_ == 0) on_body_complete();
    return;
  }
  if (frame.type != amqp::kFrameBody) return;
  if (first_body_frame_ && options_.latency && frame.payload.size() >= kStampBytes) {
    sent_at_ = load_big_endian<std::uint64_t>(frame.payload.data());
  }
  first_body_frame_ = false;
  if (frame.payload.size() > body_left_) return fail("more body than announced");
  body_left_ -= frame.payload.size();
  if (body_left_ == 0) on_body_complete();
}

void Consumer::on_deliver(Bytes payload) {
  // Only what is needed: the tag lies behind the consumer tag, a short string.
  const std::size_t tag_at = 5 + static_cast<std::uint8_t>(payload.size() > 4 ? payload[4] : 0);
  if (payload.size() < tag_at + 9) return fail("broken basic.deliver");
  tag_ = load_big_endian<std::uint64_t>(payload.data() + tag_at);
  if ((payload[tag_at + 8] & 1) != 0) ++redelivered_;
}

void Consumer::on_body_complete() {
  whole_tag_ = tag_;
  if (options_.consume_count != 0 && counted_ >= options_.consume_count) return;
  ++counted_;
  if (sent_at_ != 0) {
    if (read_at_ == 0) read_at_ = steady_microseconds();
    latency_.add(read_at_ - std::min(read_at_, sent_at_));
    sent_at_ = 0;
  }
}

void Consumer::on_read_done() {
  consumed_.store(counted_, std::memory_order_relaxed);
  read_at_ = 0;
}

void Consumer::fill(std::string& out) {
  if (options_.ack_batch == 0) return;
  const bool last = options_.consume_count != 0 && counted_ >= options_.consume_count;
  // Tags are dense from 1: those beyond the wanted count stay unacknowledged and go back.
  const std::uint64_t upto = last ? std::min(whole_tag_, options_.consume_count) : whole_tag_;
  const std::uint64_t batch = options_.prefetch == 0
                                  ? options_.ack_batch
                                  : std::min<std::uint32_t>(options_.ack_batch, options_.prefetch);
  if (upto <= acked_tag_ || (upto - acked_tag_ < batch && !last)) return;
  amqp::append_method_frame(out, kLoadChannel,
                            amqp::BasicAck{.delivery_tag = upto, .multiple = true});
  acked_tag_ = upto;
}

}  // namespace warren::perf
