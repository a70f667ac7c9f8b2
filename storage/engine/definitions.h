// SPDX-License-Identifier: Apache-2.0
// What the store keeps beside messages: vhosts, users, exchanges, queues, bindings, as plain
// structs. Part of the engine's door (store.h).
#pragma once

#include "storage/record/definitions.h"  // IWYU pragma: export
