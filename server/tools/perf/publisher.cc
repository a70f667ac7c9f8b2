// SPDX-License-Identifier: Apache-2.0
#include "server/tools/perf/publisher.h"

#include <algorithm>
#include <bit>
#include <chrono>

#include <fmt/format.h>

#include "server/amqp/properties.h"

namespace warren::perf {
namespace {

constexpr std::size_t kBatchBytes = 128_KiB;
constexpr std::chrono::milliseconds kTick(1);

}  // namespace

std::uint64_t steady_microseconds() {
  using std::chrono::microseconds;
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<microseconds>(since).count());
}

Publisher::Publisher(boost::asio::io_context& io, WireClient&& opened,
                     const ThroughputOptions& options, const std::string& routing_key)
    : Link(io, std::move(opened)), options_(options), tick_(io) {
  build_message(routing_key);
  if (options.confirm_window != 0) {
    const std::size_t ring = std::bit_ceil(std::size_t{options.confirm_window} + 1);
    answered_.resize(ring);
    sent_at_.resize(ring);
  }
}

void Publisher::build_message(const std::string& routing_key) {
  amqp::append_method_frame(message_, kLoadChannel,
                            amqp::BasicPublish{.exchange = "", .routing_key = routing_key});
  amqp::PropertiesView properties;
  properties.delivery_mode =
      options_.persistent ? amqp::kDeliveryModePersistent : amqp::kDeliveryModeTransient;
  std::string raw;
  amqp::encode_properties(raw, properties);
  const std::string body(options_.body_bytes, 'w');
  amqp::append_header_frame(message_, kLoadChannel, amqp::BasicPublish::kClassId, body.size(), raw);
  if (body.size() >= kStampBytes) stamp_at_ = message_.size() + amqp::kFramePrefixBytes;
  amqp::append_body_frames(message_, kLoadChannel, body, kFrameMax);
}

bool Publisher::finished() const {
  const std::uint64_t sent = published();
  const bool all = stopping_ || (options_.publish_count != 0 && sent >= options_.publish_count);
  return all && !writing() && (options_.confirm_window == 0 || confirmed() == sent);
}

std::uint64_t Publisher::allowed_now() {
  if (stopping_) return 0;
  const std::uint64_t sent = published();
  std::uint64_t allowed = std::max<std::uint64_t>(1, kBatchBytes / message_.size());
  if (options_.publish_count != 0) allowed = std::min(allowed, options_.publish_count - sent);
  if (options_.confirm_window != 0) {
    // By the oldest open tag, so that the rings hold every open one.
    const std::uint64_t open = sent + 1 - settled_below_;
    allowed = std::min(
        allowed, options_.confirm_window - std::min<std::uint64_t>(open, options_.confirm_window));
  }
  if (options_.rate > 0) {
    const Instant now = std::chrono::steady_clock::now();
    if (began_ == Instant{}) began_ = now;
    const double due = std::chrono::duration<double>(now - began_).count() * options_.rate + 1;
    const auto due_count = static_cast<std::uint64_t>(due);
    allowed = std::min(allowed, due_count - std::min(due_count, sent));
    schedule_tick();
  }
  return allowed;
}

void Publisher::schedule_tick() {
  if (ticking_ || stopping_) return;
  ticking_ = true;
  tick_.expires_after(kTick);
  tick_.async_wait([this](const boost::system::error_code& error) {
    ticking_ = false;
    if (!error) wake();
  });
}

void Publisher::fill(std::string& out) {
  const std::uint64_t count = allowed_now();
  if (count != 0) append_messages(out, count);
}

void Publisher::append_messages(std::string& out, std::uint64_t count) {
  std::uint64_t sent = published();
  const std::uint64_t now = options_.latency ? steady_microseconds() : 0;
  std::size_t at = out.size();
  out.resize(at + count * message_.size());
  for (std::uint64_t i = 0; i < count; ++i) {
    ++sent;
    std::memcpy(out.data() + at, message_.data(), message_.size());
    if (stamp_at_ != 0) {
      store_big_endian<std::uint64_t>(out.data() + at + stamp_at_, now);
      store_big_endian<std::uint64_t>(out.data() + at + stamp_at_ + 8, sent);
    }
    at += message_.size();
    if (!sent_at_.empty()) sent_at_[sent & (sent_at_.size() - 1)] = now;
  }
  published_.store(sent, std::memory_order_relaxed);
}

void Publisher::on_frame(const amqp::Frame& frame) {
  if (frame.type != amqp::kFrameMethod || frame.payload.size() < 13) return;
  if (load_big_endian<std::uint16_t>(frame.payload.data()) != amqp::BasicAck::kClassId) return;
  const auto method_id = load_big_endian<std::uint16_t>(frame.payload.data() + 2);
  if (method_id == amqp::BasicReturn::kMethodId) ++returned_;
  const bool ack = method_id == amqp::BasicAck::kMethodId;
  if (!ack && method_id != amqp::BasicNack::kMethodId) return;
  const auto tag = load_big_endian<std::uint64_t>(frame.payload.data() + 4);
  if (tag == 0 || tag > published()) return fail(fmt::format("confirm of unknown tag {}", tag));
  const std::uint64_t before = confirmed();
  settle(tag, (frame.payload[12] & 1) != 0);
  if (!ack) nacked_ += confirmed() - before;
}

void Publisher::settle(std::uint64_t tag, bool multiple) {
  const std::uint64_t now = options_.latency ? steady_microseconds() : 0;
  const std::size_t mask = answered_.size() - 1;
  const bool known = tag < settled_below_ || answered_[tag & mask] != 0;
  if (known && !multiple) return fail(fmt::format("tag {} was confirmed twice", tag));
  for (std::uint64_t at = multiple ? settled_below_ : tag; at <= tag; ++at) settle_one(at, now);
  while (settled_below_ <= published() && answered_[settled_below_ & mask] != 0) {
    answered_[settled_below_ & mask] = 0;
    ++settled_below_;
  }
}

void Publisher::settle_one(std::uint64_t tag, std::uint64_t now) {
  std::uint8_t& answered = answered_[tag & (answered_.size() - 1)];
  if (answered != 0) return;
  answered = 1;
  confirmed_.store(confirmed() + 1, std::memory_order_relaxed);
  if (options_.latency) {
    const std::uint64_t sent_at = sent_at_[tag & (sent_at_.size() - 1)];
    confirm_latency_.add(now - std::min(now, sent_at));
  }
}

}  // namespace warren::perf
