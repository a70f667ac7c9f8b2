// SPDX-License-Identifier: Apache-2.0
// A small blocking AMQP client on the codec: one socket, no threads, every wait has a deadline.
// For set-up and for tests that need every frame; the load runs on Link (link.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "storage/base/bytes.h"
#include "storage/base/clock.h"
#include "storage/base/result.h"

#include "server/amqp/frame.h"
#include "server/amqp/frame_writer.h"
#include "server/amqp/gen/any_method.gen.h"
#include "server/tools/perf/uri.h"

namespace warren::perf {

inline constexpr Duration kCallTimeout = std::chrono::seconds(20);
// Offered by brokers of this kind; what they ask beyond it is not needed here.
inline constexpr std::uint32_t kFrameMax = amqp::kFrameMaxDefault;

// How an answer is waited for. busy asks again and again for a while before it sleeps: the time
// that a machine takes to wake this process is not in what is measured then. It costs a core.
enum class Waiting : std::uint8_t { asleep, busy };

class WireClient {
 public:
  enum class Got : std::uint8_t {
    frame,
    timeout,
    lost,  // the peer is gone or broke the protocol: why() says what happened
  };

  explicit WireClient(Waiting waiting = Waiting::asleep) : waiting_(waiting) {}
  WireClient(WireClient&& other) noexcept;
  WireClient& operator=(WireClient&& other) noexcept;
  ~WireClient();

  // Connects and goes through the whole handshake. Heartbeats are off.
  Status open(const Uri& uri, Duration timeout = kCallTimeout);
  void close_socket();

  // Asks for connection.close-ok: everything sent before has been read by the broker then.
  Status close();

  bool is_open() const { return fd_ >= 0; }
  const std::string& why() const { return why_; }
  // As negotiated: what may be sent.
  std::uint32_t frame_max() const { return frame_max_; }

  // Appended bytes leave with flush().
  std::string& out() { return out_; }
  template <class M>
  void append(std::uint16_t channel, const M& method) {
    amqp::append_method_frame(out_, channel, method);
  }
  Status flush(Duration timeout = kCallTimeout);

  // The next frame; its payload is valid until the next read. With a zero wait only what has
  // arrived already.
  Got read(amqp::Frame& frame, Duration wait);

  // Sends a synchronous method and waits for its answer on the same channel. Anything else that
  // arrives meanwhile is dropped, but a close, which is the error. Views in the answer point into
  // the read buffer.
  template <class Reply, class M>
  Result<Reply> call(std::uint16_t channel, const M& method) {
    append(channel, method);
    return receive<Reply>(channel);
  }
  // The answer to what was asked before; see call().
  template <class Reply>
  Result<Reply> receive(std::uint16_t channel) {
    WARREN_TRY(const Bytes payload, await(channel, Reply::kClassId, Reply::kMethodId));
    Reply reply;
    if (!amqp::decode_arguments(payload.substr(4), reply)) return lost("answer does not parse");
    return reply;
  }

  // Gives the socket away, with what was read and not used yet.
  int release(std::string& unread);

 private:
  Error lost(std::string why);
  Status connect_socket(const Uri& uri, Duration timeout);
  Status handshake(const Uri& uri, Duration timeout);
  // Payload of the expected method.
  Result<Bytes> await(std::uint16_t channel, std::uint16_t class_id, std::uint16_t method_id,
                      Duration timeout = kCallTimeout);
  bool wait_for(short events, Instant deadline);

  Waiting waiting_;
  int fd_ = -1;
  std::string in_;
  std::size_t at_ = 0;  // in_ is used up to here
  std::string out_;
  std::string why_;
  std::uint32_t frame_max_ = kFrameMax;
};

// "404 NOT_FOUND - no queue ..." of a connection.close or channel.close payload; empty for others.
std::string close_text(Bytes method_payload);

}  // namespace warren::perf
