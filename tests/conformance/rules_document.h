// SPDX-License-Identifier: Apache-2.0
// RULES.md: which case checks which rule. The rules are written by hand, the lists of cases below
// them are made from the cases.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tests/conformance/wire_script.h"

namespace warren::conformance {

// The document with its lists of cases made anew.
std::string refresh_rules(std::string_view document, const std::vector<Case>& cases);

// Cases without a rule, or with one that the document does not have; rules without a case that do
// not say where else they are checked.
std::vector<std::string> rule_problems(std::string_view document, const std::vector<Case>& cases);

}  // namespace warren::conformance
