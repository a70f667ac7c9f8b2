// SPDX-License-Identifier: Apache-2.0
// How a test says how much it has done: scripts/test adds these lines up and prints the sums, and
// scripts/farm reckons its rate from them.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

namespace warren::test {

inline void print_counted(std::uint64_t count, const std::string& what) {
  std::printf("counted %llu %s\n", static_cast<unsigned long long>(count), what.c_str());
  std::fflush(stdout);
}

}  // namespace warren::test
