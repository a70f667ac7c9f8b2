// SPDX-License-Identifier: Apache-2.0
#include "server/auth/pattern.h"

#include <re2/re2.h>

#include "storage/base/units.h"

namespace warren::auth {
namespace {

constexpr std::size_t kPatternBytesMax = 4_KiB;
constexpr std::int64_t kPatternMemoryMax = 1_MiB;

// nullptr when it does not compile.
std::unique_ptr<re2::RE2> compile(const std::string& expression) {
  if (expression.size() > kPatternBytesMax) return nullptr;
  RE2::Options options(RE2::Latin1);  // bytes: a name need not be UTF-8
  options.set_log_errors(false);
  options.set_max_mem(kPatternMemoryMax);
  options.set_never_capture(true);
  auto compiled = std::make_unique<RE2>(expression, options);
  if (!compiled->ok()) compiled.reset();
  return compiled;
}

}  // namespace

Pattern::Pattern(const std::string& expression) : everything_(expression == ".*") {
  if (!everything_ && !expression.empty()) compiled_ = compile(expression);
}

Pattern::~Pattern() = default;
Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;

bool Pattern::matches(std::string_view name) const {
  if (everything_) return true;
  if (compiled_ == nullptr) return false;
  return RE2::PartialMatch(re2::StringPiece(name.data(), name.size()), *compiled_);
}

bool valid_pattern(const std::string& expression) {
  if (expression.empty()) return true;
  const std::unique_ptr<re2::RE2> compiled = compile(expression);
  return compiled != nullptr;
}

}  // namespace warren::auth
