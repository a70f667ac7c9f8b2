// SPDX-License-Identifier: Apache-2.0
// What tests of queues share: publishing to a queue, draining it, reading its messages' headers.
#pragma once

#include <string>
#include <utility>

#include "tests/support/sim_case.h"

namespace warren::test {

class QueueCase : public SimCase {
 protected:
  QueueCase() = default;
  explicit QueueCase(SimOptions options) : SimCase(std::move(options)) {}

  // Publishes to a queue through the default exchange.
  void put(SimClient& client, const std::string& queue, const std::string& body,
           const std::string& expiration = {}, int priority = -1, bool persistent = true) {
    PublishOptions options;
    options.routing_key = queue;
    options.body = body;
    options.expiration = expiration;
    options.priority = priority;
    options.persistent = persistent;
    publish(client, options);
  }
  void advance(Duration by) {
    broker_.advance(by);
    broker_.settle();
  }
  // All bodies, by basic.get without acknowledgement: "a b c".
  std::string drain(SimClient& client, const std::string& queue) {
    std::string bodies;
    while (true) {
      amqp::BasicGet get;
      get.queue = queue;
      get.no_ack = true;
      client.call(1, get);
      const Received next = client.take();
      if (!std::holds_alternative<amqp::BasicGetOk>(next.method)) return bodies;
      bodies += (bodies.empty() ? "" : " ") + next.body;
    }
  }
  amqp::FieldTable headers_of(const Received& received) {
    const amqp::PropertiesView view = properties(received);
    if (!view.headers) return {};
    auto table = amqp::decode_table(view.headers->value);
    EXPECT_TRUE(table.ok());
    return table.take();
  }
  // "reason queue exchange count [keys]" per entry of x-death.
  std::string deaths_of(const Received& received) {
    const amqp::FieldTable headers = headers_of(received);
    const auto* const value = headers.find("x-death");
    if (value == nullptr) return "none";
    std::string text;
    for (const amqp::FieldValue& one : *value->get<amqp::FieldArray>()) {
      const amqp::FieldTable& entry = *one.get<amqp::FieldTable>();
      std::string keys;
      for (const auto& key : *entry.find("routing-keys")->get<amqp::FieldArray>()) {
        keys += (keys.empty() ? "" : ",") + std::string(*amqp::as_string(key));
      }
      text += fmt::format(
          "{}{} {} '{}' {} [{}]", text.empty() ? "" : "; ", *amqp::as_string(*entry.find("reason")),
          *amqp::as_string(*entry.find("queue")), *amqp::as_string(*entry.find("exchange")),
          *amqp::as_integer(*entry.find("count")), keys);
    }
    return text;
  }
  void reject(SimClient& client, std::uint64_t tag, bool requeue) {
    amqp::BasicReject reject;
    reject.delivery_tag = tag;
    reject.requeue = requeue;
    client.call(1, reject);
  }
  Received get_unacked(SimClient& client, const std::string& queue) {
    amqp::BasicGet get;
    get.queue = queue;
    client.call(1, get);
    return client.expect<amqp::BasicGetOk>(1);
  }
  static std::uint64_t tag_of(const Received& received) {
    return SimClient::as<amqp::BasicGetOk>(received).delivery_tag;
  }
};

}  // namespace warren::test
