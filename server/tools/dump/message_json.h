// SPDX-License-Identifier: Apache-2.0
// A stored message, and field tables, as JSON.
#pragma once

#include <boost/json/object.hpp>

#include "storage/base/ids.h"

#include "server/amqp/field_value.h"
#include "server/amqp/properties.h"
#include "server/broker/message.h"

namespace warren::dump {

// The type letters are lost; values become what JSON has for them. Bytes that are not UTF-8, a
// timestamp and a decimal become {"base64": ...}, {"timestamp": ...}, {"decimal": ...}.
boost::json::value to_json(const amqp::FieldValue& value);
boost::json::object to_json(const amqp::FieldTable& table);
// Of the content of an encoded table; {"undecodable_base64": ...} when it is none.
boost::json::object table_json(Bytes content);

// The properties that are set, by their AMQP names.
boost::json::object properties_json(Bytes raw);

// Everything of a message. `body`: text when it is UTF-8, else body_base64.
boost::json::object message_json(Seq seq, const broker::MessageView& message);

}  // namespace warren::dump
