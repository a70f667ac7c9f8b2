// SPDX-License-Identifier: Apache-2.0
#include "server/tools/perf/consumer.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "server/amqp/properties.h"

namespace warren::perf {
namespace {

constexpr std::chrono::milliseconds kEmptyPause(1);   // before an empty queue is asked again
constexpr std::chrono::milliseconds kCatchUpMax(10);  // what a slow consumer may be behind

bool all_filler(Bytes bytes) {
  // As memcmp with itself, one byte apart: no second buffer.
  return bytes.empty() ||
         (bytes[0] == kFiller && bytes.substr(1) == bytes.substr(0, bytes.size() - 1));
}

}  // namespace

Consumer::Consumer(Link& link, std::uint16_t channel, const LoadOptions& options, Part part)
    : Role(link, channel), options_(options), part_(std::move(part)) {}

void Consumer::stop() {
  stopping_ = true;
  link().wake();
}

void Consumer::on_frame(const amqp::Frame& frame) {
  if (frame.type == amqp::kFrameMethod && frame.payload.size() >= 4) {
    on_method(frame.payload);
  } else if (frame.type == amqp::kFrameHeader) {
    on_header(frame.payload);
  } else if (frame.type == amqp::kFrameBody) {
    on_body(frame.payload);
  }
}

void Consumer::on_method(Bytes payload) {
  const auto class_id = load_big_endian<std::uint16_t>(payload.data());
  const auto method_id = load_big_endian<std::uint16_t>(payload.data() + 2);
  if (class_id == amqp::TxCommitOk::kClassId && method_id == amqp::TxCommitOk::kMethodId) {
    committing_ = false;
    return;
  }
  if (class_id != amqp::BasicDeliver::kClassId) return;
  if (method_id == amqp::BasicDeliver::kMethodId) return on_deliver(payload);
  if (method_id == amqp::BasicGetOk::kMethodId) return on_get_ok(payload);
  if (method_id == amqp::BasicGetEmpty::kMethodId) {
    ++empty_gets_;
    getting_ = false;
    get_at_ = std::chrono::steady_clock::now() + kEmptyPause;
  } else if (method_id == amqp::BasicConsumeOk::kMethodId) {
    if (++confirmed_ == part_.names.size()) ready_.store(true, std::memory_order_release);
  } else if (method_id == amqp::BasicCancel::kMethodId) {
    link().fail("the broker cancelled the consumer: was its queue deleted?");
  }
}

void Consumer::on_deliver(Bytes payload) {
  // Only what is needed: the tag lies behind the consumer tag, a short string.
  const std::size_t name_size = static_cast<std::uint8_t>(payload.size() > 4 ? payload[4] : 0);
  const std::size_t tag_at = 5 + name_size;
  if (payload.size() < tag_at + 9) return link().fail("the broker sent a broken basic.deliver");
  if (part_.names.size() > 1) {
    const char* const name = payload.data() + 5;
    if (std::from_chars(name, name + name_size, at_queue_).ec != std::errc{} ||
        at_queue_ >= part_.names.size()) {
      return link().fail("the broker delivered to an unknown consumer");
    }
  }
  tag_ = load_big_endian<std::uint64_t>(payload.data() + tag_at);
  flagged_ = (payload[tag_at + 8] & 1) != 0;
}

void Consumer::on_get_ok(Bytes payload) {
  if (payload.size() < 13) return link().fail("the broker sent a broken basic.get-ok");
  tag_ = load_big_endian<std::uint64_t>(payload.data() + 4);
  flagged_ = (payload[12] & 1) != 0;
}

void Consumer::on_header(Bytes payload) {
  amqp::ContentHeader header;
  if (!amqp::read_content_header(payload, header)) {
    return link().fail("the broker sent a broken content header");
  }
  body_size_ = body_left_ = header.body_size;
  stamp_ = {};
  sound_ = true;
  if (body_left_ == 0) on_complete();
}

void Consumer::on_body(Bytes payload) {
  if (payload.size() > body_left_) return link().fail("the broker sent more body than announced");
  std::size_t stamped = 0;
  if (body_left_ == body_size_ && payload.size() >= kStampBytes) {
    stamp_ = load_stamp(payload.data());
    stamped = kStampBytes;
  }
  if (options_.run.verify && !all_filler(payload.substr(stamped))) sound_ = false;
  body_left_ -= payload.size();
  if (body_left_ == 0) on_complete();
}

void Consumer::on_complete() {
  getting_ = false;
  if (stopping_) return;
  if (part_.left != nullptr && part_.left->fetch_sub(1, std::memory_order_relaxed) <= 0) return;
  counted_tag_ = tag_;
  ++counted_;
  counted_bytes_ += body_size_;
  if (flagged_) ++redelivered_;
  if (options_.run.verify) check();
  if (options_.run.latency && stamp_.at_us != 0 && stamp_.at_us >= began_us_) {
    if (read_at_ == 0) read_at_ = steady_microseconds();
    link().lane().delivery.add(read_at_ - std::min(read_at_, stamp_.at_us));
  }
  if (options_.traffic.consumer_rate > 0) slow_down();
}

void Consumer::check() {
  if (stamp_.at_us != 0 && stamp_.at_us < began_us_) return verifier_.see_foreign();
  if (!sound_ || body_size_ < kStampBytes) return verifier_.see_damaged();
  verifier_.see(part_.queues[at_queue_], stamp_, flagged_);
}

void Consumer::slow_down() {
  const Instant now = std::chrono::steady_clock::now();
  const std::chrono::duration<double> interval(1 / options_.traffic.consumer_rate);
  next_at_ = std::max(next_at_, now - kCatchUpMax) + std::chrono::duration_cast<Duration>(interval);
  if (next_at_ > now) link().pause_until(next_at_);
}

void Consumer::on_read_done() {
  consumed_.store(counted_, std::memory_order_relaxed);
  bytes_.store(counted_bytes_, std::memory_order_relaxed);
  read_at_ = 0;
}

void Consumer::fill(std::string& out) {
  if (options_.traffic.poll) {
    get(out);
  } else if (subscribed_ == 0) {
    subscribe(out);
  }
  if (options_.traffic.ack_batch != 0) acknowledge(out);
}

void Consumer::subscribe(std::string& out) {
  for (const std::string& name : part_.names) {
    amqp::append_method_frame(out, channel(),
                              amqp::BasicConsume{.queue = name,
                                                 .consumer_tag = std::to_string(subscribed_),
                                                 .no_ack = options_.traffic.ack_batch == 0,
                                                 .arguments = part_.arguments});
    ++subscribed_;
  }
}

void Consumer::get(std::string& out) {
  ready_.store(true, std::memory_order_release);
  if (getting_ || stopping_ || committing_) return;
  if (part_.left != nullptr && part_.left->load(std::memory_order_relaxed) <= 0) return;
  if (get_at_ > std::chrono::steady_clock::now()) return link().wake_at(get_at_);
  at_queue_ = (at_queue_ + 1) % part_.names.size();
  amqp::append_method_frame(
      out, channel(),
      amqp::BasicGet{.queue = part_.names[at_queue_], .no_ack = options_.traffic.ack_batch == 0});
  getting_ = true;
}

void Consumer::acknowledge(std::string& out) {
  if (committing_) return;
  const TrafficOptions& traffic = options_.traffic;
  // Messages beyond the wanted count stay unacknowledged and go back.
  const bool last =
      stopping_ || (part_.left != nullptr && part_.left->load(std::memory_order_relaxed) <= 0);
  const std::uint64_t batch = traffic.prefetch == 0
                                  ? traffic.ack_batch
                                  : std::min<std::uint32_t>(traffic.ack_batch, traffic.prefetch);
  if (counted_tag_ > acked_tag_ && (counted_tag_ - acked_tag_ >= batch || last)) {
    amqp::append_method_frame(out, channel(),
                              amqp::BasicAck{.delivery_tag = counted_tag_, .multiple = true});
    in_tx_ += counted_tag_ - acked_tag_;
    acked_tag_ = counted_tag_;
  }
  if (traffic.ack_tx == 0 || in_tx_ == 0) return;
  // What is acknowledged and not committed still takes room of the prefetch.
  const std::uint32_t tx =
      traffic.prefetch == 0 ? traffic.ack_tx : std::min<std::uint32_t>(traffic.ack_tx, batch);
  if (in_tx_ < tx && !last) return;
  amqp::append_method_frame(out, channel(), amqp::TxCommit{});
  in_tx_ = 0;
  committing_ = true;
}

}  // namespace warren::perf
