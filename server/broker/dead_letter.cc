// SPDX-License-Identifier: Apache-2.0
#include "server/broker/dead_letter.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "storage/base/assert.h"

#include "server/amqp/field_table_codec.h"
#include "server/amqp/properties.h"

namespace warren::broker {
namespace {

using amqp::FieldArray;
using amqp::FieldTable;
using amqp::FieldValue;

// As the community plugin: 2^32 - 1 ms.
constexpr std::int64_t kDelayMsMax = 4'294'967'295;

amqp::PropertiesView properties_of(const MessageView& message) {
  amqp::PropertiesView properties;
  const bool parsed = amqp::parse_properties(message.properties(), properties);
  return parsed ? properties : amqp::PropertiesView{};
}

FieldTable headers_of(const amqp::PropertiesView& properties) {
  if (!properties.headers) return {};
  auto table = amqp::decode_table(properties.headers->value);
  return table.ok() ? table.take() : FieldTable{};
}

bool is_string(const FieldTable& table, std::string_view name, std::string_view wanted) {
  const FieldValue* const value = table.find(name);
  return value != nullptr && amqp::as_string(*value) == wanted;
}

// x-delay, at most what is waited: an integer, or a number of another kind or in words as the
// community plugin takes it; 0 for what is none.
std::int64_t milliseconds_in(const FieldValue& delay) {
  std::int64_t ms = 0;
  if (const auto number = amqp::as_integer(delay)) {
    ms = *number;
  } else if (const auto text = amqp::as_string(delay)) {
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), ms);
    if (error != std::errc{} || end != text->data() + text->size()) return 0;
  } else {
    const auto* const narrow = delay.get<float>();
    const auto* const wide = delay.get<double>();
    const double real = narrow != nullptr ? *narrow : wide != nullptr ? *wide : 0;
    const auto limit = static_cast<double>(kDelayMsMax);
    ms = std::isnan(real) ? 0 : static_cast<std::int64_t>(std::clamp(real, -limit, limit));
  }
  return std::clamp(ms, -kDelayMsMax, kDelayMsMax);
}

// A block like `block`, with another head; the body is copied.
BlockRef with_head(const Block& block, const MessageHead& head) {
  const Bytes body = MessageView(block).body();
  BlockRef copy = start_message(head, body.size());
  if (!body.empty()) {
    std::memcpy(copy->data() + MessageView(*copy).body_offset(), body.data(), body.size());
  }
  return copy;
}

std::vector<std::string> cc_of(const FieldTable& headers) {
  std::vector<std::string> keys;
  const FieldValue* const cc = headers.find("CC");
  const FieldArray* const array = cc == nullptr ? nullptr : cc->get<FieldArray>();
  if (array == nullptr) return keys;
  for (const FieldValue& one : *array) {
    if (const auto key = amqp::as_string(one)) keys.emplace_back(*key);
  }
  return keys;
}

FieldTable new_death(const MessageView& message, const Death& death,
                     const std::vector<std::string>& cc,
                     const std::optional<amqp::ShortString>& expiration) {
  FieldTable entry;
  entry.set("count", FieldValue(amqp::FieldType::signed_64, std::int64_t{0}));
  entry.set("reason", death_reason_name(death.reason));
  entry.set("queue", death.queue);
  entry.set("time", amqp::Timestamp{static_cast<std::uint64_t>(death.now_ms / 1000)});
  entry.set("exchange", message.exchange());
  FieldArray keys;
  keys.emplace_back(message.routing_key());
  for (const std::string& key : cc) keys.emplace_back(key);
  entry.set("routing-keys", std::move(keys));
  if (expiration) entry.set("original-expiration", std::string_view(expiration->value));
  return entry;
}

// Puts this death to the front of x-death: one entry for each queue and reason, the latest first.
// `own` is how many of the entries this broker made; returns how many now.
std::uint8_t add_death(FieldArray& deaths, const Death& death, std::uint8_t own, FieldTable fresh) {
  const auto same = std::find_if(deaths.begin(), deaths.end(), [&death](const FieldValue& value) {
    const auto* const entry = value.get<FieldTable>();
    return entry != nullptr && is_string(*entry, "queue", death.queue) &&
           is_string(*entry, "reason", death_reason_name(death.reason));
  });
  FieldTable entry = std::move(fresh);
  bool was_own = false;
  if (same != deaths.end()) {
    was_own = same - deaths.begin() < own;
    entry = *same->get<FieldTable>();
    deaths.erase(same);
  }
  const FieldValue* const count = entry.find("count");
  const std::int64_t before = count == nullptr ? 0 : amqp::as_integer(*count).value_or(0);
  entry.set("count", FieldValue(amqp::FieldType::signed_64, std::max<std::int64_t>(before, 0) + 1));
  deaths.insert(deaths.begin(), FieldValue(std::move(entry)));
  if (was_own) return own;
  return static_cast<std::uint8_t>(std::min<int>(own + 1, MessageView::kOwnDeathsMax));
}

void note_first_and_last(FieldTable& headers, const MessageView& message, const Death& death) {
  const auto note = [&](const std::string& prefix) {
    headers.set(prefix + "reason", death_reason_name(death.reason));
    headers.set(prefix + "queue", death.queue);
    headers.set(prefix + "exchange", message.exchange());
  };
  if (!headers.contains("x-first-death-reason")) note("x-first-death-");
  note("x-last-death-");
}

// The queues that are ends of a cycle without a rejection.
std::vector<std::string> closed_queues(const FieldArray& deaths, std::uint8_t own) {
  std::vector<std::string> closed;
  for (std::size_t i = 0; i < deaths.size() && i < own; ++i) {
    const auto* const entry = deaths[i].get<FieldTable>();
    if (entry == nullptr) continue;
    if (is_string(*entry, "reason", death_reason_name(DeathReason::rejected))) break;
    const FieldValue* const queue = entry->find("queue");
    if (queue == nullptr) continue;
    if (const auto name = amqp::as_string(*queue)) closed.emplace_back(*name);
  }
  return closed;
}

// The headers with their history, as far as it fits into a table: the latest death alone, or none.
std::string encode_history(FieldTable& headers, Bytes before) {
  std::string encoded;
  amqp::encode_table(encoded, headers);
  if (amqp::valid_table(encoded)) return encoded;
  const FieldArray deaths = *headers.find("x-death")->get<FieldArray>();
  headers.set("x-death", FieldArray{deaths.front()});
  encoded.clear();
  amqp::encode_table(encoded, headers);
  return amqp::valid_table(encoded) ? encoded : std::string(before);
}

}  // namespace

std::string_view death_reason_name(DeathReason reason) {
  switch (reason) {
    case DeathReason::rejected:
      return "rejected";
    case DeathReason::expired:
      return "expired";
    case DeathReason::maxlen:
      return "maxlen";
    case DeathReason::delivery_limit:
      return "delivery_limit";
  }
  return "";
}

DeadLetter make_dead_letter(const Block& block, const Death& death) {
  const MessageView message(block);
  amqp::PropertiesView properties = properties_of(message);
  FieldTable headers = headers_of(properties);
  const std::vector<std::string> cc = cc_of(headers);

  FieldArray deaths;
  if (const FieldValue* const old = headers.find("x-death")) {
    if (const auto* const array = old->get<FieldArray>()) deaths = *array;
  }
  const std::uint8_t own = add_death(deaths, death, message.own_deaths(),
                                     new_death(message, death, cc, properties.expiration));
  DeadLetter letter;
  letter.closed = closed_queues(deaths, own);
  headers.set("x-death", FieldValue(std::move(deaths)));
  note_first_and_last(headers, message, death);
  if (death.routing_key) {
    headers.erase("CC");
  } else {
    letter.extra_keys = cc;
  }
  // It would die of its time again.
  properties.expiration.reset();
  const Bytes before = properties.headers ? properties.headers->value : Bytes{};
  const std::string header_bytes = encode_history(headers, before);
  properties.headers = amqp::TableBytes{header_bytes};
  std::string property_bytes;
  amqp::encode_properties(property_bytes, properties);

  MessageHead head;
  head.persistent = message.persistent();
  head.priority = message.priority();
  head.own_deaths = own;
  head.published_ms = death.now_ms;
  head.exchange = death.exchange;
  head.routing_key = death.routing_key ? Bytes(*death.routing_key) : message.routing_key();
  head.properties = property_bytes;
  letter.block = with_head(block, head);
  return letter;
}

BlockRef make_released(const Block& block) {
  const MessageView message(block);
  amqp::PropertiesView properties = properties_of(message);
  FieldTable headers = headers_of(properties);
  const FieldValue* const delay = headers.find("x-delay");
  const std::int64_t waited = -std::abs(delay == nullptr ? 0 : milliseconds_in(*delay));
  // `I`, as RabbitMQ's plugin has it: some clients read `l` without a sign.
  const bool narrow = waited >= std::numeric_limits<std::int32_t>::min();
  headers.set("x-delay",
              FieldValue(narrow ? amqp::FieldType::signed_32 : amqp::FieldType::signed_64, waited));
  std::string header_bytes;
  amqp::encode_table(header_bytes, headers);
  properties.headers = amqp::TableBytes{header_bytes};
  std::string property_bytes;
  amqp::encode_properties(property_bytes, properties);

  MessageHead head;
  head.persistent = message.persistent();
  head.priority = message.priority();
  head.own_deaths = message.own_deaths();
  head.published_ms = delayed_until(message);
  head.exchange = message.exchange();
  head.routing_key = message.routing_key();
  head.properties = property_bytes;
  return with_head(block, head);
}

std::optional<std::int64_t> expiration_of(const MessageView& message) {
  const amqp::PropertiesView properties = properties_of(message);
  if (!properties.expiration) return std::nullopt;
  const std::string_view text = properties.expiration->value;
  std::int64_t ms = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ms);
  if (error != std::errc{} || end != text.data() + text.size() || ms < 0) return std::nullopt;
  return ms;
}

std::int64_t delay_of(Bytes headers) {
  if (headers.find("\7x-delay") == Bytes::npos) return 0;
  const auto table = amqp::decode_table(headers);
  if (!table.ok()) return 0;
  const FieldValue* const delay = table->find("x-delay");
  return delay == nullptr ? 0 : std::max<std::int64_t>(milliseconds_in(*delay), 0);
}

std::int64_t delayed_until(const MessageView& message) {
  const amqp::PropertiesView properties = properties_of(message);
  const std::int64_t delay = properties.headers ? delay_of(properties.headers->value) : 0;
  return message.published_ms() + delay;
}

}  // namespace warren::broker
