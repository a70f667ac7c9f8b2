// SPDX-License-Identifier: Apache-2.0
// A configuration file: it loads, or is refused with a text; never anything else.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include "storage/base/assert.h"

#include "server/config/config_load.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const int file = ::memfd_create("config", MFD_CLOEXEC);
  WARREN_ASSERT(file >= 0);
  WARREN_ASSERT(::write(file, data, size) == static_cast<ssize_t>(size));
  const std::string path = "/proc/self/fd/" + std::to_string(file);
  const std::vector<const char*> arguments = {"warrend", "--config", path.c_str()};
  const auto no_environment = [](const char*) -> const char* { return nullptr; };
  const auto loaded = warren::config::load_config(arguments, no_environment);
  WARREN_ASSERT(loaded.config.has_value() || !loaded.text.empty());
  WARREN_ASSERT(loaded.config.has_value() || loaded.exit_code >= 0);
  ::close(file);
  return 0;
}
