// SPDX-License-Identifier: Apache-2.0
#include "server/auth/secret.h"

#include <openssl/rand.h>

#include "storage/base/assert.h"

namespace warren::auth {

std::string random_secret(std::size_t bytes) {
  std::string secret(bytes, '\0');
  const int done =
      RAND_bytes(reinterpret_cast<unsigned char*>(secret.data()), static_cast<int>(secret.size()));
  WARREN_ASSERT(done == 1);
  return secret;
}

}  // namespace warren::auth
