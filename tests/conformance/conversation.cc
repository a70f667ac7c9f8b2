// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/conversation.h"

#include <algorithm>

#include <fmt/format.h>

#include "storage/base/assert.h"

#include "server/amqp/frame.h"
#include "server/amqp/properties.h"

namespace warren::conformance {
namespace {

Duration until(Instant deadline) {
  return std::max(Duration::zero(), deadline - std::chrono::steady_clock::now());
}

}  // namespace

bool Conversation::receive(Duration wait) {
  if (!transport_->receive(in_, wait)) return false;
  parse();
  return true;
}

void Conversation::parse() {
  std::size_t at = 0;
  while (broken_.empty()) {
    amqp::Frame frame;
    const amqp::FrameStatus status = amqp::read_frame(Bytes(in_).substr(at), frame_max, frame);
    if (status == amqp::FrameStatus::need_more) break;
    if (status != amqp::FrameStatus::ok) {
      if (!Bytes(in_).substr(at).starts_with("AMQP")) broken_ = "it sent a bad frame";
      break;
    }
    on_frame(frame);
    at += frame.size;
  }
  in_.erase(0, at);
}

void Conversation::on_frame(const amqp::Frame& frame) {
  if (frame.type == amqp::kFrameHeartbeat) {
    ++heartbeats_;
    return;
  }
  std::deque<Message>& inbox = inbox_[frame.channel];
  if (frame.type != amqp::kFrameMethod) {
    if (!on_content(frame)) broken_ = fmt::format("content out of place on {}", frame.channel);
    return;
  }
  if (!inbox.empty() && !inbox.back().complete) {
    broken_ = fmt::format("a method inside a content on channel {}", frame.channel);
    return;
  }
  amqp::AnyMethod method;
  if (amqp::decode_method(frame.payload, method) != amqp::MethodDecode::ok) {
    broken_ = fmt::format("a method that does not parse on channel {}", frame.channel);
    return;
  }
  Message message;
  message.payload = frame.payload;
  std::visit(
      [&message](const auto& m) {
        message.class_id = m.kClassId;
        message.method_id = m.kMethodId;
        message.complete = !m.kHasContent;
      },
      method);
  inbox.push_back(std::move(message));
}

// Header and body frames of the last message. False: not the time for them.
bool Conversation::on_content(const amqp::Frame& frame) {
  std::deque<Message>& inbox = inbox_[frame.channel];
  if (inbox.empty() || inbox.back().complete) return false;
  Message& last = inbox.back();
  if (frame.type == amqp::kFrameHeader) {
    amqp::ContentHeader header;
    amqp::PropertiesView properties;
    if (last.body_size || !amqp::read_content_header(frame.payload, header)) return false;
    if (!amqp::parse_properties(header.raw_properties, properties)) return false;
    if (header.class_id != amqp::kClassBasic) return false;
    last.properties = header.raw_properties;
    last.body_size = header.body_size;
  } else {
    if (!last.body_size) return false;
    last.body.append(frame.payload);
  }
  last.complete = last.body.size() == *last.body_size;
  return last.body.size() <= *last.body_size;
}

const Message* Conversation::next(std::uint16_t channel, Duration wait) {
  const Instant deadline = std::chrono::steady_clock::now() + wait;
  while (true) {
    const std::deque<Message>& inbox = inbox_[channel];
    if (!inbox.empty() && inbox.front().complete) return &inbox.front();
    const bool over = !inbox_[0].empty() || !broken_.empty() || transport_->closed();
    if (!receive(over ? Duration::zero() : until(deadline))) return nullptr;
  }
}

Message Conversation::take(std::uint16_t channel) {
  std::deque<Message>& inbox = inbox_[channel];
  WARREN_ASSERT(!inbox.empty() && inbox.front().complete);
  Message message = std::move(inbox.front());
  inbox.pop_front();
  return message;
}

std::optional<Message> Conversation::take_first(std::uint16_t channel,
                                                std::initializer_list<std::string_view> names,
                                                Duration wait) {
  const Instant deadline = std::chrono::steady_clock::now() + wait;
  while (true) {
    std::deque<Message>& inbox = inbox_[channel];
    const auto found = std::find_if(inbox.begin(), inbox.end(), [&names](const Message& message) {
      return message.complete &&
             std::find(names.begin(), names.end(), message.name()) != names.end();
    });
    if (found != inbox.end()) {
      Message message = std::move(*found);
      inbox.erase(found);
      return message;
    }
    const bool over = !inbox_[0].empty() || !broken_.empty() || transport_->closed();
    if (!receive(over ? Duration::zero() : until(deadline))) return std::nullopt;
  }
}

void Conversation::listen(Duration wait) {
  const Instant deadline = std::chrono::steady_clock::now() + wait;
  while (receive(until(deadline))) {
  }
}

bool Conversation::take_heartbeat(Duration wait) {
  const Instant deadline = std::chrono::steady_clock::now() + wait;
  while (heartbeats_ == 0 && receive(until(deadline))) {
  }
  if (heartbeats_ == 0) return false;
  --heartbeats_;
  return true;
}

bool Conversation::take_protocol_header(Duration wait) {
  const Instant deadline = std::chrono::steady_clock::now() + wait;
  while (in_.size() < amqp::kProtocolHeader.size() && receive(until(deadline))) {
  }
  if (!Bytes(in_).starts_with(amqp::kProtocolHeader)) return false;
  in_.erase(0, amqp::kProtocolHeader.size());
  return true;
}

bool Conversation::closed(Duration wait) {
  const Instant deadline = std::chrono::steady_clock::now() + wait;
  while (!transport_->closed() && receive(until(deadline))) {
  }
  return transport_->closed();
}

std::string Conversation::leftovers(const std::string& name, int channel) const {
  std::string out;
  for (const auto& [number, inbox] : inbox_) {
    if (channel >= 0 && number != channel) continue;
    for (const Message& message : inbox) {
      out += fmt::format("{}{}.{}: {}", out.empty() ? "" : "; ", name, number, show(message));
    }
  }
  return out;
}

}  // namespace warren::conformance
