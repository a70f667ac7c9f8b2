// SPDX-License-Identifier: Apache-2.0
// Assertions that stay on in release builds: a broker that stops loses nothing, one that goes on
// with a broken state may. WARREN_INVARIANT names the promise it guards (storage/INVARIANTS.md,
// server/broker/INVARIANTS.md).
#pragma once

#include <string_view>

namespace warren {

// Prints file, line, the promise (may be empty), the condition and, when there is one, the text;
// then aborts.
[[noreturn]] void assert_failed(const char* file, int line, const char* promise,
                                const char* condition);

}  // namespace warren

#define WARREN_ASSERT(condition)          \
  (static_cast<bool>(condition) ? void(0) \
                                : ::warren::assert_failed(__FILE__, __LINE__, "", #condition))

#define WARREN_INVARIANT(id, condition)   \
  (static_cast<bool>(condition) ? void(0) \
                                : ::warren::assert_failed(__FILE__, __LINE__, #id, #condition))
