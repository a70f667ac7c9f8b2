// SPDX-License-Identifier: Apache-2.0
// The steps that hold what came against what was expected.
#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "server/amqp/frame_writer.h"

#include "tests/conformance/runner.h"

namespace warren::conformance {

std::optional<Message> Runner::receive(const Step& step, std::string_view wanted) {
  Conversation* const conversation = find(step);
  if (conversation == nullptr) return std::nullopt;
  if (conversation->next(channel_of(step), world_.answer_wait()) == nullptr) {
    fail(step, fmt::format("expected {}, nothing came", wanted));
    return std::nullopt;
  }
  return conversation->take(channel_of(step));
}

std::string Runner::mismatch_of(const Message& message, std::string_view method,
                                const std::vector<Argument>& arguments) {
  if (message.name() != method) {
    return fmt::format("expected {}, came {}", method, show(message));
  }
  std::size_t positional = 0;
  for (const Argument& argument : arguments) {
    if (argument.name.empty()) ++positional;
    const std::string why = mismatch_of(message, argument, positional);
    if (!why.empty()) return why + "\n  came: " + show(message);
  }
  return {};
}

// The first positional value is the code of a close or return, the second a part of its text.
std::string Runner::mismatch_of(const Message& message, const Argument& argument,
                                std::size_t positional) {
  using Operator = Argument::Operator;
  std::string name = argument.name;
  Operator op = argument.op;
  if (name.empty()) {
    name = positional == 1 ? "reply-code" : "reply-text";
    if (positional > 1) op = Operator::contains;
  }
  const auto actual = field_of(message, name);
  const amqp::FieldValue* const field = actual ? &*actual : nullptr;
  Variables all = variables_;
  all.insert(counters_.begin(), counters_.end());
  std::string why;
  switch (op) {
    case Operator::capture: {
      const auto* const text = field == nullptr ? nullptr : field->get<std::string>();
      const auto number = field == nullptr ? std::nullopt : amqp::as_integer(*field);
      if (text == nullptr && !number) return fmt::format("{}: nothing to keep", name);
      variables_[argument.variable] = text != nullptr ? *text : std::to_string(*number);
      return {};
    }
    case Operator::is_set:
      if (field == nullptr || !amqp::as_bool(*field).value_or(true)) why = "is not set";
      break;
    case Operator::not_set:
      if (field != nullptr && amqp::as_bool(*field).value_or(true)) why = "is set";
      break;
    case Operator::equal:
      why = mismatch(argument.value, field, TableMatch::exact, all);
      break;
    case Operator::differs:
      if (mismatch(argument.value, field, TableMatch::exact, all).empty()) why = "is the same";
      break;
    case Operator::contains: {
      if (argument.value.kind != Value::Kind::text) {
        why = mismatch(argument.value, field, TableMatch::subset, all);
        break;
      }
      const auto* const text = field == nullptr ? nullptr : field->get<std::string>();
      const std::string part = fill_in(argument.value.text, all);
      if (text == nullptr || text->find(part) == std::string::npos) {
        why = fmt::format("expected {} in it", show_text(part));
      }
      break;
    }
  }
  return why.empty() ? why : fmt::format("{}: {}", name, why);
}

void Runner::expect_message(const Step& step, std::string_view method,
                            const std::vector<Argument>& arguments) {
  if (failed()) return;
  const auto message = receive(step, method);
  if (!message) return;
  counters_ = step.counters;
  const std::string why = mismatch_of(*message, method, arguments);
  if (!why.empty()) fail(step, why);
}

void Runner::play_expect(const Step& step) {
  if (!play_expect_state(step)) expect_message(step, step.what, step.arguments);
}

// nothing, closed, heartbeat, protocol-header. False: none of these.
bool Runner::play_expect_state(const Step& step) {
  const bool nothing = step.what == "nothing";
  const bool closed = step.what == "closed";
  const bool heartbeat = step.what == "heartbeat";
  const bool header = step.what == "protocol-header";
  if (!nothing && !closed && !heartbeat && !header) return false;
  Conversation* const conversation = find(step);
  if (conversation == nullptr) return true;
  const Duration wait = world_.answer_wait();
  if (nothing) {
    conversation->listen(world_.silence_wait());
    const std::string came = conversation->leftovers(step.connection, step.channel);
    if (!came.empty()) fail(step, "expected nothing, came something");
    if (step.channel < 0 && conversation->closed(Duration::zero())) {
      fail(step, "the peer has closed");
    }
  }
  if (closed && !conversation->closed(wait)) fail(step, "the peer has not closed");
  if (heartbeat && !conversation->take_heartbeat(wait)) fail(step, "no heartbeat came");
  if (header && !conversation->take_protocol_header(wait)) fail(step, "no protocol header came");
  return true;
}

void Runner::play_refused(const Step& step) {
  expect_message(step, "channel.close", step.arguments);
  if (failed()) return;
  send_method(step, "channel.close-ok", {});
  send_method(step, "channel.open", {});
  expect_message(step, "channel.open-ok", {});
}

void Runner::play_dropped(const Step& step) {
  expect_message(step, "connection.close", step.arguments);
  if (failed()) return;
  send_method(step, "connection.close-ok", {});
  Conversation* const conversation = find(step);
  if (!conversation->closed(world_.answer_wait())) fail(step, "the peer has not closed");
}

void Runner::play_confirms(const Step& step) {
  Conversation* const conversation = find(step);
  if (conversation == nullptr) return;
  std::map<std::int64_t, std::string_view> wanted;
  for (const Argument& argument : step.arguments) {
    for (const Value& item : argument.value.items) {
      wanted[amqp::as_integer(item.other).value_or(0)] =
          argument.name == "nack" ? "basic.nack" : "basic.ack";
    }
  }
  while (!wanted.empty()) {
    const auto message = conversation->take_first(channel_of(step), {"basic.ack", "basic.nack"},
                                                  world_.answer_wait());
    if (!message) {
      return fail(step, fmt::format("publish {} is not answered", wanted.begin()->first));
    }
    const auto tag = amqp::as_integer(*field_of(*message, "delivery-tag")).value_or(0);
    const bool multiple = amqp::as_bool(*field_of(*message, "multiple")).value_or(false);
    if (!wanted.contains(tag)) return fail(step, "not wanted: " + show(*message));
    for (auto at = multiple ? wanted.begin() : wanted.find(tag);
         at != wanted.end() && at->first <= tag; at = wanted.erase(at)) {
      if (at->second != message->name()) return fail(step, "the wrong answer: " + show(*message));
    }
  }
}

void Runner::play_together(const Step& step) {
  std::vector<const Step*> open;
  for (const Step& one : step.steps) {
    if (one.verb != Verb::expect) return fail(one, "'together' holds expectations only");
    open.push_back(&one);
  }
  while (!open.empty() && !failed()) {
    const Step& first = *open.front();
    const auto message = receive(first, first.what);
    if (!message) return;
    const auto fits = std::find_if(open.begin(), open.end(), [&](const Step* one) {
      counters_ = one->counters;
      return one->connection == first.connection && one->channel == first.channel &&
             mismatch_of(*message, one->what, one->arguments).empty();
    });
    if (fits == open.end()) return fail(first, "none of these is what came: " + show(*message));
    open.erase(fits);
  }
}

}  // namespace warren::conformance
