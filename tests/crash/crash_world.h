// SPDX-License-Identifier: Apache-2.0
// What the threads of a crash run share: where the broker is, what may have happened, when to stop.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "server/tools/perf/wire_client.h"

#include "tests/support/message_ledger.h"

namespace warren::test {

inline constexpr std::uint16_t kChannel = 1;
inline constexpr const char* kFanoutExchange = "crash.fanout";

struct CrashWorld {
  std::atomic<std::uint16_t> port = 0;  // 0: the broker is down
  std::atomic<bool> publishers_stop = false;
  std::atomic<bool> consumers_stop = false;

  std::mutex mutex;
  MessageLedger ledger;  // guarded by mutex while threads run

  void report(std::string violation) {
    const std::lock_guard lock(mutex);
    ledger.violation(std::move(violation));
  }
};

// A body carries its id and a checksum, and everything else follows from the id.
std::string make_body(MessageId id);
// The whole publish, not yet flushed.
void append_message(perf::WireClient& client, std::uint16_t channel,
                    const amqp::BasicPublish& publish, MessageId id, bool persistent);
// False when a byte is not what make_body() wrote.
bool read_body(Bytes body, MessageId& id);

// Opens a connection with channel kChannel to the broker on loopback.
Status open_client(perf::WireClient& client, std::uint16_t port);
// Answers a connection.close, so that a broker that stops need not wait.
void answer_close(perf::WireClient& client, const amqp::Frame& frame);

}  // namespace warren::test
