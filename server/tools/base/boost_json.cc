// SPDX-License-Identifier: Apache-2.0
// Boost.JSON comes as headers; this is the one place that compiles it.
#include <boost/json/src.hpp>
