// SPDX-License-Identifier: Apache-2.0
#include "server/auth/password.h"

#include <string>

#include <gtest/gtest.h>

namespace warren::auth {
namespace {

// base64(90 8d c6 0a + hash(90 8d c6 0a + "test12")): the example of RabbitMQ's documentation.
constexpr std::string_view kSha256Of = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR";
constexpr std::string_view kSha512Of =
    "kI3GChuNuIYf8lRbCCxZjgjKwsY19ns6+uFO0zcXRBGA/XGJPYD8OWMy7EB8TaOmAzjP2azv84GbINYwX2cDWb4D"
    "Hnc=";
constexpr Salt kSalt = {'\x90', '\x8d', '\xc6', '\x0a'};

storage::UserDefinition user_with(std::string_view hash,
                                  std::string_view algorithm = kHashingSha256) {
  return {.name = "user",
          .password_hash = std::string(hash),
          .hashing_algorithm = std::string(algorithm),
          .tags = {}};
}

TEST(Password, HashIsThatOfRabbitMq) {
  EXPECT_EQ(hash_password("test12", kSalt), kSha256Of);
}

TEST(Password, VerifiesSha256AndSha512) {
  EXPECT_TRUE(verify_password(user_with(kSha256Of), "test12"));
  EXPECT_TRUE(verify_password(user_with(kSha512Of, kHashingSha512), "test12"));
  EXPECT_FALSE(verify_password(user_with(kSha256Of), "test13"));
  EXPECT_FALSE(verify_password(user_with(kSha512Of, kHashingSha512), "test1"));
}

TEST(Password, FreshHashesVerifyAndDiffer) {
  const std::string first = hash_password("secret", random_salt());
  EXPECT_TRUE(verify_password(user_with(first), "secret"));
  EXPECT_NE(first, hash_password("secret", Salt{}));
}

TEST(Password, WrongAlgorithmIsRefused) {
  EXPECT_FALSE(verify_password(user_with(kSha256Of, kHashingSha512), "test12"));
  EXPECT_FALSE(verify_password(user_with(kSha256Of, "rabbit_password_hashing_md5"), "test12"));
  EXPECT_FALSE(verify_password(user_with(kSha256Of, ""), "test12"));
}

TEST(Password, EmptyPasswordIsRefusedEvenIfItsHashIsStored) {
  EXPECT_FALSE(verify_password(user_with(hash_password("", kSalt)), ""));
}

TEST(Password, UserWithoutHashCannotLogIn) {
  EXPECT_FALSE(verify_password(user_with(""), "test12"));
}

TEST(Password, AHashThatNothingCanMatchIsToldFromOneThatCan) {
  EXPECT_TRUE(valid_password_hash(user_with(kSha256Of)));
  EXPECT_TRUE(valid_password_hash(user_with(kSha512Of, kHashingSha512)));
  EXPECT_TRUE(valid_password_hash(user_with("", "")));  // a user who never logs in
  EXPECT_FALSE(valid_password_hash(user_with(kSha256Of, kHashingSha512)));
  EXPECT_FALSE(valid_password_hash(user_with(kSha256Of, "rabbit_password_hashing_md5")));
}

TEST(Password, DamagedHashesAreRefused) {
  for (const std::string hash :
       {"kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2PO", "kI3GCg==", "!!!!", "====", "=",
        "kI3G CqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR", " kI3"}) {
    EXPECT_FALSE(verify_password(user_with(hash), "test12")) << hash;
    EXPECT_FALSE(valid_password_hash(user_with(hash))) << hash;
  }
  EXPECT_FALSE(verify_password(user_with(std::string(100'000, 'A')), "test12"));
}

}  // namespace
}  // namespace warren::auth
