// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/codec_workloads.h"

#include <string>

#include <fmt/format.h>

#include "storage/base/assert.h"

#include "server/amqp/field_table_codec.h"
#include "server/amqp/frame.h"
#include "server/amqp/frame_writer.h"
#include "server/amqp/gen/basic.gen.h"
#include "server/amqp/properties.h"
#include "server/broker/router.h"

namespace warren::bench {
namespace {

std::string persistent_properties() {
  amqp::PropertiesView properties;
  properties.delivery_mode = amqp::kDeliveryModePersistent;
  std::string raw;
  amqp::encode_properties(raw, properties);
  return raw;
}

class Parse final : public Workload {
 public:
  Parse() {
    for (int i = 0; i < kMessages; ++i) {
      amqp::BasicPublish publish;
      publish.exchange = "exchange";
      publish.routing_key = "routing.key";
      amqp::append_method_frame(bytes_, 1, publish);
      amqp::append_header_frame(bytes_, 1, amqp::kClassBasic, 16, persistent_properties());
      amqp::append_body_frames(bytes_, 1, "0123456789abcdef", 0);
    }
  }

  std::uint64_t run(std::uint64_t operations) override {
    std::uint64_t done = 0;
    for (; done < operations; done += kMessages) pass();
    WARREN_ASSERT(body_bytes_ == done * 16);
    body_bytes_ = 0;
    return done;
  }

 private:
  static constexpr int kMessages = 100;

  void pass() {
    Bytes in = bytes_;
    amqp::Frame frame;
    while (amqp::read_frame(in, amqp::kFrameMaxDefault, frame) == amqp::FrameStatus::ok) {
      in.remove_prefix(frame.size);
      if (frame.type == amqp::kFrameMethod) {
        amqp::BasicPublish publish;
        WARREN_ASSERT(amqp::decode_arguments(frame.payload.substr(4), publish));
      } else if (frame.type == amqp::kFrameHeader) {
        amqp::ContentHeader header;
        amqp::PropertiesView properties;
        WARREN_ASSERT(amqp::read_content_header(frame.payload, header));
        WARREN_ASSERT(amqp::parse_properties(header.raw_properties, properties));
      } else {
        body_bytes_ += frame.payload.size();
      }
    }
  }

  std::string bytes_;
  std::uint64_t body_bytes_ = 0;
};

class FieldTables final : public Workload {
 public:
  FieldTables() {
    amqp::FieldTable table;
    for (int i = 0; i < 4; ++i) {
      table.set(fmt::format("number-{}", i), i * 1000);
      table.set(fmt::format("text-{}", i), fmt::format("the value of header {}", i));
    }
    amqp::encode_table(bytes_, table);
  }

  std::uint64_t run(std::uint64_t operations) override {
    std::string out;
    for (std::uint64_t i = 0; i < operations; ++i) {
      const auto table = amqp::decode_table(bytes_);
      WARREN_ASSERT(table.ok());
      out.clear();
      amqp::encode_table(out, *table);
      WARREN_ASSERT(out == bytes_);
    }
    return operations;
  }

 private:
  std::string bytes_;
};

class Routing final : public Workload {
 public:
  explicit Routing(bool topic) : topic_(topic) {
    topology_.apply(broker::VhostAdded{{"/"}});
    storage::ExchangeDefinition exchange;
    exchange.vhost = "/";
    exchange.name = "x";
    exchange.type = topic ? "topic" : "direct";
    topology_.apply(broker::ExchangeAdded{exchange});
    for (int i = 0; i < kBindings; ++i) bind(i);
  }

  std::uint64_t run(std::uint64_t operations) override {
    const broker::Vhost& vhost = *topology_.find_vhost("/");
    broker::Exchange& exchange = *vhost.find_exchange("x");
    for (std::uint64_t i = 0; i < operations; ++i) {
      const std::string key = key_of(static_cast<int>(i % kBindings));
      broker::RouteInput input;
      input.routing_key = key;
      WARREN_ASSERT(router_.route(vhost, exchange, input).size() == 1);
    }
    return operations;
  }

 private:
  static constexpr int kBindings = 1000;

  static std::string key_of(int i) { return fmt::format("eu.{}.sensor.{}", i / 10, i % 10); }

  void bind(int i) {
    storage::QueueDefinition queue;
    queue.vhost = "/";
    queue.name = fmt::format("q{}", i);
    queue.log = LogId(static_cast<std::uint64_t>(i) + 1);
    topology_.apply(
        broker::QueueAdded{std::make_shared<const storage::QueueDefinition>(queue), 0, {}});
    storage::BindingDefinition binding;
    binding.vhost = "/";
    binding.source = "x";
    binding.destination = queue.name;
    // One that looks at each word of the key.
    binding.routing_key = topic_ ? fmt::format("*.{}.#.{}", i / 10, i % 10) : key_of(i);
    topology_.apply(broker::BindingAdded{binding});
  }

  bool topic_;
  broker::Topology topology_;
  broker::Router router_;
};

}  // namespace

std::unique_ptr<Workload> make_parse() {
  return std::make_unique<Parse>();
}
std::unique_ptr<Workload> make_field_table() {
  return std::make_unique<FieldTables>();
}
std::unique_ptr<Workload> make_route_direct() {
  return std::make_unique<Routing>(false);
}
std::unique_ptr<Workload> make_route_topic() {
  return std::make_unique<Routing>(true);
}

}  // namespace warren::bench
