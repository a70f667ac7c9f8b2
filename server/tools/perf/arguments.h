// SPDX-License-Identifier: Apache-2.0
// Queue arguments, headers and message properties as they are written on a command line.
#pragma once

#include <string>
#include <vector>

#include "storage/base/result.h"

#include "server/amqp/field_value.h"
#include "server/amqp/properties.h"

namespace warren::perf {

// Each text is `name=value[,name=value...]` or a JSON object. A value is a number, true, false or
// text; `name:type=value` says which (string, int, double, bool), as in x-note:string=5.
Result<amqp::FieldTable> parse_arguments(const std::vector<std::string>& texts);

// Properties of every message, ready for the wire; the priority is put in later.
struct MessageProperties {
  static Result<MessageProperties> parse(const std::vector<std::string>& properties,
                                         const std::vector<std::string>& headers);
  // Flag word and property list. priority < 0: as given in `properties`, or none.
  std::string encode(bool persistent, int priority) const;

  std::vector<std::pair<std::string, std::string>> texts;  // content_type and so on
  std::string headers;                                     // content of the table
};

// "5", or "0-9": one after the other.
struct Priorities {
  static Result<Priorities> parse(const std::string& text);
  int from = -1;  // -1: messages have none
  int to = -1;
  unsigned count() const { return static_cast<unsigned>(to - from) + 1; }
};

}  // namespace warren::perf
