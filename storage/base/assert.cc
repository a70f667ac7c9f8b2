// SPDX-License-Identifier: Apache-2.0
#include "storage/base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace warren {

void assert_failed(const char* file, int line, const char* promise, const char* condition) {
  std::fprintf(stderr, "warren: %s%sassertion failed: %s (%s:%d)\n", promise,
               *promise != '\0' ? ": " : "", condition, file, line);
  std::fflush(stderr);
  std::abort();
}

}  // namespace warren
