// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "storage/engine/definitions.h"

namespace warren::app {

// What a new store begins with: the vhost "/", and the user guest with all rights in it.
std::vector<storage::Definition> first_definitions();

}  // namespace warren::app
