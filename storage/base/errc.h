// SPDX-License-Identifier: Apache-2.0
// What can go wrong below the protocol, as a caller distinguishes it.
#pragma once

#include <string_view>

namespace warren {

enum class Errc {
  internal,          // a bug of ours that could be reported instead of aborting
  invalid_argument,  // the caller's option or input is not usable
  not_found,         // no such file, key or object
  io_error,          // the operating system or the disk refused
  no_space,          // the disk is full, or nearly
  corruption,        // bytes fail their checksum or do not parse
  not_a_store,       // the directory holds something that is not ours
  format_too_new,    // written by a newer version
  in_use,            // another process holds it
  shutting_down,     // refused because the process stops
};

std::string_view to_text(Errc code);

}  // namespace warren
