// SPDX-License-Identifier: Apache-2.0
#include "server/broker/exchange/hash.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "storage/base/assert.h"

#include "server/amqp/field_table_codec.h"
#include "server/broker/exchange/stable_hash.h"

namespace warren::broker {
namespace {

std::uint64_t destination_hash(const storage::BindingDefinition& definition) {
  return mix_bits(stable_hash(definition.destination) +
                  static_cast<std::uint64_t>(definition.destination_kind));
}

// The number that a destination draws, in (0, 1).
double as_fraction(std::uint64_t bits) {
  return (static_cast<double>(bits >> 11) + 0.5) * 0x1p-53;
}

std::string text_argument(const amqp::FieldTable& table, std::string_view name) {
  const amqp::FieldValue* const value = table.find(name);
  return value == nullptr ? std::string() : std::string(amqp::as_string(*value).value_or(""));
}

std::uint64_t hash_of_header(Bytes headers, std::string_view name) {
  if (headers.empty()) return stable_hash({});
  const auto table = amqp::decode_table(headers);
  const amqp::FieldValue* const value = table.ok() ? table->find(name) : nullptr;
  if (value == nullptr) return stable_hash({});
  return stable_hash(amqp::to_text(*value));
}

std::uint64_t hash_of_property(const amqp::PropertiesView* properties, std::string_view name) {
  if (properties == nullptr) return stable_hash({});
  if (name == "timestamp") {
    return stable_hash(properties->timestamp ? std::to_string(*properties->timestamp) : "");
  }
  const auto& text = name == "message_id" ? properties->message_id : properties->correlation_id;
  return stable_hash(text ? text->value : Bytes{});
}

}  // namespace

std::optional<std::uint32_t> read_weight(std::string_view key) {
  std::uint32_t weight = 0;
  const auto [stop, error] = std::from_chars(key.data(), key.data() + key.size(), weight);
  if (error != std::errc{} || stop != key.data() + key.size()) return std::nullopt;
  if (weight == 0 || weight > kHashWeightMax) return std::nullopt;
  return weight;
}

bool is_hash_property(std::string_view name) {
  return name == "correlation_id" || name == "message_id" || name == "timestamp";
}

// ---- x-consistent-hash ----

ConsistentHashExchange::ConsistentHashExchange(storage::ExchangeDefinition definition)
    : Exchange(std::move(definition)) {
  if (this->definition().arguments.empty()) return;
  const auto table = amqp::decode_table(this->definition().arguments);
  if (!table.ok()) return;
  header_ = text_argument(*table, "hash-header");
  if (header_.empty()) header_ = text_argument(*table, "x-hash-on");
  property_ = text_argument(*table, "hash-property");
}

std::uint64_t ConsistentHashExchange::hash_of(const RouteInput& input) const {
  if (!header_.empty()) return hash_of_header(input.headers, header_);
  if (!property_.empty()) return hash_of_property(input.properties, property_);
  return stable_hash(input.routing_key);
}

void ConsistentHashExchange::route(const RouteInput& input, RouteOutput& output) const {
  if (candidates_.empty()) return;
  const std::uint64_t key = hash_of(input);
  const Candidate* best = &candidates_.front();
  if (weights_.size() == 1) {
    // All alike: the largest number wins, which is what the formula below comes to.
    std::uint64_t largest = 0;
    for (const Candidate& candidate : candidates_) {
      const std::uint64_t drawn = mix_bits(key ^ candidate.hash);
      if (drawn <= largest) continue;
      largest = drawn;
      best = &candidate;
    }
  } else {
    double least = std::numeric_limits<double>::infinity();
    for (const Candidate& candidate : candidates_) {
      const double drawn = as_fraction(mix_bits(key ^ candidate.hash));
      const double score = -std::log(drawn) / candidate.weight;
      if (score >= least) continue;
      least = score;
      best = &candidate;
    }
  }
  output.add(*best->binding);
}

void ConsistentHashExchange::index(const Binding& binding) {
  const std::uint32_t weight = read_weight(binding.definition.routing_key).value_or(1);
  binding.index_position = candidates_.size();
  candidates_.push_back({&binding, destination_hash(binding.definition), weight});
  ++weights_[weight];
}

void ConsistentHashExchange::unindex(const Binding& binding) {
  const std::size_t at = binding.index_position;
  const auto weight = weights_.find(candidates_[at].weight);
  if (--weight->second == 0) weights_.erase(weight);
  if (at + 1 != candidates_.size()) {
    candidates_[at] = candidates_.back();
    candidates_[at].binding->index_position = at;
  }
  candidates_.pop_back();
}

// ---- x-modulus-hash ----

void ModulusHashExchange::route(const RouteInput& input, RouteOutput& output) const {
  if (destinations_.empty()) return;
  const std::size_t which = stable_hash(input.routing_key) % destinations_.size();
  output.add(*destinations_[which].second.front());
}

void ModulusHashExchange::index(const Binding& binding) {
  const storage::BindingDefinition& definition = binding.definition;
  const Destination key{definition.destination_kind, definition.destination};
  const auto at = std::lower_bound(
      destinations_.begin(), destinations_.end(), key,
      [](const auto& entry, const Destination& wanted) { return entry.first < wanted; });
  if (at != destinations_.end() && at->first == key) {
    at->second.push_back(&binding);
  } else {
    destinations_.insert(at, {key, {&binding}});
  }
}

void ModulusHashExchange::unindex(const Binding& binding) {
  const storage::BindingDefinition& definition = binding.definition;
  const Destination key{definition.destination_kind, definition.destination};
  const auto at = std::lower_bound(
      destinations_.begin(), destinations_.end(), key,
      [](const auto& entry, const Destination& wanted) { return entry.first < wanted; });
  WARREN_ASSERT(at != destinations_.end() && at->first == key);
  std::erase(at->second, &binding);
  if (at->second.empty()) destinations_.erase(at);
}

}  // namespace warren::broker
