// SPDX-License-Identifier: Apache-2.0
#include "storage/base/errc.h"

namespace warren {

std::string_view to_text(Errc code) {
  switch (code) {
    case Errc::internal:
      return "internal error";
    case Errc::invalid_argument:
      return "invalid argument";
    case Errc::not_found:
      return "not found";
    case Errc::io_error:
      return "I/O error";
    case Errc::no_space:
      return "no space left";
    case Errc::corruption:
      return "corruption";
    case Errc::not_a_store:
      return "not a Warren data directory";
    case Errc::format_too_new:
      return "written by a newer version";
    case Errc::in_use:
      return "in use by another process";
    case Errc::shutting_down:
      return "shutting down";
  }
  return "unknown error";
}

}  // namespace warren
