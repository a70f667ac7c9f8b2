// SPDX-License-Identifier: Apache-2.0
// basic.publish and confirm.select.
#include <algorithm>

#include <fmt/format.h>

#include "storage/base/assert.h"

#include "server/broker/queue_settings.h"
#include "server/broker/reply_address.h"
#include "server/session/channel_send.h"

namespace warren::session {
namespace {

bool valid_expiration(std::string_view text) {
  if (text.empty() || text.size() > 12) return false;
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return value <= static_cast<std::uint64_t>(broker::kMillisecondsMax);
}

}  // namespace

Outcome Channel::handle(const amqp::BasicPublish& method) {
  if (method.immediate) {
    return amqp::connection_error(amqp::ReplyCode::not_implemented, "immediate=true");
  }
  session_.mark_publishes();
  content_.start(method);
  return {};
}

Outcome Channel::on_header(Bytes payload) {
  ContentRules rules;
  rules.bytes_max = session_.limits().message_bytes_max;
  rules.now_ms = session_.wall_ms();
  if (reply_consumer_) rules.reply_address = reply_consumer_->address;
  if (Outcome error = content_.on_header(payload, rules)) return error;
  if (content_.state() == ContentAssembler::State::complete) return publish();
  return {};
}

Outcome Channel::on_body(Bytes payload) {
  if (Outcome error = content_.on_body(payload)) return error;
  if (content_.state() == ContentAssembler::State::complete) return publish();
  return {};
}

Outcome Channel::check_properties(const amqp::PropertiesView& properties) {
  if (properties.expiration && !valid_expiration(*properties.expiration)) {
    return amqp::channel_error(
        amqp::ReplyCode::precondition_failed,
        fmt::format("invalid expiration '{}'", properties.expiration->value));
  }
  if (properties.user_id && properties.user_id->value != session_.user()) {
    const auth::User* const user = session_.users().find(session_.user());
    if (user == nullptr || !auth::has_tag(*user, "impersonator")) {
      return amqp::channel_error(
          amqp::ReplyCode::precondition_failed,
          fmt::format("user_id property set to '{}' but authenticated user was '{}'",
                      properties.user_id->value, session_.user()));
    }
  }
  return {};
}

// Fills route_.queues. What one publish looked up serves the next ones with the same exchange and
// key, until anything in the topology or in permissions changes, if only the key decided.
bool Channel::knows_route() const {
  return route_.version == session_.broker().topology().version() &&
         content_.extra_keys().empty() && route_.routing_key == content_.routing_key() &&
         route_.exchange == content_.exchange();
}

Outcome Channel::find_publish_route(const amqp::PropertiesView& properties) {
  if (knows_route()) return {};
  const std::uint64_t version = broker().topology().version();
  const bool one_key = content_.extra_keys().empty();
  route_.version = 0;
  if (Outcome refused = check_permission(auth::Operation::write, content_.exchange())) {
    return refused;
  }
  broker::Exchange* const exchange = vhost().find_exchange(content_.exchange());
  if (exchange == nullptr) {
    return broker::no_exchange(content_.exchange(), session_.vhost_name());
  }
  if (exchange->definition().internal) {
    return amqp::channel_error(amqp::ReplyCode::access_refused,
                               fmt::format("cannot publish to internal exchange '{}' in vhost '{}'",
                                           exchange->name(), session_.vhost_name()));
  }
  const Bytes headers = properties.headers ? properties.headers->value : Bytes{};
  const broker::RouteInput input{content_.routing_key(), headers, content_.extra_keys(),
                                 &properties};
  route_.queues = broker().route(vhost(), *exchange, input);
  route_.dedup = exchange->dedup;
  if (!one_key || route_.dedup || !broker().routed_by_key()) return {};
  route_.version = version;
  route_.exchange = content_.exchange();
  route_.routing_key = content_.routing_key();
  return {};
}

Outcome Channel::publish() {
  session_.on_published();
  const BlockRef block = content_.take();
  if (content_.plain() && knows_route()) return publish_routed(block);
  amqp::PropertiesView properties;
  const bool parsed = amqp::parse_properties(broker::MessageView(*block).properties(), properties);
  WARREN_ASSERT(parsed);  // the assembler has checked it
  if (Outcome error = check_properties(properties)) return error;
  if (Outcome error = find_publish_route(properties)) return error;
  // What reaches nobody is not remembered: it may come again when there is a queue.
  if (route_.dedup && !route_.queues.empty()) {
    const Bytes headers = properties.headers ? properties.headers->value : Bytes{};
    if (ask_for_duplicate(block, headers)) return {};
  }
  return publish_routed(block);
}

// An exchange that drops what it has seen: a duplicate reaches no queue. True: another shard knows,
// and the publish goes on with its answer.
bool Channel::ask_for_duplicate(const BlockRef& block, Bytes headers) {
  auto id = broker::read_dedup_id(*route_.dedup, headers);
  if (!id) return false;
  broker::DedupRequest request;
  request.vhost = session_.vhost_name();
  request.exchange = content_.exchange();
  request.size = route_.dedup->size;
  request.id = std::move(*id);
  request.now = session_.clock().now();
  const ShardIndex home = broker().dedup_home(request.vhost, request.exchange);
  request.id.claim = broker().new_dedup_claim();
  claim_ = DedupClaim{request.exchange, request.id.id, request.id.claim};
  if (home == broker().index()) {
    if (broker().is_duplicate(request)) {
      route_.queues.clear();
      claim_.reset();
    }
    return false;
  }
  PendingRequest pending;
  pending.what = Waiting::deduplicate;
  pending.block = block;
  session_.request(number_, std::move(pending), home, [&](broker::ReplyTo to) {
    request.reply_to = to;
    return std::move(request);
  });
  return true;
}

Outcome Channel::on_duplicate_answer(const PendingRequest& pending, bool duplicate) {
  if (duplicate) {
    route_.queues.clear();
    claim_.reset();
  } else {
    // The topology may have changed meanwhile.
    amqp::PropertiesView properties;
    amqp::parse_properties(broker::MessageView(*pending.block).properties(), properties);
    if (Outcome error = find_publish_route(properties)) return error;  // gives the claim up
  }
  return publish_routed(pending.block);
}

void Channel::give_up(const DedupClaim& claim) {
  const ShardIndex home = broker().dedup_home(session_.vhost_name(), claim.exchange);
  broker().send(home,
                broker::DedupForget{session_.vhost_name(), claim.exchange, claim.id, claim.number});
}

Outcome Channel::publish_routed(const BlockRef& block) {
  if (tx_) return defer_publish(block);
  claim_.reset();
  broker::Published published;
  if (confirming_) {
    const storage::CommitToken token = broker::BrokerShard::confirm_token(
        session_.connection_id(), number_, confirm_offset_ + confirms_.next_seq());
    published = broker().publish(route_.queues, block, content_.persistent(), &token);
  } else {
    published = broker().publish(route_.queues, block, content_.persistent(), nullptr);
  }
  if (const broker::QueueId queue = broker().held_by(route_.queues); queue != broker::QueueId{}) {
    session_.wait_for(queue);
  }
  // One input may hold thousands of publishes: with many queues each that is too much for memory.
  if (route_.queues.size() > 1 && (broker().overloaded() || broker().turn_is_full())) {
    session_.hold_back();
  }
  const bool must_reach = content_.mandatory() && published.queues == 0;
  bool asked = false;  // whether a requester is still there: the answer decides
  if (content_.exchange().empty() &&
      (broker::is_reply_address(content_.routing_key()) || !content_.extra_keys().empty())) {
    asked = send_direct_replies(block, must_reach);
  }
  // The return goes out before the confirm (B6).
  if (must_reach && !asked) return_unroutable(block);
  if (asked) ++published.pending_confirms;
  if (confirming_) {
    confirms_.add(published.pending_confirms);
    if (published.pending_confirms == 0) session_.mark_confirms(number_);
  }
  return {};
}

void Channel::return_unroutable(const BlockRef& block) {
  amqp::BasicReturn back;
  back.reply_code = static_cast<std::uint16_t>(amqp::ReplyCode::no_route);
  back.reply_text = amqp::reply_code_name(amqp::ReplyCode::no_route);
  const broker::MessageView message(*block);
  back.exchange = message.exchange();
  back.routing_key = message.routing_key();
  send(back);
  session_.send_content(number_, block, message.properties());  // they came in one frame
}

Outcome Channel::handle(const amqp::ConfirmSelect& method) {
  if (tx_) {
    return amqp::channel_error(amqp::ReplyCode::precondition_failed,
                               "cannot switch from tx to confirm mode");
  }
  confirming_ = true;
  if (!method.nowait) send(amqp::ConfirmSelectOk{});
  return {};
}

void Channel::flush_confirms() {
  confirms_.flush([this](std::uint64_t seq, bool multiple, bool acked) {
    if (acked) {
      send(amqp::BasicAck{.delivery_tag = seq, .multiple = multiple});
    } else {
      send(amqp::BasicNack{.delivery_tag = seq, .multiple = multiple});
    }
  });
}

}  // namespace warren::session
