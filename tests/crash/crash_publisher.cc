// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/crash_publisher.h"

#include <thread>

#include <fmt/format.h>

namespace warren::test {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kWindow = 800;
constexpr unsigned kBatchMax = 30;
constexpr milliseconds kRetry(1);
constexpr Duration kLastConfirms = std::chrono::seconds(20);

}  // namespace

void CrashPublisher::run() {
  while (!world_.publishers_stop) {
    const std::uint16_t port = world_.port;
    if (port == 0 || !open_client(client_, port).ok() || !serve()) {
      client_.close_socket();
      std::this_thread::sleep_for(kRetry);
    }
  }
}

// One connection's life. False when it ended before the run did.
bool CrashPublisher::serve() {
  open_.clear();
  answered_.clear();
  first_open_ = 1;
  if (!client_.call<amqp::ConfirmSelectOk>(kChannel, amqp::ConfirmSelect{}).ok()) return false;
  while (!world_.publishers_stop) {
    if (open_.size() < kWindow && !publish_some()) return false;
    const milliseconds pause(open_.size() < kWindow ? random_() % 3 : 20);
    if (!read_confirms(pause)) return false;
  }
  return drain_confirms() && client_.close().ok();
}

bool CrashPublisher::publish_some() {
  const unsigned count = 1 + random_() % kBatchMax;
  for (unsigned i = 0; i < count; ++i) {
    const bool persistent =
        std::uniform_real_distribution<double>(0, 1)(random_) >= options_.transient_share;
    MessageId id;
    {
      const std::lock_guard lock(world_.mutex);
      id = world_.ledger.sent(options_.index, persistent);
    }
    open_.push_back(id);
    answered_.push_back(false);
    append_message(client_, kChannel,
                   {.exchange = options_.exchange, .routing_key = options_.routing_key}, id,
                   persistent);
  }
  return client_.flush().ok();
}

bool CrashPublisher::read_confirms(Duration wait) {
  amqp::Frame frame;
  while (true) {
    const auto got = client_.read(frame, wait);
    if (got == perf::WireClient::Got::timeout) return true;
    if (got == perf::WireClient::Got::lost) return false;
    wait = Duration::zero();
    answer_close(client_, frame);
    if (!client_.is_open()) return false;
    if (frame.type == amqp::kFrameMethod && frame.channel == kChannel) on_confirm(frame.payload);
  }
}

// The broker lives and nothing more is sent: every publish is answered now (P5).
bool CrashPublisher::drain_confirms() {
  const Instant deadline = std::chrono::steady_clock::now() + kLastConfirms;
  while (!open_.empty()) {
    if (!read_confirms(milliseconds(20))) return false;
    if (std::chrono::steady_clock::now() > deadline) {
      world_.report(fmt::format("P5: {} publishes were never answered", open_.size()));
      return true;
    }
  }
  return true;
}

void CrashPublisher::on_confirm(Bytes payload) {
  amqp::BasicAck ack;
  amqp::BasicNack nack;
  const auto method_id = load_big_endian<std::uint16_t>(payload.data() + 2);
  const bool is_ack = method_id == amqp::BasicAck::kMethodId;
  if (is_ack ? !amqp::decode_arguments(payload.substr(4), ack)
             : method_id != amqp::BasicNack::kMethodId ||
                   !amqp::decode_arguments(payload.substr(4), nack)) {
    return world_.report("the publisher got a method that is no confirm");
  }
  const std::uint64_t tag = is_ack ? ack.delivery_tag : nack.delivery_tag;
  const bool multiple = is_ack ? ack.multiple : nack.multiple;
  if (tag < first_open_ || tag >= first_open_ + open_.size()) {
    return world_.report(fmt::format("P5: confirm of tag {}, open are {} to {}", tag, first_open_,
                                     first_open_ + open_.size() - 1));
  }
  const std::lock_guard lock(world_.mutex);
  for (std::uint64_t at = multiple ? first_open_ : tag; at <= tag; ++at) {
    const std::size_t index = at - first_open_;
    if (answered_[index] && multiple) continue;
    answered_[index] = true;
    is_ack ? world_.ledger.confirmed(open_[index]) : world_.ledger.nacked(open_[index]);
  }
  while (!answered_.empty() && answered_.front()) {
    answered_.pop_front();
    open_.pop_front();
    ++first_open_;
  }
}

}  // namespace warren::test
