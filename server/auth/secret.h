// SPDX-License-Identifier: Apache-2.0
// Bytes that nobody can guess, for names that are proof of having been told them.
#pragma once

#include <cstddef>
#include <string>

namespace warren::auth {

// From the system's random source.
std::string random_secret(std::size_t bytes);

}  // namespace warren::auth
