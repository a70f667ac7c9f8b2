// SPDX-License-Identifier: Apache-2.0
// Who the client is. The start of a conversation: protocol header, start, tune, open
// (conformance rules 1 to 7); later on update-secret.
#include <algorithm>

#include <fmt/format.h>

#include "storage/base/log.h"

#include "server/amqp/field_table_codec.h"
#include "server/auth/sasl.h"
#include "server/session/connection_session.h"

namespace warren::session {

std::size_t ConnectionSession::on_protocol_header(Bytes in) {
  switch (amqp::read_protocol_header(in)) {
    case amqp::ProtocolHeader::need_more:
      return 0;
    case amqp::ProtocolHeader::wrong: {
      const bool tls = !in.empty() && in[0] == 0x16;
      const bool http = in.starts_with("GET ") || in.starts_with("POST") || in.starts_with("HEAD");
      WLOG(info, "no AMQP 0-9-1 client conn={} peer={}{}", id_.value, parts_.peer,
           tls    ? " hint='it speaks TLS'"
           : http ? " hint='it speaks HTTP'"
                  : "");
      out_.text().append(amqp::kProtocolHeader);
      become_closed();
      return in.size();
    }
    case amqp::ProtocolHeader::ok:
      break;
  }
  state_ = State::want_start_ok;
  send_start();
  return amqp::kProtocolHeader.size();
}

void ConnectionSession::send_start() {
  amqp::FieldTable capabilities;
  for (const char* const name :
       {"publisher_confirms", "exchange_exchange_bindings", "basic.nack", "consumer_cancel_notify",
        "consumer_priorities", "authentication_failure_close", "per_consumer_qos",
        "connection.blocked", "direct_reply_to"}) {
    capabilities.set(name, true);
  }
  amqp::FieldTable properties;
  properties.set("capabilities", capabilities);
  properties.set("cluster_name", "warren");
  properties.set("copyright", "The Warren authors");
  properties.set("information", "Licensed under the Apache License 2.0");
  properties.set("platform", "C++");
  properties.set("product", limits().product);
  properties.set("version", limits().version);
  properties.set("product_name", "Warren");
  properties.set("product_version", WARREN_VERSION);
  properties.set("warren_version", WARREN_VERSION);
  std::string encoded;
  amqp::encode_table(encoded, properties);
  amqp::ConnectionStart start;
  start.version_major = 0;
  start.version_minor = 9;
  start.server_properties = encoded;
  start.mechanisms = "PLAIN AMQPLAIN";
  start.locales = "en_US";
  send(0, start);
}

void ConnectionSession::read_client_properties(Bytes client_properties) {
  const auto table = amqp::decode_table(client_properties);
  if (!table.ok()) return;
  if (const amqp::FieldValue* const name = table->find("connection_name")) {
    client_name_ = amqp::as_string(*name).value_or("");
  }
  const amqp::FieldValue* const value = table->find("capabilities");
  const auto* const capabilities = value == nullptr ? nullptr : value->get<amqp::FieldTable>();
  if (capabilities == nullptr) return;
  const auto has = [capabilities](std::string_view name) {
    const amqp::FieldValue* const flag = capabilities->find(name);
    return flag != nullptr && amqp::as_bool(*flag).value_or(false);
  };
  cancel_notify_ = has("consumer_cancel_notify");
  auth_failure_close_ = has("authentication_failure_close");
  blocked_notify_ = has("connection.blocked");
}

Outcome ConnectionSession::handle(const amqp::ConnectionStartOk& method) {
  if (state_ != State::want_start_ok) {
    return amqp::connection_error(amqp::ReplyCode::command_invalid,
                                  "unexpected connection.start-ok");
  }
  read_client_properties(method.client_properties);
  return login(method.mechanism, method.response);
}

Outcome ConnectionSession::login(std::string_view mechanism, Bytes response) {
  std::optional<auth::Credentials> credentials;
  if (mechanism == "PLAIN") {
    credentials = auth::parse_plain(response);
  } else if (mechanism == "AMQPLAIN") {
    credentials = auth::parse_amqplain(response);
  } else {
    return amqp::connection_error(
        amqp::ReplyCode::command_invalid,
        fmt::format("unknown authentication mechanism '{}'", amqp::utf8_prefix(mechanism, 64)));
  }
  if (!credentials) return refuse_login(mechanism, "malformed response");
  const auto user = users().authenticate(*credentials, parts_.peer_is_loopback);
  if (!user.ok()) return refuse_login(mechanism, user.error().text);
  user_ = user.value()->name;
  state_ = State::want_tune_ok;
  amqp::ConnectionTune tune;
  tune.channel_max = limits().channel_max;
  tune.frame_max = limits().frame_max;
  tune.heartbeat = limits().heartbeat_s;
  send(0, tune);
  return {};
}

Outcome ConnectionSession::refuse_login(std::string_view mechanism, const std::string& reason) {
  WLOG(warn, "login refused conn={} peer={} reason='{}'", id_.value, parts_.peer,
       printable(reason));
  if (!auth_failure_close_) {
    become_closed();
    return {};
  }
  return amqp::connection_error(
      amqp::ReplyCode::access_refused,
      fmt::format("Login was refused using authentication mechanism {}. For details see the broker "
                  "logfile.",
                  mechanism));
}

Outcome ConnectionSession::handle(const amqp::ConnectionTuneOk& method) {
  if (state_ != State::want_tune_ok) {
    return amqp::connection_error(amqp::ReplyCode::command_invalid,
                                  "unexpected connection.tune-ok");
  }
  const auto refuse = [](std::string_view what, std::uint32_t value, std::string_view than,
                         std::uint32_t bound) {
    return amqp::connection_error(
        amqp::ReplyCode::not_allowed,
        fmt::format("negotiated {} = {} is {} allowed value ({})", what, value, than, bound));
  };
  if (method.frame_max != 0 && method.frame_max < kFrameMinBytes) {
    return refuse("frame_max", method.frame_max, "lower than the minimum", kFrameMinBytes);
  }
  // Zero is "no limit", and we have one.
  if (method.frame_max == 0 || method.frame_max > limits().frame_max) {
    return refuse("frame_max", method.frame_max, "higher than the maximum", limits().frame_max);
  }
  if (method.channel_max == 0 || method.channel_max > limits().channel_max) {
    return refuse("channel_max", method.channel_max, "higher than the maximum",
                  limits().channel_max);
  }
  frame_max_ = method.frame_max;
  channel_max_ = method.channel_max;
  heartbeat_s_ = method.heartbeat;
  state_ = State::want_open;
  return {};
}

Outcome ConnectionSession::handle(const amqp::ConnectionOpen& method) {
  if (state_ != State::want_open) {
    return amqp::connection_error(amqp::ReplyCode::command_invalid, "unexpected connection.open");
  }
  const std::string name(method.virtual_host.value);
  if (broker().topology().find_vhost(name) == nullptr) {
    return amqp::connection_error(amqp::ReplyCode::not_allowed,
                                  fmt::format("vhost {} not found", name));
  }
  if (!users().has_access(user_, name)) {
    return amqp::connection_error(
        amqp::ReplyCode::not_allowed,
        fmt::format("access to vhost '{}' refused for user '{}'", name, user_));
  }
  vhost_name_ = name;
  state_ = State::open;
  const Instant now = clock().now();
  last_received_ = now;
  last_sent_ = now;
  WLOG(debug, "connection open conn={} peer={} user='{}' vhost='{}' name='{}'", id_.value,
       parts_.peer, user_, vhost_name_, printable(client_name_, 128));
  send(0, amqp::ConnectionOpenOk{});
  return {};
}

// The password proves the user again; what it may do may have changed meanwhile.
Outcome ConnectionSession::handle(const amqp::ConnectionUpdateSecret& method) {
  if (state_ != State::open) {
    return amqp::connection_error(amqp::ReplyCode::command_invalid,
                                  "unexpected connection.update-secret");
  }
  const auth::Credentials credentials{user_, std::string(method.new_secret.value)};
  const auto user = users().authenticate(credentials, parts_.peer_is_loopback);
  if (!user.ok()) {
    WLOG(warn, "new secret refused conn={} peer={} reason='{}'", id_.value, parts_.peer,
         printable(user.error().text));
    return amqp::connection_error(amqp::ReplyCode::not_allowed,
                                  "New secret was refused by one of the backends");
  }
  send(0, amqp::ConnectionUpdateSecretOk{});
  for (auto& [number, channel] : channels_) {
    if (!channel->closing()) channel->recheck_consumers();
  }
  return {};
}

}  // namespace warren::session
