// SPDX-License-Identifier: Apache-2.0
#include "storage/kv/xxh3.h"

#include <array>
#include <cstddef>
#include <cstring>

namespace warren::storage {
namespace {

constexpr std::array<std::uint8_t, 192> kSecret = {
    0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c,
    0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f,
    0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
    0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c,
    0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3,
    0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8,
    0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d,
    0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64,
    0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb,
    0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e,
    0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce,
    0x45, 0xcb, 0x3a, 0x8f, 0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e,
};

constexpr std::uint64_t kPrime32a = 0x9E3779B1u;
constexpr std::uint64_t kPrime32b = 0x85EBCA77u;
constexpr std::uint64_t kPrime32c = 0xC2B2AE3Du;
constexpr std::uint64_t kPrime64a = 0x9E3779B185EBCA87u;
constexpr std::uint64_t kPrime64b = 0xC2B2AE3D27D4EB4Fu;
constexpr std::uint64_t kPrime64c = 0x165667B19E3779F9u;
constexpr std::uint64_t kPrime64d = 0x85EBCA77C2B2AE63u;
constexpr std::uint64_t kPrime64e = 0x27D4EB2F165667C5u;

constexpr std::size_t kStripeBytes = 64;
constexpr std::size_t kStripesPerBlock = (kSecret.size() - kStripeBytes) / 8;
using Lanes = std::array<std::uint64_t, 8>;

template <class T>
T load(const void* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}
std::uint64_t secret(std::size_t at) {
  return load<std::uint64_t>(kSecret.data() + at);
}
std::uint64_t rotate(std::uint64_t value, int by) {
  return (value << by) | (value >> (64 - by));
}
std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}
std::uint64_t avalanche(std::uint64_t hash) {
  hash ^= hash >> 37;
  hash *= 0x165667919E3779F9u;
  return hash ^ (hash >> 32);
}
std::uint64_t avalanche_xxh64(std::uint64_t hash) {
  hash ^= hash >> 33;
  hash *= kPrime64b;
  hash ^= hash >> 29;
  hash *= kPrime64c;
  return hash ^ (hash >> 32);
}
std::uint64_t mix(const char* in, std::size_t secret_at) {
  return fold(load<std::uint64_t>(in) ^ secret(secret_at),
              load<std::uint64_t>(in + 8) ^ secret(secret_at + 8));
}

std::uint64_t hash_to_16(const char* in, std::size_t size) {
  if (size > 8) {
    const std::uint64_t low = load<std::uint64_t>(in) ^ (secret(24) ^ secret(32));
    const std::uint64_t high = load<std::uint64_t>(in + size - 8) ^ (secret(40) ^ secret(48));
    return avalanche(size + __builtin_bswap64(low) + high + fold(low, high));
  }
  if (size >= 4) {
    const std::uint64_t both = load<std::uint32_t>(in + size - 4) +
                               (static_cast<std::uint64_t>(load<std::uint32_t>(in)) << 32);
    std::uint64_t hash = both ^ (secret(8) ^ secret(16));
    hash ^= rotate(hash, 49) ^ rotate(hash, 24);
    hash *= 0x9FB21C651E98DF25u;
    hash ^= (hash >> 35) + size;
    hash *= 0x9FB21C651E98DF25u;
    return hash ^ (hash >> 28);
  }
  if (size == 0) return avalanche_xxh64(secret(56) ^ secret(64));
  const auto byte = [in](std::size_t at) -> std::uint32_t {
    return static_cast<std::uint8_t>(in[at]);
  };
  const std::uint32_t all = (byte(0) << 16) | (byte(size >> 1) << 24) | byte(size - 1) |
                            (static_cast<std::uint32_t>(size) << 8);
  const std::uint32_t flip =
      load<std::uint32_t>(kSecret.data()) ^ load<std::uint32_t>(kSecret.data() + 4);
  return avalanche_xxh64(all ^ flip);
}

std::uint64_t hash_to_128(const char* in, std::size_t size) {
  std::uint64_t sum = size * kPrime64a;
  for (std::size_t i = (size - 1) / 32 + 1; i-- > 0;) {
    sum += mix(in + 16 * i, 32 * i);
    sum += mix(in + size - 16 * (i + 1), 32 * i + 16);
  }
  return avalanche(sum);
}

std::uint64_t hash_to_240(const char* in, std::size_t size) {
  std::uint64_t sum = size * kPrime64a;
  for (std::size_t i = 0; i < 8; ++i) sum += mix(in + 16 * i, 16 * i);
  sum = avalanche(sum);
  for (std::size_t i = 8; i < size / 16; ++i) sum += mix(in + 16 * i, 16 * (i - 8) + 3);
  sum += mix(in + size - 16, 136 - 17);
  return avalanche(sum);
}

void accumulate(Lanes& lanes, const char* stripe, std::size_t secret_at) {
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    const auto value = load<std::uint64_t>(stripe + 8 * i);
    const std::uint64_t keyed = value ^ secret(secret_at + 8 * i);
    lanes[i ^ 1] += value;
    lanes[i] += (keyed & 0xFFFFFFFFu) * (keyed >> 32);
  }
}

std::uint64_t hash_long(const char* in, std::size_t size) {
  Lanes lanes = {kPrime32c, kPrime64a, kPrime64b, kPrime64c,
                 kPrime64d, kPrime32b, kPrime64e, kPrime32a};
  constexpr std::size_t kBlockBytes = kStripeBytes * kStripesPerBlock;
  const std::size_t blocks = (size - 1) / kBlockBytes;
  for (std::size_t block = 0; block < blocks; ++block) {
    for (std::size_t i = 0; i < kStripesPerBlock; ++i) {
      accumulate(lanes, in + block * kBlockBytes + i * kStripeBytes, 8 * i);
    }
    for (std::size_t i = 0; i < lanes.size(); ++i) {
      lanes[i] ^= lanes[i] >> 47;
      lanes[i] ^= secret(kSecret.size() - kStripeBytes + 8 * i);
      lanes[i] *= kPrime32a;
    }
  }
  const std::size_t stripes = (size - 1 - blocks * kBlockBytes) / kStripeBytes;
  for (std::size_t i = 0; i < stripes; ++i) {
    accumulate(lanes, in + blocks * kBlockBytes + i * kStripeBytes, 8 * i);
  }
  accumulate(lanes, in + size - kStripeBytes, kSecret.size() - kStripeBytes - 7);
  std::uint64_t hash = size * kPrime64a;
  for (std::size_t i = 0; i < 4; ++i) {
    hash += fold(lanes[2 * i] ^ secret(11 + 16 * i), lanes[2 * i + 1] ^ secret(11 + 16 * i + 8));
  }
  return avalanche(hash);
}

}  // namespace

std::uint64_t xxh3(Bytes bytes) {
  if (bytes.size() <= 16) return hash_to_16(bytes.data(), bytes.size());
  if (bytes.size() <= 128) return hash_to_128(bytes.data(), bytes.size());
  if (bytes.size() <= 240) return hash_to_240(bytes.data(), bytes.size());
  return hash_long(bytes.data(), bytes.size());
}

}  // namespace warren::storage
