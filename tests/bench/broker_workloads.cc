// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/broker_workloads.h"

#include <string>

#include "storage/base/assert.h"

#include "tests/support/sim_client.h"

namespace warren::bench {
namespace {

using test::SimBroker;
using test::SimClient;

struct Shape {
  std::size_t body_bytes = 16;
  bool persistent = false;
  bool confirms = false;
  bool acks = false;
  unsigned shards = 1;
  bool consume_first = true;   // else the queue fills
  bool consume_after = false;  // and is drained by what is measured
};

constexpr std::uint64_t kBatch = 100;

// Counts deliveries in the outgoing bytes and knows the last tag, at next to no cost.
class Deliveries {
 public:
  void on_bytes(Bytes bytes) {
    pending_.append(bytes);
    Bytes in = pending_;
    amqp::Frame frame;
    while (amqp::read_frame(in, amqp::kFrameMaxDefault, frame) == amqp::FrameStatus::ok) {
      in.remove_prefix(frame.size);
      if (frame.type == amqp::kFrameHeader) ++count_;
    }
    pending_.erase(0, pending_.size() - in.size());
  }
  std::uint64_t count() const { return count_; }

 private:
  std::string pending_;
  std::uint64_t count_ = 0;
};

class Through final : public Workload {
 public:
  explicit Through(Shape shape) : shape_(shape), broker_(options(shape)) {
    SimClient& setup = broker_.connect(0);
    amqp::QueueDeclare declare;
    declare.queue = "q";
    declare.durable = true;
    setup.call(1, declare);
    publisher_ = &broker_.connect(shape.shards - 1);
    if (shape.confirms) publisher_->call(1, amqp::ConfirmSelect{});
    publisher_->on_output = [](Bytes) {};
    consumer_ = &broker_.connect(0);
    make_batch();
    if (shape_.consume_first) consume();
  }

  std::uint64_t run(std::uint64_t operations) override {
    const std::uint64_t batches = (operations + kBatch - 1) / kBatch;
    if (shape_.consume_after) return drain(batches * kBatch);
    for (std::uint64_t i = 0; i < batches; ++i) publish();
    WARREN_ASSERT(!shape_.consume_first || deliveries_.count() == published_);
    return batches * kBatch;
  }

  // Fills the queue; not part of what is measured.
  void fill(std::uint64_t messages) {
    for (std::uint64_t i = 0; i < messages; i += kBatch) publish();
  }

 private:
  static test::SimOptions options(const Shape& shape) {
    test::SimOptions options;
    options.shards = shape.shards;
    options.store_options.idle_commit_delay = std::chrono::milliseconds(1);
    return options;
  }

  void make_batch() {
    amqp::PropertiesView properties;
    properties.delivery_mode =
        shape_.persistent ? amqp::kDeliveryModePersistent : amqp::kDeliveryModeTransient;
    std::string raw;
    amqp::encode_properties(raw, properties);
    const std::string body(shape_.body_bytes, 'x');
    for (std::uint64_t i = 0; i < kBatch; ++i) {
      amqp::BasicPublish publish;
      publish.routing_key = "q";
      amqp::append_method_frame(batch_, 1, publish);
      amqp::append_header_frame(batch_, 1, amqp::kClassBasic, body.size(), raw);
      amqp::append_body_frames(batch_, 1, body, 0);
    }
  }

  void consume() {
    consumer_->on_output = [this](Bytes bytes) { deliveries_.on_bytes(bytes); };
    if (shape_.acks) consumer_->call(1, amqp::BasicQos{.prefetch_count = 1000});
    amqp::BasicConsume consume;
    consume.queue = "q";
    consume.no_ack = !shape_.acks;
    consumer_->call(1, consume);
  }

  void publish() {
    publisher_->send_bytes(batch_);
    broker_.settle();
    published_ += kBatch;
    if (shape_.acks && shape_.consume_first) acknowledge();
  }

  void acknowledge() {
    amqp::BasicAck ack;
    if (shape_.persistent) {
      ack.delivery_tag = deliveries_.count();
      ack.multiple = true;
      consumer_->send(1, ack);
    } else {
      for (; acked_ < deliveries_.count(); ++acked_) {
        ack.delivery_tag = acked_ + 1;
        consumer_->send(1, ack);
      }
    }
    broker_.settle();
  }

  std::uint64_t drain(std::uint64_t messages) {
    if (published_ == 0) fill(messages);
    const std::uint64_t before = deliveries_.count();
    consume();
    std::uint64_t seen = before;
    while (deliveries_.count() < published_) {
      acknowledge();
      WARREN_ASSERT(deliveries_.count() > seen);
      seen = deliveries_.count();
    }
    return deliveries_.count() - before;
  }

  Shape shape_;
  SimBroker broker_;
  SimClient* publisher_ = nullptr;
  SimClient* consumer_ = nullptr;
  std::string batch_;
  Deliveries deliveries_;
  std::uint64_t published_ = 0;
  std::uint64_t acked_ = 0;
};

// Thousands of consumers: none may cost more than the one before.
class Subscribe final : public Workload {
 public:
  Subscribe() : client_(broker_.connect(0)) {
    client_.call(1, amqp::QueueDeclare{.queue = "q"});
    client_.on_output = [](Bytes) {};
  }
  std::uint64_t run(std::uint64_t operations) override {
    for (std::uint64_t i = 0; i < operations; ++i) {
      const std::string tag = std::to_string(++consumers_);
      client_.call(1, amqp::BasicConsume{.queue = "q", .consumer_tag = tag});
    }
    return operations;
  }

 private:
  SimBroker broker_{test::SimOptions{}};
  SimClient& client_;
  std::uint64_t consumers_ = 0;
};

}  // namespace

std::unique_ptr<Workload> make_subscribe() {
  return std::make_unique<Subscribe>();
}
std::unique_ptr<Workload> make_deliver() {
  return std::make_unique<Through>(Shape{});
}
std::unique_ptr<Workload> make_deliver_acked() {
  return std::make_unique<Through>(Shape{.acks = true});
}
std::unique_ptr<Workload> make_commit() {
  return std::make_unique<Through>(Shape{.persistent = true, .confirms = true, .acks = true});
}
std::unique_ptr<Workload> make_commit_1k() {
  return std::make_unique<Through>(
      Shape{.body_bytes = 1024, .persistent = true, .confirms = true, .acks = true});
}
std::unique_ptr<Workload> make_commit_shards() {
  return std::make_unique<Through>(
      Shape{.persistent = true, .confirms = true, .acks = true, .shards = 2});
}
std::unique_ptr<Workload> make_store() {
  return std::make_unique<Through>(
      Shape{.body_bytes = 1024, .persistent = true, .confirms = true, .consume_first = false});
}
std::unique_ptr<Workload> make_read_from_disk() {
  auto workload = std::make_unique<Through>(Shape{.body_bytes = 1024,
                                                  .persistent = true,
                                                  .acks = true,
                                                  .consume_first = false,
                                                  .consume_after = true});
  workload->fill(20'000);
  return workload;
}

}  // namespace warren::bench
