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

Link::Link(boost::asio::io_context& io, WireClient&& opened)
    : io_(io), socket_(io), in_(kReadBufferBytes) {
  std::string unread;
  const int fd = opened.release(unread);
  socket_.assign(boost::asio::ip::tcp::v4(), fd);
  WARREN_ASSERT(unread.size() <= in_.size());
  std::memcpy(in_.data(), unread.data(), unread.size());
  in_used_ = unread.size();
}

void Link::start() {
  on_bytes(0);
  read_more();
  wake();
}

void Link::begin_close() {
  if (state_ != State::open) return;
  state_ = State::closing;
  amqp::append_method_frame(out_, 0, amqp::ConnectionClose{.reply_code = 200});
  if (!writing_) write();
}

void Link::fail(std::string why) {
  if (state_ == State::closed) return;
  failure_ = std::move(why);
  state_ = State::closed;
  boost::system::error_code ignored;
  socket_.close(ignored);
}

void Link::wake() {
  if (writing_ || state_ != State::open) return;
  fill(out_);
  if (!out_.empty()) write();
}

void Link::write() {
  writing_ = true;
  std::swap(out_, in_flight_);
  out_.clear();
  boost::asio::async_write(socket_, boost::asio::buffer(in_flight_),
                           [this](const boost::system::error_code& error, std::size_t) {
                             writing_ = false;
                             if (state_ == State::closed) return;
                             if (error) return fail(fmt::format("write: {}", error.message()));
                             if (state_ == State::open) fill(out_);
                             if (!out_.empty()) write();
                           });
}

void Link::read_more() {
  if (state_ == State::closed) return;
  const auto space = boost::asio::buffer(in_.data() + in_used_, in_.size() - in_used_);
  socket_.async_read_some(space, [this](const boost::system::error_code& error, std::size_t count) {
    if (state_ == State::closed) return;
    if (error) return fail(fmt::format("read: {}", error.message()));
    on_bytes(count);
    read_more();
  });
}

void Link::on_bytes(std::size_t count) {
  in_used_ += count;
  std::size_t at = 0;
  amqp::Frame frame;
  while (state_ != State::closed) {
    const auto status = amqp::read_frame(Bytes(in_.data() + at, in_used_ - at), kFrameMax, frame);
    if (status == amqp::FrameStatus::need_more) break;
    if (status != amqp::FrameStatus::ok) return fail("the broker sent a broken frame");
    at += frame.size;
    take(frame);
  }
  in_used_ -= at;
  if (in_used_ != 0 && at != 0) std::memmove(in_.data(), in_.data() + at, in_used_);
  if (state_ == State::open) {
    on_read_done();
    wake();
  }
}

void Link::take(const amqp::Frame& frame) {
  if (frame.type == amqp::kFrameMethod && frame.payload.size() >= 4) {
    const auto class_id = load_big_endian<std::uint16_t>(frame.payload.data());
    const auto method_id = load_big_endian<std::uint16_t>(frame.payload.data() + 2);
    if (class_id == amqp::ConnectionCloseOk::kClassId &&
        method_id == amqp::ConnectionCloseOk::kMethodId) {
      state_ = State::closed;
      boost::system::error_code ignored;
      socket_.close(ignored);
      return;
    }
    const std::string closed = close_text(frame.payload);
    if (!closed.empty()) return fail(closed);
  }
  if (state_ == State::open && frame.channel != 0) on_frame(frame);
}

}  // namespace warren::perf
