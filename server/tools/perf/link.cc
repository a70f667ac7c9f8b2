// SPDX-License-Identifier: Apache-2.0
#include "server/tools/perf/link.h"

#include <cstring>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>

namespace warren::perf {
namespace {

constexpr std::size_t kReadBufferBytes = 512_KiB;
static_assert(kReadBufferBytes / 2 > kFrameMax);

}  // namespace

Link::Link(LaneShared& lane, WireClient&& opened, std::string name)
    : lane_(lane),
      name_(std::move(name)),
      socket_(lane.io),
      wake_timer_(lane.io),
      pause_timer_(lane.io),
      frame_max_(opened.frame_max()),
      in_(std::make_unique_for_overwrite<char[]>(kReadBufferBytes)) {
  std::string unread;
  const int fd = opened.release(unread);
  socket_.assign(boost::asio::ip::tcp::v4(), fd);
  WARREN_ASSERT(unread.size() <= kReadBufferBytes);
  std::memcpy(in_.get(), unread.data(), unread.size());
  in_used_ = unread.size();
}

Link::~Link() = default;

void Link::start() {
  on_bytes(0);
  read_more();
  wake();
}

void Link::begin_close() {
  if (state_ != State::open) return;
  fill();  // the last acks
  state_ = State::closing;
  pause_timer_.cancel();  // goes on at once
  amqp::append_method_frame(out_, 0, amqp::ConnectionClose{.reply_code = 200});
  if (!writing_) write();
}

void Link::close_socket() {
  state_ = State::closed;
  boost::system::error_code ignored;
  socket_.close(ignored);
  wake_timer_.cancel();
  pause_timer_.cancel();
}

void Link::fail(std::string why) {
  if (state_ == State::closed) return;
  failure_ = fmt::format("{}: {}", name_, why);
  close_socket();
  lane_.failed.store(true, std::memory_order_release);
}

void Link::fill() {
  for (const auto& role : roles_) role->fill(out_);
}

void Link::wake() {
  if (writing_ || state_ != State::open) return;
  fill();
  if (!out_.empty()) write();
}

void Link::wake_at(Instant at) {
  if (state_ != State::open || wakes_at_ <= at) return;
  wakes_at_ = at;
  wake_timer_.expires_at(at);
  wake_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;  // set anew, or closed
    wakes_at_ = Instant::max();
    wake();
  });
}

void Link::pause_until(Instant at) {
  if (state_ == State::open && at > paused_until_) paused_until_ = at;
}

bool Link::pausing() const {
  return paused_until_ != Instant{} && state_ == State::open &&
         std::chrono::steady_clock::now() < paused_until_;
}

void Link::write() {
  writing_ = true;
  std::swap(out_, in_flight_);
  out_.clear();
  boost::asio::async_write(socket_, boost::asio::buffer(in_flight_),
                           [this](const boost::system::error_code& error, std::size_t) {
                             writing_ = false;
                             if (state_ == State::closed) return;
                             // Why the broker hung up is in what it sent before: read that first.
                             if (error) return;
                             if (state_ == State::open) fill();
                             if (!out_.empty()) write();
                           });
}

void Link::read_more() {
  if (state_ == State::closed) return;
  if (held_) {
    pause_timer_.expires_at(paused_until_);
    pause_timer_.async_wait([this](const boost::system::error_code&) {
      if (state_ == State::closed) return;
      on_bytes(0);
      read_more();
    });
    return;
  }
  const auto space = boost::asio::buffer(in_.get() + in_used_, kReadBufferBytes - in_used_);
  socket_.async_read_some(space, [this](const boost::system::error_code& error, std::size_t count) {
    if (state_ == State::closed) return;
    if (error) return fail(fmt::format("the connection broke: {}", error.message()));
    on_bytes(count);
    read_more();
  });
}

void Link::on_bytes(std::size_t count) {
  in_used_ += count;
  std::size_t at = 0;
  amqp::Frame frame;
  held_ = false;
  while (state_ != State::closed) {
    held_ = pausing();
    if (held_) break;
    const auto status = amqp::read_frame(Bytes(in_.get() + at, in_used_ - at), kFrameMax, frame);
    if (status == amqp::FrameStatus::need_more) break;
    if (status != amqp::FrameStatus::ok) return fail("the broker sent a broken frame");
    at += frame.size;
    take(frame);
  }
  in_used_ -= at;
  if (in_used_ != 0 && at != 0) std::memmove(in_.get(), in_.get() + at, in_used_);
  if (state_ == State::open) {
    for (const auto& role : roles_) role->on_read_done();
    wake();
  }
}

void Link::take(const amqp::Frame& frame) {
  if (frame.type == amqp::kFrameMethod && frame.payload.size() >= 4) {
    const auto class_id = load_big_endian<std::uint16_t>(frame.payload.data());
    const auto method_id = load_big_endian<std::uint16_t>(frame.payload.data() + 2);
    if (class_id == amqp::ConnectionCloseOk::kClassId &&
        method_id == amqp::ConnectionCloseOk::kMethodId) {
      return close_socket();
    }
    const std::string closed = close_text(frame.payload);
    if (!closed.empty()) return fail(closed);
  }
  if (state_ == State::open && frame.channel != 0 && frame.channel <= roles_.size()) {
    roles_[frame.channel - 1]->on_frame(frame);
  }
}

}  // namespace warren::perf
