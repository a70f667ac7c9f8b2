// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/net/loop_rig.h"

#include <array>
#include <thread>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "storage/base/assert.h"

#include "server/amqp/frame.h"
#include "server/amqp/frame_writer.h"
#include "server/amqp/properties.h"

#include "tests/support/sim_client.h"

namespace warren::test {

namespace {

constexpr std::uint32_t kFrameMax = 131'072;

}  // namespace

namespace asio = boost::asio;
using asio::ip::tcp;

LoopClient::LoopClient(tcp::socket socket, int broker_end)
    : socket_(std::move(socket)), broker_end_(broker_end) {
  socket_.non_blocking(true);
}

void LoopClient::send_heartbeats(int count) {
  for (int i = 0; i < count; ++i) amqp::append_heartbeat(unsent_);
}

void LoopClient::send_handshake(std::uint16_t heartbeat_s) {
  unsent_.append(amqp::kProtocolHeader);
  amqp::ConnectionStartOk start_ok;
  start_ok.mechanism = "PLAIN";
  start_ok.response = std::string_view("\0guest\0guest", 12);
  start_ok.locale = "en_US";
  send(0, start_ok);
  amqp::ConnectionTuneOk tune_ok;
  tune_ok.channel_max = 10;
  tune_ok.frame_max = kFrameMax;
  tune_ok.heartbeat = heartbeat_s;
  send(0, tune_ok);
  amqp::ConnectionOpen open;
  open.virtual_host = "/";
  send(0, open);
  send(1, amqp::ChannelOpen{});
}

void LoopClient::declare(const std::string& queue, bool passive) {
  amqp::QueueDeclare declare;
  declare.queue = queue;
  declare.passive = passive;
  declare.durable = true;
  send(1, declare);
}

void LoopClient::publish(const std::string& queue, std::size_t body_bytes, bool persistent) {
  amqp::BasicPublish publish;
  publish.routing_key = queue;
  send(1, publish);
  std::string raw;
  amqp::PropertiesView properties;
  properties.delivery_mode =
      persistent ? amqp::kDeliveryModePersistent : amqp::kDeliveryModeTransient;
  amqp::encode_properties(raw, properties);
  const std::string body(body_bytes, 'x');
  amqp::append_header_frame(unsent_, 1, amqp::kClassBasic, body.size(), raw);
  amqp::append_body_frames(unsent_, 1, body, kFrameMax);
}

// What the broker's end has and has not read.
int LoopClient::arrived() const {
  int bytes = 0;
  const int result = ::ioctl(broker_end_.fd, FIONREAD, &bytes);
  WARREN_ASSERT(result == 0);
  return bytes;
}

void LoopClient::write() {
  const int before = arrived();
  std::size_t written = 0;
  boost::system::error_code error;
  while (!unsent_.empty() && !error) {
    const std::size_t n = socket_.write_some(asio::buffer(unsent_), error);
    unsent_.erase(0, n);
    written += n;
  }
  ASSERT_TRUE(!error || error == asio::error::would_block) << error.message();
  // Loopback delivers in the background when the machine is busy.
  const auto patience = std::chrono::milliseconds(unsent_.empty() ? 100 : 5);
  const auto wanted = static_cast<int>(written) + before;
  auto changed = std::chrono::steady_clock::now();
  for (int last = before; arrived() < wanted; std::this_thread::yield()) {
    if (arrived() != last) changed = std::chrono::steady_clock::now();
    if (std::chrono::steady_clock::now() - changed > patience) return;
    last = arrived();
  }
}

bool LoopClient::receive(std::size_t count) {
  for (int i = 0; i < 2000 && received_.size() < count; ++i) {
    if (i > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    read();
  }
  return received_.size() >= count;
}

void LoopClient::read() {
  if (!socket_.is_open() || ended_) return;
  boost::system::error_code error;
  std::array<char, 65'536> buffer;
  while (!error) unread_.append(buffer.data(), socket_.read_some(asio::buffer(buffer), error));
  ended_ = error == asio::error::eof;
  ASSERT_TRUE(ended_ || error == asio::error::would_block) << error.message();
  amqp::Frame frame;
  while (amqp::read_frame(unread_, 0, frame) == amqp::FrameStatus::ok) {
    if (frame.type == amqp::kFrameMethod) {
      Received received;
      received.payload = std::make_unique<std::string>(frame.payload);
      const auto decoded = amqp::decode_method(*received.payload, received.method);
      ASSERT_EQ(decoded, amqp::MethodDecode::ok);
      received_.push_back(std::move(received));
    }
    unread_.erase(0, frame.size);
  }
}

std::string LoopClient::history() const {
  std::string all;
  for (const Received& one : received_) {
    std::visit([&all](const auto& method) { all += fmt::format(" {}", method.kName); }, one.method);
  }
  return all;
}

void LoopClient::reset() {
  boost::system::error_code ignored;
  socket_.set_option(tcp::socket::linger(true, 0), ignored);
  socket_.close(ignored);
}

LoopRig::LoopRig(SimOptions options)
    : broker_(std::move(options)),
      peer_(loop_),
      acceptor_(clients_io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0)) {
  net::ShardLoopParts parts;
  parts.broker = &broker_.shard(0);
  parts.users = &broker_.users(0);
  parts.limits = &broker_.options().session_limits;
  parts.clock = &broker_.clock();
  loop_.set_parts(parts);
}

LoopClient& LoopRig::connect(std::uint16_t heartbeat_s) {
  tcp::socket socket(clients_io_);
  socket.connect(acceptor_.local_endpoint());
  tcp::socket accepted = acceptor_.accept(loop_.io());
  const int broker_end = ::dup(accepted.native_handle());
  loop_.adopt(std::move(accepted));
  clients_.push_back(std::make_unique<LoopClient>(std::move(socket), broker_end));
  LoopClient& client = *clients_.back();
  client.send_handshake(heartbeat_s);
  client.write();
  EXPECT_TRUE(step_until([&] { return client.last<amqp::ChannelOpenOk>() != nullptr; }))
      << client.history();
  return client;
}

void LoopRig::declare(LoopClient& client, const std::string& queue) {
  client.declare(queue);
  client.write();
  const std::size_t before = client.received_count();
  EXPECT_TRUE(step_until([&] {
    broker_.settle();
    return client.received_count() > before;
  }));
  EXPECT_NE(client.last<amqp::QueueDeclareOk>(), nullptr) << client.history();
}

std::uint32_t LoopRig::depth(SimClient& client, const std::string& queue) {
  amqp::QueueDeclare declare;
  declare.queue = queue;
  declare.passive = true;
  client.call(1, declare);
  const Received answer = client.expect<amqp::QueueDeclareOk>(1);
  return SimClient::as<amqp::QueueDeclareOk>(answer).message_count;
}

}  // namespace warren::test
