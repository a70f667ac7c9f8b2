// SPDX-License-Identifier: Apache-2.0
#include "server/tools/perf/publisher.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

namespace warren::perf {
namespace {

constexpr std::size_t kBatchBytes = 128_KiB;

// Publishers of one rate are spread over its interval.
double phase_of(unsigned index, unsigned publishers) {
  return static_cast<double>(index) / std::max(1U, publishers);
}

}  // namespace

Publisher::Publisher(Link& link, std::uint16_t channel, const LoadOptions& options,
                     const Part& part)
    : Role(link, channel),
      options_(options),
      first_stream_(part.first_stream),
      count_max_(part.count),
      pacer_(options.traffic.rate_each(), phase_of(part.index, options.traffic.publishing())),
      maker_(options.traffic, part.targets, channel, link.frame_max()),
      random_(part.index + 1),
      sent_by_head_(maker_.heads()) {
  if (options.traffic.confirm_window != 0) window_.emplace(options.traffic.confirm_window);
}

void Publisher::begin(Instant at) {
  began_ = at;
  link().wake();
}

void Publisher::stop() {
  stopping_ = true;
  link().wake();
}

bool Publisher::finished() const {
  const std::uint64_t sent = published();
  const bool all = stopping_ || sent >= count_max_;
  const bool answered = options_.traffic.confirm_window != 0 || options_.traffic.publish_tx != 0;
  return all && !link().writing() && (!answered || confirmed() == sent);
}

std::uint64_t Publisher::due_now() {
  const Duration elapsed = std::chrono::steady_clock::now() - *began_;
  const std::uint64_t sent = published();
  const std::uint64_t due = pacer_.due(elapsed);
  if (due <= sent) link().wake_at(*began_ + pacer_.due_at(sent));
  return due - std::min(due, sent);
}

std::uint64_t Publisher::allowed_now() {
  if (stopping_ || !began_ || committing_) return 0;
  std::uint64_t allowed = count_max_ - published();
  if (window_) allowed = std::min(allowed, window_->room());
  if (const std::uint32_t tx = options_.traffic.publish_tx; tx != 0) {
    allowed = std::min<std::uint64_t>(allowed, tx - in_tx_.size());
  }
  if (pacer_.limited() && allowed != 0) allowed = std::min(allowed, due_now());
  return allowed;
}

void Publisher::fill(std::string& out) {
  const std::uint64_t count = allowed_now();
  if (count != 0) append_messages(out, count);
  if (options_.traffic.publish_tx != 0) commit_if_due(out);
}

void Publisher::append_messages(std::string& out, std::uint64_t count) {
  const std::size_t batch = std::max<std::size_t>(1, kBatchBytes / link().role_count());
  const std::uint64_t now = steady_microseconds();
  const std::uint64_t before = published();
  const std::size_t first = out.size();
  std::uint64_t sent = before;
  std::uint64_t body_bytes = 0;
  std::size_t at = first;
  while (sent - before < count && (at == first || at - first < batch)) {
    const std::size_t head = next_head_;
    next_head_ = head + 1 == maker_.heads() ? 0 : head + 1;
    const std::uint32_t body = options_.traffic.sizes.next(random_);
    const std::size_t size = maker_.size(head, body);
    if (at + size > out.size()) {
      // As much as the rest of the batch needs, if it is of the same kind.
      const std::uint64_t more = std::min<std::uint64_t>(count - (sent - before), batch / size + 1);
      out.resize(at + more * size);
    }
    const std::uint64_t due =
        pacer_.limited() ? to_microseconds(*began_ + pacer_.due_at(sent)) : now;
    maker_.write(out.data() + at, head, body,
                 {.at_us = due,
                  .stream = first_stream_ + static_cast<std::uint32_t>(head),
                  .number = ++sent_by_head_[head]});
    at += size;
    body_bytes += body;
    ++sent;
    if (window_) window_->open(due);
    if (options_.traffic.publish_tx != 0) in_tx_.push_back(due);
  }
  out.resize(at);
  add(published_, sent - before);
  add(bytes_, body_bytes);
  if (pacer_.limited()) link().wake_at(*began_ + pacer_.due_at(sent));
}

void Publisher::commit_if_due(std::string& out) {
  if (committing_ || in_tx_.empty()) return;
  const bool last = stopping_ || published() >= count_max_;
  if (in_tx_.size() < options_.traffic.publish_tx && !last) return;
  amqp::append_method_frame(out, channel(), amqp::TxCommit{});
  committing_ = true;
}

void Publisher::on_frame(const amqp::Frame& frame) {
  if (frame.type != amqp::kFrameMethod || frame.payload.size() < 4) return;
  const auto class_id = load_big_endian<std::uint16_t>(frame.payload.data());
  const auto method_id = load_big_endian<std::uint16_t>(frame.payload.data() + 2);
  if (class_id == amqp::TxCommitOk::kClassId && method_id == amqp::TxCommitOk::kMethodId) {
    return on_commit();
  }
  if (class_id != amqp::BasicAck::kClassId) return;
  if (method_id == amqp::BasicReturn::kMethodId) ++returned_;
  const bool ack = method_id == amqp::BasicAck::kMethodId;
  if ((!ack && method_id != amqp::BasicNack::kMethodId) || frame.payload.size() < 13) return;
  const auto tag = load_big_endian<std::uint64_t>(frame.payload.data() + 4);
  on_confirm(tag, (frame.payload[12] & 1) != 0, ack);
}

void Publisher::on_confirm(std::uint64_t tag, bool multiple, bool ack) {
  if (!window_) return link().fail("a confirm, where none was asked for");
  const bool timed = options_.run.latency;
  std::uint64_t settled = 0;
  std::string wrong = window_->settle(tag, multiple, timed ? steady_microseconds() : 0,
                                      timed ? &link().lane().confirm : nullptr, settled);
  if (!wrong.empty()) return link().fail("the broker sent " + wrong);
  add(confirmed_, settled);
  if (!ack) nacked_ += settled;
}

void Publisher::on_commit() {
  if (options_.run.latency) {
    const std::uint64_t now = steady_microseconds();
    for (const std::uint64_t due : in_tx_) link().lane().confirm.add(now - std::min(now, due));
  }
  add(confirmed_, in_tx_.size());
  in_tx_.clear();
  committing_ = false;
}

}  // namespace warren::perf
