// SPDX-License-Identifier: Apache-2.0
#include "server/tools/perf/wire_client.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace warren::perf {
namespace {

constexpr std::size_t kReadBytes = std::size_t{64} << 10;
// An answer that takes longer waits for something else than a thread to wake.
constexpr std::chrono::milliseconds kBusyAtMost(1);

std::string errno_text(std::string_view what) {
  return fmt::format("{}: {}", what, std::strerror(errno));
}

template <class M>
bool is(Bytes payload) {
  return payload.size() >= 4 && load_big_endian<std::uint16_t>(payload.data()) == M::kClassId &&
         load_big_endian<std::uint16_t>(payload.data() + 2) == M::kMethodId;
}

// What a peer says goes to a terminal.
std::string without_controls(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    out += byte < 0x20 || byte == 0x7F ? fmt::format("\\x{:02x}", byte) : std::string(1, c);
  }
  return out;
}

}  // namespace

std::string close_text(Bytes payload) {
  if (amqp::ConnectionClose close;
      is<amqp::ConnectionClose>(payload) && amqp::decode_arguments(payload.substr(4), close)) {
    return fmt::format("connection closed: {} {}", close.reply_code,
                       without_controls(close.reply_text.value));
  }
  if (amqp::ChannelClose close;
      is<amqp::ChannelClose>(payload) && amqp::decode_arguments(payload.substr(4), close)) {
    return fmt::format("channel closed: {} {}", close.reply_code,
                       without_controls(close.reply_text.value));
  }
  return {};
}

WireClient::WireClient(WireClient&& other) noexcept {
  *this = std::move(other);
}

WireClient& WireClient::operator=(WireClient&& other) noexcept {
  if (this == &other) return *this;
  close_socket();
  waiting_ = other.waiting_;
  fd_ = std::exchange(other.fd_, -1);
  in_ = std::move(other.in_);
  at_ = std::exchange(other.at_, 0);
  out_ = std::move(other.out_);
  why_ = std::move(other.why_);
  frame_max_ = other.frame_max_;
  return *this;
}

WireClient::~WireClient() {
  close_socket();
}

void WireClient::close_socket() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Error WireClient::lost(std::string why) {
  why_ = std::move(why);
  close_socket();
  return Error{Errc::io_error, why_};
}

Status WireClient::open(const Uri& uri, Duration timeout) {
  close_socket();
  in_.clear();
  out_.clear();
  at_ = 0;
  WARREN_CHECK(connect_socket(uri, timeout));
  return handshake(uri, timeout);
}

Status WireClient::connect_socket(const Uri& uri, Duration timeout) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(uri.port);
  if (const int code = ::getaddrinfo(uri.host.c_str(), port.c_str(), &hints, &found); code != 0) {
    return lost(fmt::format("{}: {}", uri.host, ::gai_strerror(code)));
  }
  std::string why = "no address";
  for (const addrinfo* at = found; at != nullptr && fd_ < 0; at = at->ai_next) {
    fd_ = ::socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, at->ai_protocol);
    if (fd_ < 0) continue;
    const int done = ::connect(fd_, at->ai_addr, at->ai_addrlen);
    int error = done == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
      error = ETIMEDOUT;
      socklen_t size = sizeof(error);
      if (wait_for(POLLOUT, std::chrono::steady_clock::now() + timeout)) {
        ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
      }
    }
    if (error == 0) break;
    why = std::strerror(error);
    close_socket();
  }
  ::freeaddrinfo(found);
  if (fd_ < 0) return lost(fmt::format("cannot connect to {}:{}: {}", uri.host, uri.port, why));
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return {};
}

Status WireClient::handshake(const Uri& uri, Duration timeout) {
  out_.append(amqp::kProtocolHeader);
  WARREN_TRY([[maybe_unused]] const Bytes start,
             await(0, amqp::ConnectionStart::kClassId, amqp::ConnectionStart::kMethodId, timeout));
  amqp::FieldTable capabilities;
  capabilities.set("authentication_failure_close", true);
  capabilities.set("basic.nack", true);
  capabilities.set("consumer_cancel_notify", true);
  capabilities.set("publisher_confirms", true);
  amqp::FieldTable properties;
  properties.set("product", std::string("warren-perf"));
  properties.set("capabilities", std::move(capabilities));
  std::string table;
  amqp::encode_table(table, properties);
  std::string response;
  response.append(1, '\0').append(uri.user).append(1, '\0').append(uri.password);
  append(0, amqp::ConnectionStartOk{.client_properties = table,
                                    .mechanism = "PLAIN",
                                    .response = response,
                                    .locale = "en_US"});
  WARREN_TRY(const Bytes payload,
             await(0, amqp::ConnectionTune::kClassId, amqp::ConnectionTune::kMethodId, timeout));
  amqp::ConnectionTune tune;
  if (!amqp::decode_arguments(payload.substr(4), tune)) return lost("tune does not parse");
  frame_max_ = tune.frame_max == 0 ? kFrameMax : std::min(tune.frame_max, kFrameMax);
  append(0, amqp::ConnectionTuneOk{
                .channel_max = tune.channel_max, .frame_max = frame_max_, .heartbeat = 0});
  WARREN_TRY([[maybe_unused]] const auto opened,
             (call<amqp::ConnectionOpenOk>(0, amqp::ConnectionOpen{.virtual_host = uri.vhost})));
  return {};
}

Status WireClient::close() {
  WARREN_TRY([[maybe_unused]] const auto closed,
             (call<amqp::ConnectionCloseOk>(0, amqp::ConnectionClose{.reply_code = 200})));
  close_socket();
  return {};
}

bool WireClient::wait_for(short events, Instant deadline) {
  using std::chrono::milliseconds;
  const Instant began = std::chrono::steady_clock::now();
  const Instant busy_until = waiting_ == Waiting::busy ? began + kBusyAtMost : began;
  while (true) {
    const Instant now = std::chrono::steady_clock::now();
    const auto left = std::chrono::ceil<milliseconds>(deadline - now);
    const bool asleep = now >= busy_until;
    pollfd wanted{.fd = fd_, .events = events, .revents = 0};
    const int wait = asleep ? static_cast<int>(std::max<std::int64_t>(0, left.count())) : 0;
    const int ready = ::poll(&wanted, 1, wait);
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
    if (ready == 0 && (asleep || now >= deadline)) return false;
  }
}

Status WireClient::flush(Duration timeout) {
  const Instant deadline = std::chrono::steady_clock::now() + timeout;
  std::size_t sent = 0;
  while (fd_ >= 0 && sent < out_.size()) {
    const ssize_t done = ::send(fd_, out_.data() + sent, out_.size() - sent, MSG_NOSIGNAL);
    if (done >= 0) {
      sent += static_cast<std::size_t>(done);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (!wait_for(POLLOUT, deadline)) return lost("the broker reads nothing");
    } else if (errno != EINTR) {
      return lost(errno_text("send"));
    }
  }
  out_.clear();
  if (fd_ < 0) return Error{Errc::io_error, why_};
  return {};
}

WireClient::Got WireClient::read(amqp::Frame& frame, Duration wait) {
  const Instant deadline = std::chrono::steady_clock::now() + wait;
  while (fd_ >= 0) {
    const Bytes unread = Bytes(in_).substr(at_);
    const amqp::FrameStatus status = amqp::read_frame(unread, kFrameMax, frame);
    if (status == amqp::FrameStatus::ok) {
      at_ += frame.size;
      return Got::frame;
    }
    if (status != amqp::FrameStatus::need_more) {
      (void)lost("the broker sent a broken frame");
      return Got::lost;
    }
    in_.erase(0, std::exchange(at_, 0));
    // Not straight into in_: of thousands of clients each would keep so much.
    char buffer[kReadBytes];
    const ssize_t done = ::recv(fd_, buffer, kReadBytes, 0);
    const int error = errno;
    if (done > 0) {
      in_.append(buffer, static_cast<std::size_t>(done));
      continue;
    }
    if (done == 0) {
      (void)lost("the broker closed the socket");
      return Got::lost;
    }
    if (error == EAGAIN || error == EWOULDBLOCK) {
      if (!wait_for(POLLIN, deadline)) return Got::timeout;
    } else if (error != EINTR) {
      (void)lost(fmt::format("receive: {}", std::strerror(error)));
      return Got::lost;
    }
  }
  return Got::lost;
}

Result<Bytes> WireClient::await(std::uint16_t channel, std::uint16_t class_id,
                                std::uint16_t method_id, Duration timeout) {
  WARREN_CHECK(flush(timeout));
  const Instant deadline = std::chrono::steady_clock::now() + timeout;
  amqp::Frame frame;
  while (true) {
    const Got got = read(frame, deadline - std::chrono::steady_clock::now());
    if (got == Got::timeout) {
      return lost(fmt::format("no {} in time", amqp::method_name(class_id, method_id)));
    }
    if (got == Got::lost) return Error{Errc::io_error, why_};
    if (frame.type != amqp::kFrameMethod || frame.payload.size() < 4) continue;
    if (frame.channel == channel &&
        load_big_endian<std::uint16_t>(frame.payload.data()) == class_id &&
        load_big_endian<std::uint16_t>(frame.payload.data() + 2) == method_id) {
      return frame.payload;
    }
    const std::string closed = close_text(frame.payload);
    if (!closed.empty()) return lost(closed);
  }
}

int WireClient::release(std::string& unread) {
  unread = in_.substr(at_);
  in_.clear();
  at_ = 0;
  return std::exchange(fd_, -1);
}

}  // namespace warren::perf
