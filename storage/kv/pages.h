// SPDX-License-Identifier: Apache-2.0
// Memory for direct I/O. Included by storage/kv/*.cc only.
#pragma once

#include <cstdlib>
#include <memory>
#include <new>

#include "storage/base/units.h"

namespace warren::storage {

// What O_DIRECT wants addresses, offsets and sizes to be multiples of, on every disk that is known.
constexpr std::size_t kPageBytes = 4_KiB;

constexpr std::size_t to_pages(std::size_t bytes) {
  return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
}

struct FreePages {
  void operator()(char* memory) const { std::free(memory); }
};
using Pages = std::unique_ptr<char[], FreePages>;

// `bytes`: whole pages.
inline Pages make_pages(std::size_t bytes) {
  Pages pages(static_cast<char*>(std::aligned_alloc(kPageBytes, bytes)));
  if (pages == nullptr) throw std::bad_alloc();
  return pages;
}

}  // namespace warren::storage
