// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/crash_consumer.h"

#include <thread>

#include <fmt/format.h>

#include "server/amqp/properties.h"

namespace warren::test {
namespace {

using std::chrono::milliseconds;
using Got = perf::WireClient::Got;

constexpr milliseconds kRetry(1);
constexpr std::uint16_t kPrefetchMax = 300;
constexpr std::uint16_t kDrainPrefetch = 500;
constexpr unsigned kRequeueOneIn = 100;  // of the times something is settled
constexpr unsigned kHangUpOneIn = 400;   // the same
constexpr unsigned kFenceOneIn = 4;      // the same, if none is under way
constexpr std::uint16_t kFenceChannel = 2;
constexpr Duration kDrainLimit = std::chrono::seconds(120);

}  // namespace

void CrashConsumer::run() {
  while (!world_.consumers_stop) {
    const std::uint16_t port = world_.port;
    if (port == 0 || !open_client(client_, port).ok()) {
      std::this_thread::sleep_for(kRetry);
      continue;
    }
    if (consume(static_cast<std::uint16_t>(1 + random_() % kPrefetchMax)) && serve() && ack_all()) {
      (void)client_.close();
    }
    end();
  }
}

bool CrashConsumer::consume(std::uint16_t prefetch) {
  unacked_.clear();
  fence_.reset();
  {
    const std::lock_guard lock(world_.mutex);
    consumer_ = world_.ledger.consumer_opened(options_.index);
  }
  return client_.call<amqp::ChannelOpenOk>(kFenceChannel, amqp::ChannelOpen{}).ok() &&
         client_.call<amqp::TxSelectOk>(kFenceChannel, amqp::TxSelect{}).ok() &&
         client_.call<amqp::BasicQosOk>(kChannel, amqp::BasicQos{.prefetch_count = prefetch})
             .ok() &&
         client_
             .call<amqp::BasicConsumeOk>(
                 kChannel, amqp::BasicConsume{.queue = options_.queue, .consumer_tag = "c"})
             .ok();
}

void CrashConsumer::end() {
  client_.close_socket();
  const std::lock_guard lock(world_.mutex);
  world_.ledger.consumer_ended(consumer_);
}

// True when the run ends, false when the connection did.
bool CrashConsumer::serve() {
  while (!world_.consumers_stop) {
    if (!read_some(milliseconds(10)) || !settle_some()) return false;
  }
  return true;
}

bool CrashConsumer::read_some(Duration wait) {
  amqp::Frame frame;
  for (int i = 0; i < 300; ++i) {
    const Got got = client_.read(frame, wait);
    if (got == Got::timeout) return true;
    if (got == Got::lost) return false;
    wait = Duration::zero();
    answer_close(client_, frame);
    if (!client_.is_open()) return false;
    if (frame.channel == kChannel) on_frame(frame);
    if (frame.channel == kFenceChannel) on_fence_answer(frame.payload);
  }
  return true;
}

void CrashConsumer::on_frame(const amqp::Frame& frame) {
  if (frame.type == amqp::kFrameMethod) {
    amqp::BasicDeliver deliver;
    if (!amqp::decode_arguments(frame.payload.substr(4), deliver)) {
      return world_.report("the consumer got a method that is no delivery");
    }
    tag_ = deliver.delivery_tag;
    redelivered_ = deliver.redelivered;
  } else if (frame.type == amqp::kFrameHeader) {
    amqp::ContentHeader header;
    if (!amqp::read_content_header(frame.payload, header)) {
      return world_.report("R5: a content header does not parse");
    }
    body_size_ = header.body_size;
    body_.clear();
    if (body_size_ == 0) on_whole_message();
  } else if (frame.type == amqp::kFrameBody) {
    body_.append(frame.payload);
    if (body_.size() >= body_size_) on_whole_message();
  }
}

void CrashConsumer::on_whole_message() {
  Delivery delivery{.tag = tag_, .id = {}};
  if (!read_body(body_, delivery.id)) {
    return world_.report(fmt::format("R5: a body of {} bytes in '{}' fails its checksum",
                                     body_.size(), options_.queue));
  }
  const std::lock_guard lock(world_.mutex);
  world_.ledger.delivered(consumer_, delivery.id, redelivered_);
  unacked_.push_back(delivery);
}

bool CrashConsumer::settle_some() {
  if (unacked_.empty()) return true;
  if (random_() % kHangUpOneIn == 0) return false;
  if (random_() % kRequeueOneIn == 0) {
    const Delivery last = unacked_.back();
    unacked_.pop_back();
    client_.append(kChannel, amqp::BasicNack{.delivery_tag = last.tag, .requeue = true});
    if (unacked_.empty()) return client_.flush().ok();
  }
  if (random_() % 3 == 0) return client_.flush().ok();
  const std::size_t count = 1 + random_() % unacked_.size();
  const bool multiple = random_() % 2 == 0;
  for (std::size_t i = 0; i < count; ++i) {
    const Delivery delivery = unacked_.front();
    unacked_.pop_front();
    if (!multiple || i + 1 == count) {
      client_.append(kChannel, amqp::BasicAck{.delivery_tag = delivery.tag, .multiple = multiple});
    }
    const std::lock_guard lock(world_.mutex);
    world_.ledger.ack_sent(consumer_, delivery.id);
  }
  if (!fence_ && random_() % kFenceOneIn == 0) return send_fence();
  return client_.flush().ok();
}

bool CrashConsumer::send_fence() {
  Fence fence;
  {
    const std::lock_guard lock(world_.mutex);
    fence.id = world_.ledger.sent(options_.fences, true);
    fence.acks = world_.ledger.acks_sent(consumer_);
  }
  append_message(client_, kFenceChannel, {.routing_key = options_.queue}, fence.id, true);
  client_.append(kFenceChannel, amqp::TxCommit{});
  fence_ = fence;
  return client_.flush().ok();
}

void CrashConsumer::on_fence_answer(Bytes payload) {
  const auto class_id = load_big_endian<std::uint16_t>(payload.data());
  const auto method_id = load_big_endian<std::uint16_t>(payload.data() + 2);
  if (!fence_ || class_id != amqp::TxCommitOk::kClassId ||
      method_id != amqp::TxCommitOk::kMethodId) {
    return world_.report("the consumer got a method that is no tx.commit-ok");
  }
  const std::lock_guard lock(world_.mutex);
  world_.ledger.confirmed(fence_->id);
  world_.ledger.acks_are_firm(consumer_, fence_->acks);
  fence_.reset();
}

bool CrashConsumer::ack_all() {
  if (unacked_.empty()) return true;
  client_.append(kChannel, amqp::BasicAck{.delivery_tag = unacked_.back().tag, .multiple = true});
  const std::lock_guard lock(world_.mutex);
  for (const Delivery& delivery : unacked_) world_.ledger.ack_sent(consumer_, delivery.id);
  unacked_.clear();
  return client_.flush().ok();
}

std::optional<std::uint32_t> CrashConsumer::ready_count() {
  perf::WireClient client;
  if (!open_client(client, world_.port).ok()) return std::nullopt;
  const auto declared = client.call<amqp::QueueDeclareOk>(
      kChannel, amqp::QueueDeclare{.queue = options_.queue, .passive = true});
  if (!declared.ok()) return std::nullopt;
  return declared->message_count;
}

Status CrashConsumer::drain() {
  const Instant deadline = std::chrono::steady_clock::now() + kDrainLimit;
  const auto failed = [this](std::string_view why) {
    return Error{Errc::internal, fmt::format("drain of '{}': {}", options_.queue, why)};
  };
  WARREN_CHECK(open_client(client_, world_.port));
  if (!consume(kDrainPrefetch)) return failed(client_.why());
  while (std::chrono::steady_clock::now() < deadline) {
    if (!read_some(milliseconds(100))) return failed(client_.why());
    if (!unacked_.empty()) {
      if (!ack_all()) return failed(client_.why());
      continue;
    }
    const std::optional<std::uint32_t> ready = ready_count();
    if (!ready) return failed("the queue cannot be asked");
    if (*ready == 0) return client_.close();
  }
  return failed("not empty in time");
}

}  // namespace warren::test
