// SPDX-License-Identifier: Apache-2.0
// x-consistent-hash: one binding per message, the same for the same key; the binding key is the
// destination's weight. What is hashed is the routing key, or the header or property that
// "hash-header" (LavinMQ: "x-hash-on") or "hash-property" names; a message without it hashes as an
// empty text. Adding or removing a binding moves only the keys that it takes or had.
// x-modulus-hash: the hash of the routing key modulo the number of destinations.
// The choice hangs on the names of the destinations and on nothing else, so that all shards make
// the same one, also after a restart.
#pragma once

#include <map>
#include <optional>
#include <string_view>

#include "server/broker/exchange/exchange.h"

namespace warren::broker {

inline constexpr std::uint32_t kHashWeightMax = 1'000'000'000;
// The weight that a binding key says; nothing when it is none.
std::optional<std::uint32_t> read_weight(std::string_view key);
// correlation_id, message_id or timestamp.
bool is_hash_property(std::string_view name);

// Weighted rendezvous hashing: every binding draws a number from the key, and the best one wins. No
// ring to build, no points to choose, and weights are exact. Costs a few instructions per binding.
class ConsistentHashExchange final : public Exchange {
 public:
  explicit ConsistentHashExchange(storage::ExchangeDefinition definition);
  void route(const RouteInput& input, RouteOutput& output) const override;
  bool routes_by_key() const override { return header_.empty() && property_.empty(); }

 protected:
  void index(const Binding& binding) override;
  void unindex(const Binding& binding) override;

 private:
  struct Candidate {
    const Binding* binding;
    std::uint64_t hash;  // of the destination
    std::uint32_t weight;
  };
  std::uint64_t hash_of(const RouteInput& input) const;

  std::string header_;    // to hash; empty: none
  std::string property_;  // to hash; empty: none
  std::vector<Candidate> candidates_;
  std::map<std::uint32_t, std::size_t> weights_;  // how many bindings have each
};

class ModulusHashExchange final : public Exchange {
 public:
  using Exchange::Exchange;
  void route(const RouteInput& input, RouteOutput& output) const override;

 protected:
  void index(const Binding& binding) override;
  void unindex(const Binding& binding) override;

 private:
  using Destination = std::pair<storage::BindingDestination, std::string>;
  // In order, each with its bindings.
  std::vector<std::pair<Destination, std::vector<const Binding*>>> destinations_;
};

}  // namespace warren::broker
