// SPDX-License-Identifier: Apache-2.0
// One opened AMQP connection under load: reads in large pieces, writes in large pieces, hands over
// frames. What is sent and what a frame means is the derived class's (publisher.h, consumer.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "storage/base/bytes.h"
#include "storage/base/units.h"

#include "server/amqp/frame.h"
#include "server/tools/perf/wire_client.h"

namespace warren::perf {

inline constexpr std::uint16_t kLoadChannel = 1;

// Runs on: one io_context's thread, all of it. Bound: one read buffer, two write buffers.
class Link {
 public:
  // Takes the opened connection over.
  Link(boost::asio::io_context& io, WireClient&& opened);
  virtual ~Link() = default;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // Begins to read and to fill.
  void start();
  // Asks for connection.close; closed() is true when the answer is in. Nothing is filled any more.
  void begin_close();
  bool closed() const { return state_ == State::closed; }
  // Why the connection ended otherwise; empty while all is well.
  const std::string& failure() const { return failure_; }

 protected:
  // Appends what may be sent now. Called whenever the last write is done.
  virtual void fill(std::string& out) = 0;
  // A frame that is not of the connection class. The payload is valid during the call.
  virtual void on_frame(const amqp::Frame& frame) = 0;
  // Once per read, after its frames.
  virtual void on_read_done() = 0;

  // fill() now, unless a write is in flight (it is called after that one then).
  void wake();
  bool writing() const { return writing_; }
  void fail(std::string why);
  boost::asio::io_context& io() { return io_; }

 private:
  enum class State : std::uint8_t { open, closing, closed };

  void read_more();
  void on_bytes(std::size_t count);
  void take(const amqp::Frame& frame);
  void write();

  boost::asio::io_context& io_;
  boost::asio::ip::tcp::socket socket_;
  State state_ = State::open;
  std::vector<char> in_;
  std::size_t in_used_ = 0;  // received and not consumed
  std::string out_;          // gathers
  std::string in_flight_;    // is being written
  bool writing_ = false;
  std::string failure_;
};

}  // namespace warren::perf
