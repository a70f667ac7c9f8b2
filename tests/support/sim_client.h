// SPDX-License-Identifier: Apache-2.0
// A client of a SimBroker: it writes frames and keeps what comes back until a test asks for it.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "server/amqp/frame_writer.h"
#include "server/amqp/gen/any_method.gen.h"
#include "server/session/connection_session.h"
#include "tests/support/sim_broker.h"

namespace warren::test {

// One method with its content, if it has one. Views in `method` point into `payload`.
struct Received {
  std::uint16_t channel = 0;
  std::unique_ptr<std::string> payload;
  amqp::AnyMethod method;
  std::string properties;
  std::string body;
  std::uint64_t body_size = 0;  // announced
};

struct PublishOptions {
  std::string exchange;
  std::string routing_key;
  std::string body;
  bool persistent = true;
  bool mandatory = false;
  std::string headers;  // encoded table
};

class SimClient final : public session::SessionHost {
 public:
  SimClient(SimBroker& broker, ShardIndex shard);
  ~SimClient() override;

  ShardIndex shard() const { return shard_; }
  session::ConnectionSession& session() { return *session_; }

  void handshake();
  void open_channel(std::uint16_t channel);

  // ---- sending; call() lets the broker settle ----
  void send_bytes(Bytes bytes) { to_session_.append(bytes); }
  template <class Method>
  void send(std::uint16_t channel, const Method& method) {
    amqp::append_method_frame(to_session_, channel, method);
  }
  template <class Method>
  void call(std::uint16_t channel, const Method& method) {
    send(channel, method);
    broker_.settle();
  }
  void publish(std::uint16_t channel, const PublishOptions& options);

  // ---- what came back, oldest first ----
  bool has_received() const { return !received_.empty(); }
  std::size_t received_count() const { return received_.size(); }
  Received take();
  // The next one, which must be a Method on this channel.
  template <class Method>
  Received expect(std::uint16_t channel) {
    if (received_.empty()) {
      ADD_FAILURE() << "nothing received, expected " << Method::kName;
      Received none;
      none.method = Method{};
      return none;
    }
    Received next = take();
    EXPECT_EQ(next.channel, channel);
    if (!std::holds_alternative<Method>(next.method)) {
      ADD_FAILURE() << "received " << describe(next) << ", expected " << Method::kName;
      next.method = Method{};
    }
    return next;
  }
  template <class Method>
  static const Method& as(const Received& received) {
    return std::get<Method>(received.method);
  }
  void expect_nothing();
  void expect_channel_close(std::uint16_t channel, int code, std::string_view text_part);
  void expect_connection_close(int code, std::string_view text_part);
  static std::string describe(const Received& received);

  // The next one is a basic.deliver: "tag r body" ("r" when redelivered, "-" when not).
  std::string next_delivery(std::uint16_t channel = 1);

  // Moves bytes both ways, once. False: there were none. Input that stands still is offered again.
  bool move_bytes();
  bool closed_by_server() const { return session_->closed(); }
  const std::string& raw_output() const { return raw_output_; }
  // Takes no more output: a client that does not read.
  void stop_reading() { reading_ = false; }

  // SessionHost
  void output_ready() override {}
  void input_ready() override {}

 private:
  void parse_output();
  void on_frame(const amqp::Frame& frame);

  SimBroker& broker_;
  ShardIndex shard_;
  std::mt19937_64 random_;
  std::unique_ptr<session::ConnectionSession> session_;
  std::string to_session_;
  std::string from_session_;
  std::string raw_output_;  // before the first frame could be parsed
  bool reading_ = true;
  std::deque<Received> received_;
};

}  // namespace warren::test
