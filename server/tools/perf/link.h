// SPDX-License-Identifier: Apache-2.0
// One opened AMQP connection under load: reads in large pieces, writes in large pieces, hands
// frames to its channels. What is sent and what a frame means is a Role's (publisher.h,
// consumer.h).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "storage/base/bytes.h"
#include "storage/base/clock.h"
#include "storage/base/units.h"

#include "server/amqp/frame.h"
#include "server/tools/perf/latency_histogram.h"
#include "server/tools/perf/wire_client.h"

namespace warren::perf {

inline constexpr std::uint16_t kSetUpChannel = 1;

// What the links of one thread share.
struct LaneShared {
  boost::asio::io_context io{1};
  std::atomic<bool> failed = false;  // some link ended with a failure
  LatencyHistogram delivery;         // publish to delivery
  LatencyHistogram confirm;          // publish to confirm, or to commit
};

class Link;

// One channel of a link, at work. Runs on: the link's thread.
class Role {
 public:
  Role(Link& link, std::uint16_t channel) : link_(link), channel_(channel) {}
  virtual ~Role() = default;
  Role(const Role&) = delete;
  Role& operator=(const Role&) = delete;

  // Appends what may be sent now. Called whenever the last write of the link is done.
  virtual void fill(std::string& out) = 0;
  // A frame of this channel. The payload is valid during the call.
  virtual void on_frame(const amqp::Frame& frame) = 0;
  // Once per read, after its frames.
  virtual void on_read_done() = 0;

 protected:
  Link& link() const { return link_; }
  std::uint16_t channel() const { return channel_; }

 private:
  Link& link_;
  const std::uint16_t channel_;
};

// Runs on: one lane's thread, all of it. Bound: one read buffer, two write buffers.
class Link {
 public:
  // Takes the opened connection over. name: who it is, for messages.
  Link(LaneShared& lane, WireClient&& opened, std::string name);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // The roles' channels are 1, 2 and so on, in this order.
  void add(std::unique_ptr<Role> role) { roles_.push_back(std::move(role)); }

  // Begins to read and to fill.
  void start();
  // Asks for connection.close; closed() is true when the answer is in. Nothing is filled any more.
  void begin_close();
  bool closed() const { return state_ == State::closed; }
  // Why the connection ended otherwise; empty while all is well.
  const std::string& failure() const { return failure_; }

  // For roles.
  // fill() now, unless a write is in flight (it is called after that one then).
  void wake();
  // wake() at that time, or before. One timer: the earliest wish counts.
  void wake_at(Instant at);
  // Takes no frame before that time: what bounds the rate of a consumer.
  void pause_until(Instant at);
  bool writing() const { return writing_; }
  void fail(std::string why);
  LaneShared& lane() { return lane_; }
  std::size_t role_count() const { return roles_.size(); }
  std::uint32_t frame_max() const { return frame_max_; }

 private:
  enum class State : std::uint8_t { open, closing, closed };

  void read_more();
  void on_bytes(std::size_t count);
  void take(const amqp::Frame& frame);
  void fill();
  void write();
  void close_socket();
  bool pausing() const;

  LaneShared& lane_;
  const std::string name_;
  boost::asio::ip::tcp::socket socket_;
  boost::asio::steady_timer wake_timer_;
  boost::asio::steady_timer pause_timer_;
  std::vector<std::unique_ptr<Role>> roles_;
  State state_ = State::open;
  std::uint32_t frame_max_ = 0;
  std::unique_ptr<char[]> in_;  // untouched pages cost nothing, so it may be large
  std::size_t in_used_ = 0;     // received and not consumed
  std::string out_;             // gathers
  std::string in_flight_;       // is being written
  bool writing_ = false;
  Instant wakes_at_ = Instant::max();  // max: no timer is set
  Instant paused_until_{};
  bool held_ = false;  // whole frames may lie in in_, paused
  std::string failure_;
};

}  // namespace warren::perf
