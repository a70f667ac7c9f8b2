// SPDX-License-Identifier: Apache-2.0
#include "server/tools/perf/message_maker.h"

#include <algorithm>
#include <cstring>

#include "server/amqp/frame_writer.h"
#include "server/amqp/gen/any_method.gen.h"

namespace warren::perf {

MessageMaker::MessageMaker(const TrafficOptions& traffic, const std::vector<Target>& targets,
                           std::uint16_t channel, std::uint32_t frame_max)
    : channel_(channel), frame_body_max_(frame_max - amqp::kFrameOverheadBytes) {
  for (const Target& target : targets) {
    for (int priority = traffic.priorities.from; priority <= traffic.priorities.to; ++priority) {
      Head head;
      amqp::append_method_frame(head.bytes, channel,
                                amqp::BasicPublish{.exchange = target.exchange,
                                                   .routing_key = target.routing_key,
                                                   .mandatory = traffic.mandatory});
      // Behind the prefix: class id and weight.
      head.body_size_at = head.bytes.size() + amqp::kFramePrefixBytes + 4;
      amqp::append_header_frame(head.bytes, channel, amqp::BasicPublish::kClassId, 0,
                                traffic.properties.encode(traffic.persistent, priority));
      heads_.push_back(std::move(head));
    }
  }
}

std::size_t MessageMaker::size(std::size_t head, std::uint32_t body_bytes) const {
  const std::size_t frames = (body_bytes + std::size_t{frame_body_max_} - 1) / frame_body_max_;
  return heads_[head].bytes.size() + body_bytes + frames * amqp::kFrameOverheadBytes;
}

char* MessageMaker::write(char* to, std::size_t head, std::uint32_t body_bytes,
                          const Stamp& stamp) const {
  const Head& from = heads_[head];
  std::memcpy(to, from.bytes.data(), from.bytes.size());
  store_big_endian<std::uint64_t>(to + from.body_size_at, body_bytes);
  return write_body(to + from.bytes.size(), body_bytes, stamp);
}

char* MessageMaker::write_body(char* to, std::uint32_t body_bytes, const Stamp& stamp) const {
  std::uint32_t left = body_bytes;
  while (left != 0) {
    const std::uint32_t part = std::min(left, frame_body_max_);
    to = amqp::write_frame_prefix(to, amqp::kFrameBody, channel_, part);
    std::size_t stamped = 0;
    if (left == body_bytes && body_bytes >= kStampBytes && part >= kStampBytes) {
      store_stamp(to, stamp);
      stamped = kStampBytes;
    }
    std::memset(to + stamped, kFiller, part - stamped);
    to += part;
    *to++ = static_cast<char>(amqp::kFrameEnd);
    left -= part;
  }
  return to;
}

}  // namespace warren::perf
