// SPDX-License-Identifier: Apache-2.0
#include "server/auth/password.h"

#include <optional>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "storage/base/assert.h"
#include "storage/base/bytes.h"

namespace warren::auth {
namespace {

constexpr std::size_t kHashTextBytesMax = 1024;  // far above base64 of salt and SHA-512

const EVP_MD* algorithm_named(std::string_view name) {
  if (name == kHashingSha256) return EVP_sha256();
  if (name == kHashingSha512) return EVP_sha512();
  return nullptr;
}

std::string digest(const EVP_MD* algorithm, Bytes salt, std::string_view password) {
  std::string salted(salt);
  salted.append(password);
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  const int done = EVP_Digest(salted.data(), salted.size(), out, &size, algorithm, nullptr);
  OPENSSL_cleanse(salted.data(), salted.size());
  WARREN_ASSERT(done == 1);
  return std::string(reinterpret_cast<const char*>(out), size);
}

std::string to_base64(Bytes bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');  // EVP writes a closing zero
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

std::optional<std::string> from_base64(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0 || text.size() > kHashTextBytesMax) return std::nullopt;
  std::string out(text.size() / 4 * 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  if (size != static_cast<int>(out.size())) return std::nullopt;
  // EVP counts the padding as zero bytes.
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  out.resize(out.size() - padding);
  return out;
}

// Salt and hash; nothing when they do not parse or have another algorithm's size.
std::optional<std::string> salted_hash_of(const storage::UserDefinition& user,
                                          const EVP_MD* algorithm) {
  std::optional<std::string> stored = from_base64(user.password_hash);
  const auto hash_size = static_cast<std::size_t>(EVP_MD_get_size(algorithm));
  if (!stored || stored->size() != sizeof(Salt) + hash_size) return std::nullopt;
  return stored;
}

}  // namespace

Salt random_salt() {
  Salt salt;
  const int done = RAND_bytes(reinterpret_cast<unsigned char*>(salt.data()), salt.size());
  WARREN_ASSERT(done == 1);
  return salt;
}

std::string hash_password(std::string_view password, Salt salt) {
  std::string salted_hash(salt.data(), salt.size());
  salted_hash += digest(EVP_sha256(), Bytes(salt.data(), salt.size()), password);
  return to_base64(salted_hash);
}

bool valid_password_hash(const storage::UserDefinition& user) {
  if (user.password_hash.empty()) return true;
  const EVP_MD* algorithm = algorithm_named(user.hashing_algorithm);
  return algorithm != nullptr && salted_hash_of(user, algorithm).has_value();
}

bool verify_password(const storage::UserDefinition& user, std::string_view password) {
  if (password.empty()) return false;
  const EVP_MD* algorithm = algorithm_named(user.hashing_algorithm);
  if (algorithm == nullptr) return false;
  const std::optional<std::string> stored = salted_hash_of(user, algorithm);
  if (!stored) return false;
  const auto hash_size = static_cast<std::size_t>(EVP_MD_get_size(algorithm));
  const Bytes salt = Bytes(*stored).substr(0, sizeof(Salt));
  const Bytes expected = Bytes(*stored).substr(sizeof(Salt));
  const std::string actual = digest(algorithm, salt, password);
  return CRYPTO_memcmp(actual.data(), expected.data(), hash_size) == 0;
}

}  // namespace warren::auth
