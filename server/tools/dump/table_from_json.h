// SPDX-License-Identifier: Apache-2.0
// Field tables and properties out of what people write as JSON.
#pragma once

#include <string>

#include <boost/json/object.hpp>

#include "storage/base/result.h"

namespace warren::dump {

// Encoded content of a table. Strings become longstr, integers the shorter of I and l that fits,
// numbers with a point doubles; {"base64": ...}, {"timestamp": ...} and {"decimal": ...} as
// message_json writes them.
Result<std::string> table_content(const boost::json::object& object);

// Flag word and list, from the names that properties_json writes.
Result<std::string> properties_bytes(const boost::json::object& object);

}  // namespace warren::dump
