// SPDX-License-Identifier: Apache-2.0
#include "storage/base/log.h"

#include <fmt/format.h>

namespace warren {

std::string printable(std::string_view text, std::size_t bytes_max) {
  std::string out;
  for (const char c : text.substr(0, bytes_max)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F || c == '\\') {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out.push_back(c == '\'' ? '"' : c);
    }
  }
  if (text.size() > bytes_max) out += "...";
  return out;
}

}  // namespace warren
