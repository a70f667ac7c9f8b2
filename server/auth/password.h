// SPDX-License-Identifier: Apache-2.0
// Password hashes in RabbitMQ's format, so that its definition files work here:
// base64(salt + hash(salt + password)) with a salt of 4 bytes.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "storage/engine/definitions.h"

namespace warren::auth {

inline constexpr std::string_view kHashingSha256 = "rabbit_password_hashing_sha256";
inline constexpr std::string_view kHashingSha512 = "rabbit_password_hashing_sha512";

using Salt = std::array<char, 4>;

// From the system's random source.
Salt random_salt();

// With kHashingSha256. The caller brings the salt: random_salt(), or a known one in tests.
std::string hash_password(std::string_view password, Salt salt);

// False for a hash that verify_password() could not compare with anything: one that does not parse,
// or an algorithm that is none of the above. A user without a hash is fine: it cannot log in.
bool valid_password_hash(const storage::UserDefinition& user);

// Takes the same time for every wrong password of one user. False for an empty password, a user
// without a hash, a hash that does not parse and an algorithm that is none of the above.
bool verify_password(const storage::UserDefinition& user, std::string_view password);

}  // namespace warren::auth
