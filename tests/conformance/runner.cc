// SPDX-License-Identifier: Apache-2.0
// Running a case, and the steps that act; the ones that expect are in runner_expect.cc.
#include "tests/conformance/runner.h"

#include <algorithm>

#include <fmt/format.h>

#include "server/amqp/field_table_codec.h"
#include "server/amqp/frame_writer.h"

namespace warren::conformance {
namespace {

const Argument* find_argument(const std::vector<Argument>& arguments, std::string_view name) {
  const auto found = std::find_if(arguments.begin(), arguments.end(),
                                  [name](const Argument& one) { return one.name == name; });
  return found == arguments.end() ? nullptr : &*found;
}

}  // namespace

std::string Runner::run() {
  return run_steps(script_.steps.size());
}

std::string Runner::run_steps(std::size_t count) {
  for (std::size_t i = 0; i < count && !failed(); ++i) play(script_.steps[i]);
  if (!failed() && count == script_.steps.size()) check_end();
  return failure_;
}

// What nobody expected is a failure as well.
void Runner::check_end() {
  for (const auto& [name, conversation] : conversations_) {
    conversation->listen(Duration::zero());
    std::string why = conversation->broken();
    if (why.empty()) why = conversation->leftovers(name, -1);
    if (why.empty()) continue;
    failure_ = fmt::format("{}.wire:{}: {}: at its end: {}", script_.file, script_.line,
                           script_.name, why);
    return;
  }
}

void Runner::fail(const Step& step, const std::string& why) {
  if (failed()) return;
  failure_ = fmt::format("{}.wire:{}: {}: {}", script_.file, step.line, step.text, why);
  for (const auto& [name, conversation] : conversations_) {
    const std::string rest = conversation->leftovers(name, -1);
    if (!rest.empty()) failure_ += "\n  waiting: " + rest;
    if (!conversation->broken().empty()) failure_ += "\n  " + name + ": " + conversation->broken();
  }
}

Variables Runner::known(const Step& step) const {
  Variables all = variables_;
  all.insert(step.counters.begin(), step.counters.end());
  return all;
}

Conversation* Runner::find(const Step& step) {
  const auto found = conversations_.find(step.connection);
  if (found != conversations_.end()) return found->second.get();
  fail(step, fmt::format("there is no connection '{}'", step.connection));
  return nullptr;
}

std::uint16_t Runner::channel_of(const Step& step) const {
  return step.channel < 0 ? 0 : static_cast<std::uint16_t>(step.channel);
}

void Runner::play(const Step& step) {
  switch (step.verb) {
    case Verb::open:
    case Verb::connect:
      return play_open(step);
    case Verb::send:
      return send_method(step, step.what, step.arguments);
    case Verb::publish:
      return play_publish(step);
    case Verb::call:
      return play_call(step);
    case Verb::get:
      return play_get(step);
    case Verb::expect:
      return play_expect(step);
    case Verb::refused:
      return play_refused(step);
    case Verb::dropped:
      return play_dropped(step);
    case Verb::confirms:
      return play_confirms(step);
    case Verb::bye:
      return play_bye(step);
    case Verb::cut:
      if (find(step) != nullptr) conversations_.erase(step.connection);
      return;
    case Verb::raw:
      if (Conversation* const conversation = find(step)) conversation->send(step.bytes);
      return;
    case Verb::frame:
      return play_frame(step);
    case Verb::wait:
      return world_.wait(step.duration);
    case Verb::sync:
      return play_sync(step);
    case Verb::restart:
    case Verb::crash:
      return play_broker_end(step);
    case Verb::together:
      return play_together(step);
  }
}

void Runner::play_open(const Step& step) {
  if (step.channel > 0) {
    send_method(step, "channel.open", {});
    return expect_message(step, "channel.open-ok", {});
  }
  std::unique_ptr<Transport> transport = world_.connect();
  if (transport == nullptr) return fail(step, "nobody answers");
  auto conversation = std::make_unique<Conversation>(std::move(transport));
  Conversation& opened = *conversation;
  conversations_[step.connection] = std::move(conversation);
  if (step.verb == Verb::connect) return;
  handshake(step, opened);
  if (failed()) return;
  Step first = step;
  first.channel = 1;
  send_method(first, "channel.open", {});
  expect_message(first, "channel.open-ok", {});
}

// The whole handshake, with what the step says instead of the usual values.
void Runner::handshake(const Step& step, Conversation& conversation) {
  const Variables variables = known(step);
  const auto text = [&](std::string_view name, std::string usual) {
    const Argument* const given = find_argument(step.arguments, name);
    return given == nullptr ? usual : fill_in(given->value.text, variables);
  };
  const auto number = [&](std::string_view name, std::uint64_t usual) {
    const Argument* const given = find_argument(step.arguments, name);
    const auto value = given == nullptr ? std::nullopt : amqp::as_integer(given->value.other);
    return value ? static_cast<std::uint64_t>(*value) : usual;
  };
  conversation.send(amqp::kProtocolHeader);
  expect_message(step, "connection.start", {});

  amqp::FieldTable capabilities;
  for (const char* const name : {"consumer_cancel_notify", "authentication_failure_close",
                                 "basic.nack", "publisher_confirms", "connection.blocked"}) {
    capabilities.set(name, true);
  }
  if (const Argument* const given = find_argument(step.arguments, "capabilities")) {
    for (const auto& [name, value] : given->value.entries) {
      capabilities.set(name, to_field_value(value, variables));
    }
  }
  amqp::FieldTable properties;
  properties.set("capabilities", capabilities);
  std::string encoded;
  amqp::encode_table(encoded, properties);
  const Login login = world_.login();
  const std::string response =
      '\0' + text("user", login.user) + '\0' + text("password", login.password);
  std::string out;
  amqp::append_method_frame(out, 0,
                            amqp::ConnectionStartOk{.client_properties = encoded,
                                                    .mechanism = "PLAIN",
                                                    .response = response,
                                                    .locale = "en_US"});
  conversation.send(out);
  const auto tune = receive(step, "connection.tune");
  if (!tune) return;
  const std::string why = mismatch_of(*tune, "connection.tune", {});
  if (!why.empty()) return fail(step, why);
  const auto offered = [&tune](std::string_view name) {
    return static_cast<std::uint64_t>(amqp::as_integer(*field_of(*tune, name)).value_or(0));
  };
  amqp::ConnectionTuneOk tune_ok;
  tune_ok.channel_max = static_cast<std::uint16_t>(number("channel-max", offered("channel-max")));
  tune_ok.frame_max = static_cast<std::uint32_t>(number("frame-max", offered("frame-max")));
  tune_ok.heartbeat = static_cast<std::uint16_t>(number("heartbeat", 0));
  conversation.frame_max = tune_ok.frame_max;
  out.clear();
  amqp::append_method_frame(out, 0, tune_ok);
  const std::string vhost = text("vhost", login.vhost);
  amqp::append_method_frame(out, 0, amqp::ConnectionOpen{.virtual_host = vhost});
  conversation.send(out);
  expect_message(step, "connection.open-ok", {});
}

void Runner::send_method(const Step& step, std::string_view method,
                         const std::vector<Argument>& arguments) {
  Conversation* const conversation = find(step);
  if (conversation == nullptr) return;
  const auto frame = method_frame(method, channel_of(step), arguments, known(step));
  if (!frame.ok()) return fail(step, frame.error().text);
  conversation->send(*frame);
}

void Runner::play_publish(const Step& step) {
  Conversation* const conversation = find(step);
  if (conversation == nullptr) return;
  const auto frames =
      publish_frames(channel_of(step), step.arguments, conversation->frame_max, known(step));
  if (!frames.ok()) return fail(step, frames.error().text);
  conversation->send(*frames);
}

void Runner::play_call(const Step& step) {
  const std::string answer = answer_name(step.what);
  if (answer.empty()) return fail(step, fmt::format("'{}' has no answer", step.what));
  send_method(step, step.what, step.arguments);
  if (!failed()) expect_message(step, answer, step.answer);
}

void Runner::play_get(const Step& step) {
  send_method(step, "basic.get", step.arguments);
  if (failed()) return;
  const bool empty = step.answer.size() == 1 && step.answer[0].name == "empty";
  expect_message(step, empty ? "basic.get-empty" : "basic.get-ok",
                 empty ? std::vector<Argument>() : step.answer);
}

void Runner::play_bye(const Step& step) {
  Conversation* const conversation = find(step);
  if (conversation == nullptr) return;
  std::string out;
  amqp::append_method_frame(out, 0, amqp::ConnectionClose{.reply_code = 200, .reply_text = "bye"});
  conversation->send(out);
  if (!conversation->take_first(0, {"connection.close-ok"}, world_.answer_wait())) {
    return fail(step, "no connection.close-ok came");
  }
  conversations_.erase(step.connection);
}

// A frame of this type around the bytes.
void Runner::play_frame(const Step& step) {
  Conversation* const conversation = find(step);
  if (conversation == nullptr) return;
  std::uint8_t type = 0;
  if (step.what == "method") type = amqp::kFrameMethod;
  if (step.what == "header") type = amqp::kFrameHeader;
  if (step.what == "body") type = amqp::kFrameBody;
  if (step.what == "heartbeat") type = amqp::kFrameHeartbeat;
  if (type == 0) return fail(step, "a frame is method, header, body or heartbeat");
  std::string out;
  amqp::append_frame_prefix(out, type, channel_of(step),
                            static_cast<std::uint32_t>(step.bytes.size()));
  out += step.bytes;
  out.push_back(static_cast<char>(amqp::kFrameEnd));
  conversation->send(out);
}

// A round trip on the channel: what was sent on it before has been dealt with.
void Runner::play_sync(const Step& step) {
  Conversation* const conversation = find(step);
  if (conversation == nullptr) return;
  std::string out;
  amqp::append_method_frame(out, channel_of(step),
                            amqp::ExchangeDeclare{.exchange = "amq.direct", .passive = true});
  conversation->send(out);
  if (!conversation->take_first(channel_of(step), {"exchange.declare-ok"}, world_.answer_wait())) {
    fail(step, "the channel does not answer");
  }
}

void Runner::play_broker_end(const Step& step) {
  conversations_.clear();
  if (!world_.can_restart()) return fail(step, "this broker is not ours to stop");
  step.verb == Verb::restart ? world_.restart() : world_.crash();
}

std::set<std::string> Runner::declared(const Case& script, std::string_view method,
                                       const Variables& variables) {
  std::set<std::string> names;
  const std::string_view kind = method.substr(0, method.find('.'));
  for (const Step& step : script.steps) {
    if (step.what != method) continue;
    const Argument* const name = find_argument(step.arguments, kind);
    if (name == nullptr || name->value.kind != Value::Kind::text) continue;
    Variables all = variables;
    all.insert(step.counters.begin(), step.counters.end());
    names.insert(fill_in(name->value.text, all));
  }
  return names;
}

}  // namespace warren::conformance
