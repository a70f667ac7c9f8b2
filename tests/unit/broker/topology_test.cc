// SPDX-License-Identifier: Apache-2.0
// B5: a binding stands in both of its ends, or in neither.
#include "server/broker/topology.h"

#include <random>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "server/broker/router.h"

namespace warren::broker {
namespace {

class TopologyTest : public ::testing::Test {
 protected:
  TopologyTest() { topology_.apply(VhostAdded{{"/"}}); }

  void exchange(const std::string& name, const std::string& type,
                const std::string& alternate = {}) {
    storage::ExchangeDefinition definition;
    definition.vhost = "/";
    definition.name = name;
    definition.type = type;
    topology_.apply(ExchangeAdded{definition});
    if (!alternate.empty()) vhost().find_exchange(name)->alternate = alternate;
  }
  void queue(const std::string& name) {
    storage::QueueDefinition definition;
    definition.vhost = "/";
    definition.name = name;
    definition.log = LogId(++next_log_);
    topology_.apply(
        QueueAdded{std::make_shared<const storage::QueueDefinition>(definition), 0, {}});
  }
  static storage::BindingDefinition binding(const std::string& source,
                                            const std::string& destination, bool to_exchange,
                                            const std::string& key = "k") {
    storage::BindingDefinition definition;
    definition.vhost = "/";
    definition.source = source;
    definition.destination = destination;
    definition.destination_kind =
        to_exchange ? storage::BindingDestination::exchange : storage::BindingDestination::queue;
    definition.routing_key = key;
    return definition;
  }
  void bind(const storage::BindingDefinition& definition) {
    topology_.apply(BindingAdded{definition});
  }
  Vhost& vhost() { return *topology_.find_vhost("/"); }

  // "q1 q2": names of the queues reached, in order of their names.
  std::string route(const std::string& exchange_name, const std::string& key) {
    std::vector<std::string> names;
    for (const QueueHandle* handle :
         router_.route(vhost(), *vhost().find_exchange(exchange_name), {key, {}})) {
      names.push_back(handle->definition->name);
    }
    std::sort(names.begin(), names.end());
    return fmt::format("{}", fmt::join(names, " "));
  }

  void expect_mirrored() {
    std::size_t outgoing = 0;
    std::size_t incoming = 0;
    for (const auto& [name, one] : vhost().exchanges) {
      outgoing += one->binding_count();
      incoming += one->incoming().size();
      for (const Binding* binding : one->bindings()) EXPECT_EQ(binding->source, one.get());
      for (const Binding* binding : one->incoming()) EXPECT_EQ(binding->exchange, one.get());
    }
    for (const auto& [name, handle] : vhost().queues) {
      incoming += handle->incoming.size();
      for (const Binding* binding : handle->incoming) EXPECT_EQ(binding->queue, handle.get());
    }
    EXPECT_EQ(outgoing, incoming);
  }

  Topology topology_;
  Router router_;
  std::uint64_t next_log_ = 0;
};

TEST_F(TopologyTest, EveryVhostHasThePredeclaredExchanges) {
  for (const char* const name : {"", "amq.direct", "amq.fanout", "amq.topic", "amq.headers",
                                 "amq.match", "amq.rabbitmq.trace"}) {
    EXPECT_NE(vhost().find_exchange(name), nullptr) << name;
  }
}

TEST_F(TopologyTest, RoutesThroughExchangesOncePerQueue) {
  queue("q1");
  queue("q2");
  exchange("a", "direct");
  exchange("b", "fanout");
  bind(binding("a", "q1", false));
  bind(binding("a", "b", true));
  bind(binding("b", "q1", false));
  bind(binding("b", "q2", false));
  bind(binding("b", "a", true));  // a cycle
  EXPECT_EQ(route("a", "k"), "q1 q2");
  EXPECT_EQ(route("a", "other"), "");
  EXPECT_EQ(route("", "q2"), "q2");
  EXPECT_EQ(route("", "nope"), "");
}

TEST_F(TopologyTest, AlternateExchangeIsUsedOnlyWhenNothingMatched) {
  queue("hit");
  queue("miss");
  exchange("main", "direct", "fallback");
  exchange("fallback", "fanout", "main");  // a loop is broken
  bind(binding("main", "hit", false));
  EXPECT_EQ(route("main", "nope"), "");
  bind(binding("fallback", "miss", false));
  EXPECT_EQ(route("main", "k"), "hit");
  EXPECT_EQ(route("main", "nope"), "miss");
}

TEST_F(TopologyTest, SameKeyOtherArgumentsIsAnotherBinding) {
  queue("q");
  storage::BindingDefinition one = binding("amq.direct", "q", false);
  bind(one);
  bind(one);
  EXPECT_EQ(vhost().find_exchange("amq.direct")->binding_count(), 1U);
  one.arguments = std::string("\x01xt\x01", 4);
  bind(one);
  EXPECT_EQ(vhost().find_exchange("amq.direct")->binding_count(), 2U);
  EXPECT_EQ(route("amq.direct", "k"), "q");
  topology_.apply(BindingRemoved{one});
  EXPECT_EQ(vhost().find_exchange("amq.direct")->binding_count(), 1U);
  expect_mirrored();
}

TEST_F(TopologyTest, MirrorsHoldOverRandomHistories) {
  std::mt19937 random(11);
  const auto name = [&](char kind) { return fmt::format("{}{}", kind, random() % 4); };
  for (int round = 0; round < 2000; ++round) {
    switch (random() % 6) {
      case 0: {
        const std::string e = name('e');
        if (vhost().find_exchange(e) == nullptr)
          exchange(e, random() % 2 == 0 ? "topic" : "headers");
        break;
      }
      case 1: {
        const std::string q = name('q');
        if (vhost().find_queue(q) == nullptr) queue(q);
        break;
      }
      case 2:
        bind(binding(name('e'), name('q'), false, name('k')));
        break;
      case 3:
        bind(binding(name('e'), name('e'), true, name('k')));
        break;
      case 4:
        topology_.apply(BindingRemoved{binding(name('e'), name('q'), false, name('k'))});
        break;
      default:
        if (random() % 2 == 0) {
          topology_.apply(ExchangeRemoved{"/", name('e')});
        } else if (const QueueHandle* const handle = vhost().find_queue(name('q'))) {
          topology_.apply(QueueRemoved{"/", std::string(handle->definition->name), handle->id, 0});
        }
    }
    expect_mirrored();
    if (HasFailure()) FAIL() << "round " << round;
  }
}

}  // namespace
}  // namespace warren::broker
