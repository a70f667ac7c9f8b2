// SPDX-License-Identifier: Apache-2.0
// Methods by their names: a script's arguments become frames, and what came back is read field by
// field. All bytes are made and read by server/amqp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/result.h"

#include "server/amqp/gen/any_method.gen.h"

#include "tests/conformance/wire_script.h"

namespace warren::conformance {

// A method that came, with its content if it has one.
struct Message {
  std::string payload;  // of the method frame
  std::uint16_t class_id = 0;
  std::uint16_t method_id = 0;
  bool complete = true;  // false while its content is under way
  std::optional<std::uint64_t> body_size;
  std::string properties;  // flag word and list
  std::string body;

  std::string_view name() const { return amqp::method_name(class_id, method_id); }
};

// A field of the method, a property, "body", or "method" (of a close: the one at fault). Nothing
// when there is none of that name, or the property was not sent.
std::optional<amqp::FieldValue> field_of(const Message& message, std::string_view name);

// "basic.deliver consumer-tag="c" ...", with properties and body.
std::string show(const Message& message);

// One method frame. The error says which argument the method does not have, or cannot hold.
Result<std::string> method_frame(std::string_view method, std::uint16_t channel,
                                 const std::vector<Argument>& arguments,
                                 const Variables& variables);

// basic.publish with header and body; arguments are fields of the method, properties, and body.
Result<std::string> publish_frames(std::uint16_t channel, const std::vector<Argument>& arguments,
                                   std::uint32_t frame_max, const Variables& variables);

// "queue.declare" -> "queue.declare-ok"; empty for methods without an answer.
std::string answer_name(std::string_view method);

}  // namespace warren::conformance
