// SPDX-License-Identifier: Apache-2.0
// What a connection does as time goes by: time-outs, heartbeats, and the disk alarm, under which
// publishers are not read (conformance rule 62).
#include "storage/base/log.h"

#include "server/session/connection_session.h"

namespace warren::session {

void ConnectionSession::on_tick(Instant now) {
  if (state_ == State::closed) return;
  if (state_ < State::open || state_ == State::closing) {
    if (now >= deadline_) {
      if (state_ != State::closing) {
        WLOG(info, "handshake timed out conn={} peer={}", id_.value, parts_.peer);
      }
      become_closed();
    }
    return;
  }
  if (blocked_ && !broker().disk_alarm()) unblock();
  if (received_) last_received_ = now;
  if (sent_) last_sent_ = now;
  received_ = false;
  sent_ = false;
  if (heartbeat_s_ == 0) return;
  const Duration interval = std::chrono::seconds(heartbeat_s_);
  if (now - last_received_ > 2 * interval) {
    WLOG(info, "heartbeat missed, connection dropped conn={} peer={} user='{}' heartbeat_s={}",
         id_.value, parts_.peer, user_, heartbeat_s_);
    become_closed();
    return;
  }
  if (now - last_sent_ >= interval / 2) {
    amqp::append_heartbeat(out_.text());
    touch_output();
  }
}

void ConnectionSession::on_published() {
  if (blocked_ || !broker().disk_alarm()) return;
  blocked_ = true;
  WLOG(debug, "publisher blocked conn={} peer={} reason='low on disk'", id_.value, parts_.peer);
  if (blocked_notify_) send(0, amqp::ConnectionBlocked{.reason = "low on disk"});
}

void ConnectionSession::unblock() {
  blocked_ = false;
  WLOG(debug, "publisher unblocked conn={} peer={}", id_.value, parts_.peer);
  if (blocked_notify_) send(0, amqp::ConnectionUnblocked{});
  parts_.host->input_ready();
}

}  // namespace warren::session
