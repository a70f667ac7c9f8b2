// SPDX-License-Identifier: Apache-2.0
// Prefetch against a naive model: per consumer (fixed when it starts) and per channel (shared, and
// changed while consumers live). Never more unacknowledged than allowed (B3), and at rest no
// consumer that may have one and has none.
#include <deque>
#include <map>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/sim_client.h"

namespace warren::test {
namespace {

using namespace amqp;  // NOLINT: methods by their AMQP names

constexpr std::uint16_t kChannels = 3;
constexpr std::size_t kQueues = 3;

struct ModelConsumer {
  std::size_t queue = 0;
  bool no_ack = false;
  std::uint16_t prefetch = 0;
};

struct ModelHeld {
  std::size_t queue = 0;
  std::string consumer;  // empty: a basic.get
};

struct ModelChannel {
  bool open = false;
  std::map<std::string, ModelConsumer> consumers;
  std::map<std::uint64_t, ModelHeld> held;  // by tag
  std::uint16_t prefetch = 0;               // of the consumers to come
  std::uint16_t shared = 0;
  std::uint16_t shared_before = 0;  // the widest since the last rest; 0: none

  std::size_t held_by(const std::string& tag) const {
    std::size_t count = 0;
    for (const auto& [number, one] : held) count += one.consumer == tag ? 1 : 0;
    return count;
  }
  std::size_t held_by_consumers() const { return held.size() - held_by(""); }
  bool has_room(const std::string& tag, const ModelConsumer& consumer) const {
    if (shared != 0 && held_by_consumers() >= shared) return false;
    return consumer.no_ack || consumer.prefetch == 0 || held_by(tag) < consumer.prefetch;
  }
};

// One connection with some channels; the queues live on several shards.
class QosRun {
 public:
  explicit QosRun(std::uint64_t seed) : random_(seed), broker_(options(seed)) {
    client_ = &broker_.connect_raw(static_cast<ShardIndex>(random_() % broker_.options().shards));
    client_->handshake();
    for (std::size_t i = 0; i < kQueues; ++i) {
      const auto shard = static_cast<ShardIndex>(i % broker_.options().shards);
      SimClient& owner = broker_.connect(shard);
      owner.call(1, QueueDeclare{.queue = name(i), .durable = true});
      owner.expect<QueueDeclareOk>(1);
      owners_.push_back(&owner);
    }
    ready_.resize(kQueues);
  }

  std::string run(unsigned steps) {
    for (unsigned i = 0; i < steps && failure_.empty(); ++i) {
      act();
      if (chance(35)) {
        rest();
      } else {
        for (std::uint64_t n = random_() % 12; n > 0; --n) broker_.step();
        hear();
      }
    }
    if (failure_.empty()) rest();
    if (failure_.empty()) return {};
    std::string text = failure_ + "\nlast steps:";
    for (const std::string& line : log_) text += "\n  " + line;
    return text;
  }

 private:
  static SimOptions options(std::uint64_t seed) {
    SimOptions options;
    options.shards = static_cast<unsigned>(1 + seed % 3);
    options.seed = seed;
    return options;
  }
  static std::string name(std::size_t queue) { return fmt::format("q{}", queue); }
  bool chance(unsigned percent) { return random_() % 100 < percent; }
  void fail(std::string text) {
    if (failure_.empty()) failure_ = std::move(text);
  }
  void note(std::string text) {
    log_.push_back(std::move(text));
    if (log_.size() > 30) log_.pop_front();
  }

  // ---- what happens ----

  void act() {
    const auto number = static_cast<std::uint16_t>(1 + random_() % kChannels);
    ModelChannel& channel = channels_[number];
    if (!channel.open) {
      client_->send(number, ChannelOpen{});
      rest_expecting<ChannelOpenOk>(number);
      channel = ModelChannel();
      channel.open = true;
      return;
    }
    const std::uint64_t roll = random_() % 100;
    if (roll < 25) return publish();
    if (roll < 55) return settle(number);
    if (roll < 67) return consume(number);
    if (roll < 72) return cancel(number);
    if (roll < 77) return get(number);
    if (roll < 94) return qos(number);
    if (roll < 97) return recover(number);
    close(number);
  }

  void publish() {
    const std::size_t queue = random_() % kQueues;
    for (std::uint64_t n = 1 + random_() % 8; n > 0; --n) {
      owners_[queue]->publish(1, {.exchange = {}, .routing_key = name(queue), .body = "m"});
      ++ready_[queue];
    }
    note(fmt::format("publish to {}", queue));
  }

  void settle(std::uint16_t number) {
    ModelChannel& channel = channels_[number];
    if (channel.held.empty()) return;
    auto at = channel.held.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(random_() % channel.held.size()));
    const std::uint64_t tag = at->first;
    const bool multiple = chance(30);
    const bool requeue = chance(30);
    note(fmt::format("channel {}: settle {} multiple={} requeue={}", number, tag, multiple,
                     requeue));
    for (auto it = multiple ? channel.held.begin() : at;
         it != channel.held.end() && it->first <= tag;) {
      if (requeue) ++ready_[it->second.queue];
      it = channel.held.erase(it);
    }
    if (requeue) {
      client_->send(number, BasicNack{.delivery_tag = tag, .multiple = multiple, .requeue = true});
    } else if (chance(50)) {
      client_->send(number, BasicAck{.delivery_tag = tag, .multiple = multiple});
    } else {
      client_->send(number, BasicNack{.delivery_tag = tag, .multiple = multiple, .requeue = false});
    }
  }

  void consume(std::uint16_t number) {
    ModelChannel& channel = channels_[number];
    if (channel.consumers.size() >= 3) return;
    const std::string tag = fmt::format("c{}", ++tags_);
    ModelConsumer consumer;
    consumer.queue = random_() % kQueues;
    consumer.no_ack = chance(15);
    consumer.prefetch = channel.prefetch;
    note(fmt::format("channel {}: consume {} from {} prefetch {}{}", number, tag, consumer.queue,
                     consumer.prefetch, consumer.no_ack ? " no-ack" : ""));
    const std::string queue = name(consumer.queue);
    client_->send(number,
                  BasicConsume{.queue = queue, .consumer_tag = tag, .no_ack = consumer.no_ack});
    channel.consumers.emplace(tag, consumer);
    rest_expecting<BasicConsumeOk>(number);
  }

  // What it holds stays held, and still counts for the channel.
  void cancel(std::uint16_t number) {
    ModelChannel& channel = channels_[number];
    if (channel.consumers.empty()) return;
    const std::string tag = channel.consumers.begin()->first;
    note(fmt::format("channel {}: cancel {}", number, tag));
    client_->send(number, BasicCancel{.consumer_tag = tag});
    rest_expecting<BasicCancelOk>(number, tag);
  }

  void get(std::uint16_t number) {
    const std::size_t queue = random_() % kQueues;
    const std::string text = name(queue);
    note(fmt::format("channel {}: get from {}", number, queue));
    rest();
    client_->send(number, BasicGet{.queue = text});
    broker_.settle();
    const Received received = client_->take();
    const auto* const ok = std::get_if<BasicGetOk>(&received.method);
    if ((ok != nullptr) != (ready_[queue] > 0)) return fail("get: " + client_->describe(received));
    if (ok == nullptr) return;
    channels_[number].held.emplace(ok->delivery_tag, ModelHeld{queue, ""});
    --ready_[queue];
  }

  void qos(std::uint16_t number) {
    ModelChannel& channel = channels_[number];
    const bool global = chance(60);
    const auto limit = static_cast<std::uint16_t>(chance(30) ? 0 : 1 + random_() % 6);
    note(fmt::format("channel {}: qos {} global={}", number, limit, global));
    client_->send(number, BasicQos{.prefetch_count = limit, .global = global});
    if (!global) {
      channel.prefetch = limit;
      return;
    }
    const bool open_end = limit == 0 || channel.shared_before == 0;
    channel.shared_before = open_end ? 0 : std::max(channel.shared_before, limit);
    channel.shared = limit;
  }

  void recover(std::uint16_t number) {
    note(fmt::format("channel {}: recover", number));
    rest();
    give_back(channels_[number]);
    client_->send(number, BasicRecover{.requeue = true});
    rest_expecting<BasicRecoverOk>(number);
  }

  void close(std::uint16_t number) {
    ModelChannel& channel = channels_[number];
    note(fmt::format("channel {}: close", number));
    rest();
    give_back(channel);
    channel.open = false;
    channel.consumers.clear();
    client_->send(number, ChannelClose{.reply_code = 200});
    rest_expecting<ChannelCloseOk>(number);
  }

  void give_back(ModelChannel& channel) {
    for (const auto& [tag, one] : channel.held) ++ready_[one.queue];
    channel.held.clear();
  }

  // ---- what comes ----

  void hear() {
    while (client_->has_received() && failure_.empty()) on_received(client_->take());
  }

  void on_received(const Received& received) {
    if (std::holds_alternative<BasicQosOk>(received.method)) return;
    const auto* const deliver = std::get_if<BasicDeliver>(&received.method);
    if (deliver == nullptr) {
      if (answer_ && answer_(received)) {
        answer_ = nullptr;
        return;
      }
      return fail("unexpected " + SimClient::describe(received));
    }
    ModelChannel& channel = channels_[received.channel];
    const std::string tag(deliver->consumer_tag.value);
    const auto at = channel.consumers.find(tag);
    if (at == channel.consumers.end()) return fail("delivery to nobody: " + tag);
    const ModelConsumer& consumer = at->second;
    --ready_[consumer.queue];
    if (consumer.no_ack) return;
    channel.held.emplace(deliver->delivery_tag, ModelHeld{consumer.queue, tag});
    note(fmt::format("channel {}: {} delivered to {}", received.channel, deliver->delivery_tag,
                     tag));
    if (consumer.prefetch != 0 && channel.held_by(tag) > consumer.prefetch) {
      fail(fmt::format("{} holds {} of {}", tag, channel.held_by(tag), consumer.prefetch));
    }
    // Before the rest what was let through under a wider limit may still come.
    if (channel.shared_before != 0 && channel.held_by_consumers() > channel.shared_before) {
      fail(fmt::format("channel {} holds {} of {}", received.channel, channel.held_by_consumers(),
                       channel.shared_before));
    }
  }

  template <class Method>
  void rest_expecting(std::uint16_t number, const std::string& cancelled = {}) {
    answer_ = [this, number, cancelled](const Received& received) {
      if (received.channel != number || !std::holds_alternative<Method>(received.method)) {
        return false;
      }
      channels_[number].consumers.erase(cancelled);
      return true;
    };
    rest();
    if (answer_) fail(fmt::format("no {}", Method::kName));
    answer_ = nullptr;
  }

  void rest() {
    broker_.settle();
    hear();
    for (auto& [number, channel] : channels_) channel.shared_before = channel.shared;
    for (std::size_t queue = 0; queue < kQueues && failure_.empty(); ++queue) {
      const std::string text = name(queue);
      owners_[queue]->call(1, QueueDeclare{.queue = text, .passive = true});
      const Received answer = owners_[queue]->expect<QueueDeclareOk>(1);
      const auto count = SimClient::as<QueueDeclareOk>(answer).message_count;
      if (count != ready_[queue]) {
        fail(fmt::format("{} are ready in {}, expected {}", count, queue, ready_[queue]));
      }
      if (ready_[queue] > 0) check_idle(queue);
    }
  }

  void check_idle(std::size_t queue) {
    for (const auto& [number, channel] : channels_) {
      for (const auto& [tag, consumer] : channel.consumers) {
        if (consumer.queue != queue || !channel.has_room(tag, consumer)) continue;
        fail(fmt::format("{} has {} ready, and {} on channel {} has room", queue, ready_[queue],
                         tag, number));
      }
    }
  }

  std::mt19937_64 random_;
  SimBroker broker_;
  SimClient* client_ = nullptr;
  std::vector<SimClient*> owners_;
  std::vector<std::uint64_t> ready_;
  std::map<std::uint16_t, ModelChannel> channels_;
  std::function<bool(const Received&)> answer_;
  std::uint64_t tags_ = 0;
  std::deque<std::string> log_;
  std::string failure_;
};

class QosProperty : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(QosProperty, NeverTooManyAndNeverIdle) {
  constexpr std::uint64_t kSeeds = 60;
  for (std::uint64_t seed = GetParam() * kSeeds; seed < (GetParam() + 1) * kSeeds; ++seed) {
    ASSERT_EQ(QosRun(seed).run(150), "") << "seed " << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, QosProperty, ::testing::Range<std::uint64_t>(0, 10));

}  // namespace
}  // namespace warren::test
