// SPDX-License-Identifier: Apache-2.0
// A test of the AMQP conversation on brokers of several shapes: queues live on the shard of the
// connection that declares them, so `near` and `far` decide what crosses shards.
#pragma once

#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "server/amqp/field_table_codec.h"
#include "server/amqp/properties.h"

#include "tests/support/sim_client.h"

namespace warren::test {

struct Shape {
  unsigned shards;
  ShardIndex near;
  ShardIndex far;
};

class SimCase : public ::testing::TestWithParam<Shape> {
 protected:
  SimCase() : broker_(options()) {}
  explicit SimCase(SimOptions options) : broker_(std::move(options)) {}

  static SimOptions options() {
    SimOptions options;
    options.shards = GetParam().shards;
    return options;
  }
  SimClient& near() { return broker_.connect(GetParam().near); }
  SimClient& far() { return broker_.connect(GetParam().far); }

  static std::string encode(const amqp::FieldTable& table) {
    std::string bytes;
    amqp::encode_table(bytes, table);
    return bytes;
  }
  static void declare(SimClient& client, const std::string& queue,
                      const amqp::FieldTable& arguments = {}) {
    const std::string bytes = encode(arguments);
    amqp::QueueDeclare declare;
    declare.queue = queue;
    declare.durable = true;
    declare.arguments = bytes;
    client.call(1, declare);
    client.expect<amqp::QueueDeclareOk>(1);
  }
  static void exchange(SimClient& client, const std::string& name, const std::string& type,
                       const amqp::FieldTable& arguments = {}) {
    declare_exchange(client, name, type, arguments);
    client.expect<amqp::ExchangeDeclareOk>(1);
  }
  // As exchange(), but the answer is the test's.
  static void declare_exchange(SimClient& client, const std::string& name, const std::string& type,
                               const amqp::FieldTable& arguments = {}) {
    const std::string bytes = encode(arguments);
    amqp::ExchangeDeclare declare;
    declare.exchange = name;
    declare.type = type;
    declare.durable = true;
    declare.arguments = bytes;
    client.call(1, declare);
  }
  static void bind(SimClient& client, const std::string& queue, const std::string& exchange,
                   const std::string& key, const amqp::FieldTable& arguments = {}) {
    send_bind(client, queue, exchange, key, arguments);
    client.expect<amqp::QueueBindOk>(1);
  }
  static void send_bind(SimClient& client, const std::string& queue, const std::string& exchange,
                        const std::string& key, const amqp::FieldTable& arguments = {}) {
    const std::string bytes = encode(arguments);
    amqp::QueueBind bind;
    bind.queue = queue;
    bind.exchange = exchange;
    bind.routing_key = key;
    bind.arguments = bytes;
    client.call(1, bind);
  }
  static void confirm_mode(SimClient& client) {
    client.call(1, amqp::ConfirmSelect{});
    client.expect<amqp::ConfirmSelectOk>(1);
  }
  static void consume(SimClient& client, const std::string& queue, const std::string& tag = "c",
                      bool no_ack = true) {
    amqp::BasicConsume consume;
    consume.queue = queue;
    consume.consumer_tag = tag;
    consume.no_ack = no_ack;
    client.call(1, consume);
    client.expect<amqp::BasicConsumeOk>(1);
  }
  void publish(SimClient& client, const PublishOptions& options) {
    client.publish(1, options);
    broker_.settle();
  }
  // Ready messages, by a passive declare.
  static std::uint32_t depth(SimClient& client, const std::string& queue) {
    amqp::QueueDeclare declare;
    declare.queue = queue;
    declare.passive = true;
    client.call(1, declare);
    const Received answer = client.expect<amqp::QueueDeclareOk>(1);
    return SimClient::as<amqp::QueueDeclareOk>(answer).message_count;
  }
  // The next message by basic.get.
  static Received get(SimClient& client, const std::string& queue) {
    amqp::BasicGet get;
    get.queue = queue;
    get.no_ack = true;
    client.call(1, get);
    return client.expect<amqp::BasicGetOk>(1);
  }
  // Views point into `received`.
  static amqp::PropertiesView properties(const Received& received) {
    amqp::PropertiesView view;
    EXPECT_TRUE(amqp::parse_properties(received.properties, view));
    return view;
  }

  SimBroker broker_;
};

inline auto all_shapes() {
  return ::testing::Values(Shape{1, 0, 0}, Shape{3, 0, 2}, Shape{3, 2, 1});
}
inline std::string shape_name(const ::testing::TestParamInfo<Shape>& info) {
  return fmt::format("{}shards_{}to{}", info.param.shards, info.param.near, info.param.far);
}

}  // namespace warren::test
