// SPDX-License-Identifier: Apache-2.0
#include "server/broker/exchange/headers.h"

#include <algorithm>

#include "server/amqp/field_table_codec.h"

namespace warren::broker {
namespace {

// Integers of any width are equal by value, as are the two float widths; everything else needs the
// same type.
bool same_value(const amqp::FieldValue& wanted, const amqp::FieldValue& got) {
  const auto a = amqp::as_integer(wanted);
  const auto b = amqp::as_integer(got);
  if (a && b) return *a == *b;
  return wanted.data() == got.data();
}

bool entry_matches(const amqp::FieldEntry& wanted, const amqp::FieldTable& headers) {
  const amqp::FieldValue* const got = headers.find(wanted.name);
  if (got == nullptr) return false;
  return wanted.value.type() == amqp::FieldType::nothing || same_value(wanted.value, *got);
}

}  // namespace

void HeadersExchange::route(const RouteInput& input, RouteOutput& output) const {
  if (matchers_.empty()) return;
  const amqp::FieldTable headers = amqp::decode_or_empty(input.headers);
  const auto matches = [&headers](const amqp::FieldEntry& wanted) {
    return entry_matches(wanted, headers);
  };
  for (const Matcher& matcher : matchers_) {
    const auto& wanted = matcher.wanted.entries();
    const bool match = matcher.any ? std::any_of(wanted.begin(), wanted.end(), matches)
                                   : std::all_of(wanted.begin(), wanted.end(), matches);
    if (match) output.add(*matcher.binding);
  }
}

void HeadersExchange::index(const Binding& binding) {
  const amqp::FieldTable arguments = amqp::decode_or_empty(binding.definition.arguments);
  std::string_view how = "all";
  if (const amqp::FieldValue* const value = arguments.find("x-match")) {
    how = amqp::as_string(*value).value_or("all");
  }
  Matcher matcher;
  matcher.binding = &binding;
  matcher.any = how.starts_with("any");
  const bool with_x = how.ends_with("-with-x");
  for (const amqp::FieldEntry& entry : arguments.entries()) {
    if (entry.name == "x-match") continue;
    if (!with_x && entry.name.starts_with("x-")) continue;
    matcher.wanted.append(entry.name, entry.value);
  }
  binding.index_position = matchers_.size();
  matchers_.push_back(std::move(matcher));
}

void HeadersExchange::unindex(const Binding& binding) {
  const std::size_t at = binding.index_position;
  if (at + 1 != matchers_.size()) {
    matchers_[at] = std::move(matchers_.back());
    matchers_[at].binding->index_position = at;
  }
  matchers_.pop_back();
}

}  // namespace warren::broker
