// SPDX-License-Identifier: Apache-2.0
// A client of a SimBroker: it writes frames and keeps what comes back until a test asks for it.
#pragma once

#include <deque>
#include <functional>
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
  std::string headers = {};     // encoded table
  std::string message_id = {};  // empty: none
  std::string reply_to = {};    // empty: none
  std::string expiration = {};  // empty: none
  int priority = -1;            // negative: none
};

class SimClient final : public session::SessionHost {
 public:
  SimClient(SimBroker& broker, ShardIndex shard);
  ~SimClient() override;

  ShardIndex shard() const { return shard_; }
  session::ConnectionSession& session() { return *session_; }

  // Before the handshake: does not announce connection.blocked.
  void decline_blocked() { blocked_notify_ = false; }
  void handshake();
  // All of the handshake at once, the answers are not waited for: start, tune, open-ok.
  void send_handshake();
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
  // Is a channel.close of this channel among what came back?
  bool has_received_close(std::uint16_t channel) const {
    for (const Received& one : received_) {
      if (one.channel == channel && std::holds_alternative<amqp::ChannelClose>(one.method)) {
        return true;
      }
    }
    return false;
  }
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

  // Moves bytes both ways, once: up to `input_max` to the session, and all that it has to say.
  // False: there were none. Input that stands still is offered again.
  bool move_bytes(std::size_t input_max);
  // Where the stream to the session stands: all that was written, what the session has taken of it,
  // and the rest.
  std::uint64_t written_bytes() const { return taken_bytes_ + to_session_.size(); }
  std::uint64_t taken_bytes() const { return taken_bytes_; }
  std::size_t unsent_bytes() const { return to_session_.size(); }
  bool closed_by_server() const { return session_->closed(); }
  const std::string& raw_output() const { return raw_output_; }
  // Takes the output as bytes, in place of everything above that reads.
  std::function<void(Bytes)> on_output;
  // Takes no more output: a client that does not read.
  void stop_reading() { reading_ = false; }
  void resume_reading() { reading_ = true; }
  bool reading() const { return reading_; }

  // SessionHost
  void output_ready() override {}
  void input_ready() override {}

 private:
  void send_start_ok();
  void send_open();
  void parse_output();
  void on_frame(const amqp::Frame& frame);

  SimBroker& broker_;
  ShardIndex shard_;
  std::mt19937_64 random_;
  std::unique_ptr<session::ConnectionSession> session_;
  std::string to_session_;
  std::uint64_t taken_bytes_ = 0;
  std::string from_session_;
  std::string raw_output_;  // before the first frame could be parsed
  bool reading_ = true;
  bool blocked_notify_ = true;
  std::deque<Received> received_;
};

}  // namespace warren::test
