// SPDX-License-Identifier: Apache-2.0
// One AMQP 0-9-1 conversation: bytes in, bytes out. No socket, no thread, no clock of its own.
//   connection_session.cc  frames, channels, closing
//   connection_time.cc     heartbeats, time-outs, the disk alarm
//   handshake.cc           header, start, tune, open, update-secret
// Keeps: P1 to P7.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "storage/base/clock.h"

#include "server/amqp/frame_writer.h"
#include "server/auth/user_store.h"
#include "server/broker/broker_shard.h"
#include "server/session/channel.h"
#include "server/session/out_buffer.h"
#include "server/session/session_host.h"
#include "server/session/session_limits.h"

namespace warren::session {

struct SessionParts {
  broker::BrokerShard* broker = nullptr;  // all borrowed
  const auth::UserStore* users = nullptr;
  const SessionLimits* limits = nullptr;
  const Clock* clock = nullptr;
  SessionHost* host = nullptr;
  std::mt19937_64* random = nullptr;  // for server-made names
  std::string peer;                   // "address:port", for the log
  bool peer_is_loopback = false;
};

// Runs on: its shard. Owned by: net::Connection.
class ConnectionSession final : public broker::SessionSink {
 public:
  explicit ConnectionSession(SessionParts parts);
  ~ConnectionSession() override;

  // ---- the driver ----
  // Takes as many whole frames as it can; returns the bytes consumed. What is left is offered
  // again, with more behind it, or after SessionHost::input_ready().
  std::size_t on_bytes(Bytes in);
  bool wants_input() const {
    return state_ != State::closed && !pending_ && !blocked_ && !held_back_ &&
           out_.size() < kOutputHighBytes;
  }
  // It published to several queues and the broker is overloaded, or has copied enough in this turn:
  // it takes no more input, whole frames that it was offered included, until let_go(), which is due
  // in a later turn in which the broker is not overloaded.
  bool held_back() const { return held_back_; }
  void let_go() { held_back_ = false; }
  // Call about once a second: heartbeats, time-outs, the end of an alarm.
  void on_tick(Instant now);
  OutBuffer& output() { return out_; }
  // All or most of the output has left: consumers get their credit back.
  void on_flushed();
  // The socket is gone.
  void on_disconnect();
  // connection.close from our side, such as 320 at shutdown.
  void force_close(amqp::ReplyCode code, std::string_view explanation);
  // The socket may be closed when the output is empty.
  bool closed() const { return state_ == State::closed; }
  // The peer is not read for reasons of ours: its silence means nothing.
  void on_input_held() { received_ = true; }
  // Publishes: is not read while the broker is overloaded. Not when all it has to say is close-ok.
  bool publishes() const { return publishes_ && state_ != State::closing; }
  // A queue that it published to wants it to wait: is not read. Changes with
  // BrokerShard::releases().
  bool held_by_queue() const { return held_by_ && parts_.broker->holds(*held_by_); }

  // SessionSink
  broker::ConnectionId connection_id() const override { return id_; }
  void on_reply(broker::Reply& reply) override;
  void on_delivery(const broker::Delivery& delivery) override;
  void on_confirmed(std::uint16_t channel, std::uint64_t publish_seq) override;
  void on_refused(std::uint16_t channel, std::uint64_t publish_seq) override;
  void on_consumer_timed_out(const broker::ConsumerTimedOut& timed_out) override;
  void on_consumer_cancelled(broker::ConsumerNumber consumer) override;
  void on_ask(const broker::Ask& ask) override;
  void on_grant_return(const broker::GrantReturn& back) override;
  bool on_direct_reply(const broker::DirectReply& reply) override;
  void on_turn_end() override;

  // ---- for its channels ----
  template <class Method>
  void send(std::uint16_t channel, const Method& method) {
    amqp::append_method_frame(out_.text(), channel, method);
    touch_output();
  }
  // A message's properties as they go out; `returns`, if not 0, is told in the header
  // x-delivery-count. Nothing: they do not fit into a frame of this connection, which is closed
  // when the turn ends (P3).
  std::optional<std::string> header_for(const broker::MessageView& message, std::uint32_t returns);
  // Header and body frames of a message; the method frame stands before.
  void send_content(std::uint16_t channel, const BlockRef& block, Bytes properties);
  // Is it so small that each of its parts goes out in one frame, copied?
  bool fits_frames(const broker::MessageView& message) const {
    const std::size_t body = message.body().size();
    return body < kBodyReferenceBytes && message.properties().size() < kBodyReferenceBytes &&
           body + kFrameRoomBytes <= frame_max_ &&
           message.properties().size() + kFrameRoomBytes <= frame_max_;
  }
  // REQUIRES: fits_frames(message).
  void send_delivery(const DeliveryFrames& frames, std::uint64_t tag, bool redelivered,
                     const broker::MessageView& message) {
    frames.append(out_.text(), tag, redelivered, message);
    touch_output();
  }
  // Suspends the input until the answer; `make` builds the message around the ReplyTo.
  template <class MakeMessage>
  void request(std::uint16_t channel, PendingRequest pending, ShardIndex to, MakeMessage make) {
    const broker::ReplyTo reply_to = suspend(channel, std::move(pending));
    broker().send(to, make(reply_to));
  }
  // As request(), for a commit; false: there was nothing to do, and nothing is waited for.
  bool request_commit(std::uint16_t channel, const broker::Transaction& transaction);
  void add_consumer(ConsumerRecord& consumer);
  void remove_consumer(ConsumerRecord& consumer);
  ConsumerRecord* find_consumer(broker::ConsumerNumber number);
  void owe_credit(ConsumerRecord& consumer, std::uint64_t bytes);
  void mark_turn();
  void mark_confirms(std::uint16_t channel);
  void mark_publishes() { publishes_ = true; }
  void wait_for(broker::QueueId queue) { held_by_ = queue; }
  void hold_back() { held_back_ = true; }
  // A publish is complete. Under an alarm it is the last one that is read.
  void on_published();
  void mark_owner() { owns_exclusive_ = true; }
  std::string random_name(std::string_view prefix);

  broker::BrokerShard& broker() { return *parts_.broker; }
  const auth::UserStore& users() const { return *parts_.users; }
  const SessionLimits& limits() const { return *parts_.limits; }
  const Clock& clock() const { return *parts_.clock; }
  // REQUIRES: open. Looked up each time: the vhost may be replaced by a topology change.
  const broker::Vhost& vhost() const;
  const std::string& vhost_name() const { return vhost_name_; }
  const std::string& user() const { return user_; }
  std::int64_t wall_ms() const { return wall_ms_; }
  bool cancel_notify() const { return cancel_notify_; }

 private:
  enum class State : std::uint8_t {
    want_header,    // nothing said yet
    want_start_ok,  // connection.start sent
    want_tune_ok,   // connection.tune sent
    want_open,      // tuned
    open,           // the normal state
    closing,        // we sent connection.close and wait for close-ok
    peer_closing,   // the peer sent connection.close; exclusive queues go before close-ok
    closed,         // nothing more to say
  };

  std::size_t on_protocol_header(Bytes in);
  void on_frame(const amqp::Frame& frame);
  Outcome dispatch(const amqp::Frame& frame);
  Outcome dispatch_channel(const amqp::Frame& frame);
  Outcome on_connection_method(Bytes payload);
  Outcome open_channel(std::uint16_t number);
  void fail(amqp::AmqpError error, const amqp::Frame& frame);
  void close_with(const amqp::AmqpError& error);
  void become_closed();
  void release();

  // One overload per method of class connection that a client may send.
  Outcome handle(const amqp::ConnectionStartOk& method);
  Outcome handle(const amqp::ConnectionTuneOk& method);
  Outcome handle(const amqp::ConnectionOpen& method);
  Outcome handle(const amqp::ConnectionUpdateSecret& method);
  Outcome handle(const amqp::ConnectionClose& method);
  Outcome handle(const amqp::ConnectionCloseOk& method);
  template <class Method>
  Outcome handle(const Method& method);
  friend struct ConnectionMethodHandler;

  void unblock();
  void send_start();
  void read_client_properties(Bytes client_properties);
  Outcome login(std::string_view mechanism, Bytes response);
  Outcome refuse_login(std::string_view mechanism, const std::string& reason);

  broker::ReplyTo suspend(std::uint16_t channel, PendingRequest pending);
  Channel* find_channel(std::uint16_t number);
  void erase_channel(std::uint16_t number);
  void touch_output() {
    sent_ = true;
    if (!output_announced_) announce_output();
  }
  void announce_output();

  SessionParts parts_;
  const broker::ConnectionId id_;
  State state_ = State::want_header;
  OutBuffer out_;
  bool output_announced_ = false;
  std::uint32_t frame_max_;
  std::uint16_t channel_max_;
  std::uint16_t heartbeat_s_ = 0;

  std::string user_;
  std::string vhost_name_;
  std::string client_name_;
  bool cancel_notify_ = false;
  bool auth_failure_close_ = false;
  bool blocked_notify_ = false;
  bool publishes_ = false;
  std::optional<broker::QueueId> held_by_;  // the last queue that wanted its publishers to wait
  bool held_back_ = false;
  bool blocked_ = false;  // published under an alarm: not read until it is over
  bool owns_exclusive_ = false;
  bool released_ = false;

  boost::unordered_flat_map<std::uint16_t, std::unique_ptr<Channel>> channels_;
  Channel* last_channel_ = nullptr;
  // The highest publish number of any channel that is gone: confirms that come late find nobody.
  std::uint64_t confirm_offset_ = 0;
  boost::unordered_flat_map<broker::ConsumerNumber, ConsumerRecord*> consumers_;
  broker::ConsumerNumber next_consumer_ = 1;
  std::vector<broker::ConsumerNumber> owing_;

  // The request under way; its ticket and channel.
  std::optional<PendingRequest> pending_;
  std::uint64_t ticket_ = 0;
  std::uint16_t pending_channel_ = 0;
  amqp::MethodId pending_method_;
  amqp::MethodId current_method_;  // being dispatched
  bool awaits_release_ = false;    // peer_closing: the reply to ticket_ is close-ok's

  bool turn_marked_ = false;
  bool header_too_large_ = false;  // for this connection's frames
  std::vector<std::uint16_t> confirm_channels_;
  std::int64_t wall_ms_ = 0;

  bool received_ = false;  // since the last tick
  bool sent_ = false;
  Instant last_received_;
  Instant last_sent_;
  Instant deadline_;  // of the handshake, or of the answer to our close
};

}  // namespace warren::session
