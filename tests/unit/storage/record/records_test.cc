// SPDX-License-Identifier: Apache-2.0
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "storage/record/ack_set.h"
#include "storage/record/body_record.h"
#include "storage/record/definition_record.h"
#include "storage/record/envelope.h"
#include "storage/record/keys.h"
#include "storage/record/log_state_record.h"
#include "storage/record/store_meta.h"

namespace warren::storage {
namespace {

// S7: `decode` refuses every truncation and every flipped bit of `bytes`.
template <class Decode>
void expect_damage_noticed(const std::string& bytes, Decode decode) {
  ASSERT_TRUE(decode(bytes).ok());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode(bytes.substr(0, size)).ok()) << "cut at " << size;
  }
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(decode(flipped).ok()) << "bit " << bit;
  }
}

TEST(Envelope, NewerVersionIsToldApartFromDamage) {
  const auto newer = unseal(seal(3, "payload"), 2, "thing");
  ASSERT_FALSE(newer.ok());
  EXPECT_EQ(newer.error().code, Errc::format_too_new);
  EXPECT_EQ(unseal(seal(2, "payload"), 2, "thing").value(), "payload");
  EXPECT_EQ(unseal(seal(1, ""), 2, "thing").value(), "");
}

TEST(LogStateRecord, RoundTripsAndNoticesDamage) {
  const LogStateRecord record{3, 1'000'000'000'000, 77, 123'456'789, 4096};
  const std::string bytes = encode_log_state(record);
  EXPECT_EQ(decode_log_state(bytes).value(), record);
  expect_damage_noticed(bytes, decode_log_state);
}

TEST(LogStateRecord, HeadBeyondNextIsRefused) {
  EXPECT_FALSE(decode_log_state(encode_log_state({5, 4, 0, 0, 0})).ok());
  EXPECT_FALSE(decode_log_state(encode_log_state({0, 4, 0, 0, 0})).ok());
}

TEST(LogStateRecord, FlagsAreToldApart) {
  for (const int flag : {0, 1, 2}) {
    LogStateRecord record{3, 10, 1, 1, 1};
    (flag == 0 ? record.has_due : flag == 1 ? record.has_returns : record.has_shared) = true;
    EXPECT_EQ(decode_log_state(encode_log_state(record)).value(), record);
  }
}

TEST(BodyRecord, RoundTripsAndNoticesDamage) {
  const std::string body = encode_body("a block");
  EXPECT_EQ(decode_body(body).value(), "a block");
  expect_damage_noticed(body, decode_body);
  const std::string count = encode_body_count(1000);
  EXPECT_EQ(decode_body_count(count).value(), 1000u);
  expect_damage_noticed(count, decode_body_count);
  const std::vector<BodyId> bodies = {{1, 2}, {65536, 1}, {1, 2}};
  const std::string shared = encode_shared(bodies);
  EXPECT_EQ(decode_shared(shared).value(), bodies);
  expect_damage_noticed(shared, decode_shared);
}

// Sealed well and senseless all the same.
TEST(BodyRecord, NoCountAndNoReferencesAreRefused) {
  EXPECT_FALSE(decode_body_count(encode_body_count(0)).ok());
  EXPECT_FALSE(decode_shared(seal(1, {})).ok());
  EXPECT_FALSE(decode_shared(seal(1, std::string(16, '\0'))).ok());
  EXPECT_FALSE(decode_shared(seal(1, std::string(17, 'x'))).ok());
}

// S11
TEST(Keys, BodiesAndSweepsRoundTripInOrder) {
  const std::vector<BodyId> bodies = {{0, 1}, {0, 256}, {1, 1}, {1, 2}, {256, 1}};
  for (std::size_t i = 0; i < bodies.size(); ++i) {
    EXPECT_EQ(decode_body_key(encode_body_key(bodies[i])), bodies[i]);
    if (i == 0) continue;
    EXPECT_LT(encode_body_key(bodies[i - 1]), encode_body_key(bodies[i]));
  }
  EXPECT_FALSE(decode_body_key(encode_body_key({7, 0})).has_value());
  const std::vector<SweepKey> sweeps = {
      {LogId(1), 0, kSweepAll}, {LogId(1), 5, 9}, {LogId(1), 5, 300}, {LogId(256), 1, 2}};
  for (std::size_t i = 0; i < sweeps.size(); ++i) {
    const std::string key = encode_sweep_key(sweeps[i]);
    EXPECT_EQ(decode_sweep_key(key), sweeps[i]);
    EXPECT_GT(key, kSweepKeyPrefix);
    EXPECT_LT(key, kSweepKeysEnd);
    EXPECT_TRUE(i == 0 || encode_sweep_key(sweeps[i - 1]) < key);
    EXPECT_FALSE(decode_sweep_key(key + "x").has_value());
    EXPECT_FALSE(decode_sweep_key(Bytes(key).substr(1)).has_value());
  }
  EXPECT_FALSE(decode_sweep_key(encode_sweep_key({LogId(1), 5, 5})).has_value());
}

TEST(StoreMeta, RoundTripsAndNoticesDamage) {
  const std::string bytes = encode_store_meta({"an-id", 12'000, true, 77});
  const auto meta = decode_store_meta(bytes);
  ASSERT_TRUE(meta.ok());
  EXPECT_EQ(meta->store_id, "an-id");
  EXPECT_EQ(meta->log_id_limit, 12'000u);
  EXPECT_TRUE(meta->clean_stop);
  EXPECT_EQ(meta->starts, 77u);
  expect_damage_noticed(bytes, decode_store_meta);
}

std::string hex(const std::string& bytes) {
  std::string out;
  for (const unsigned char c : bytes) {
    out.push_back("0123456789abcdef"[c >> 4]);
    out.push_back("0123456789abcdef"[c & 15]);
  }
  return out;
}

// The layouts are on people's disks (storage/FORMAT.md): these bytes change only with a version.
TEST(Records, LayoutsAreTheDocumentedOnes) {
  AckSet acks(2);
  acks.set(0);
  EXPECT_EQ(hex(acks.encode()),
            "0613f548"
            "01"
            "00"
            "00000002"
            "01");
  LogStateRecord state{2, 6, 1, 1, 4096};
  state.live_weight = 1;
  state.has_due = true;
  state.expires = true;
  EXPECT_EQ(hex(encode_log_state(state)).substr(8),
            "02"
            "0000000000000002"
            "0000000000000006"
            "0000000000000001"
            "0000000000000001"
            "0000000000001000"
            "0000000000000001"
            "09");
  EXPECT_EQ(hex(encode_due_key({LogId(1), 2, 3})),
            "0000000000000001"
            "0000000000000002"
            "0000000000000003");
  EXPECT_EQ(hex(encode_due_chunk(7)).substr(8), "010000000000000007");
  EXPECT_EQ(hex(encode_returns(2)).substr(8), "0100000002");
  const Definition queue = QueueDefinition{"/", "q", LogId(1), true, false, false, ""};
  EXPECT_EQ(hex(encode_definition_key(queue)),
            "05"
            "2f0001"
            "710001");
  EXPECT_EQ(hex(encode_definition(queue)).substr(8),
            "01"
            "05"
            "0a012f"
            "120171"
            "1801"
            "2001");
  EXPECT_EQ(hex(encode_chunk_key({LogId(1), 2})),
            "0000000000000001"
            "0000000000000002");
}

// What stores of before the weights hold.
TEST(Records, FirstVersionOfTheLogStateIsRead) {
  std::string payload;
  ByteWriter writer(payload);
  for (const std::uint64_t value : {2, 6, 1, 10, 4096}) writer.u64(value);
  const auto state = decode_log_state(seal(1, payload));
  ASSERT_TRUE(state.ok());
  EXPECT_EQ(state->delivered_mark, 4096U);
  EXPECT_EQ(state->live_weight, 10U);
  EXPECT_FALSE(state->has_due);
}

TEST(AckSet, SetsOnce) {
  AckSet acks(70);
  EXPECT_FALSE(acks.test(69));
  EXPECT_TRUE(acks.set(69));
  EXPECT_FALSE(acks.set(69));
  EXPECT_TRUE(acks.test(69));
  EXPECT_EQ(acks.settled(), 1u);
  for (std::uint32_t i = 0; i < 69; ++i) EXPECT_TRUE(acks.set(i));
  EXPECT_TRUE(acks.all());
}

TEST(AckSet, RoundTripsInBothForms) {
  std::mt19937_64 random(1);
  for (const std::uint32_t count : {1u, 7u, 8u, 9u, 64u, 65u, 1000u}) {
    for (const unsigned density : {1u, 2u, 50u, 1000u}) {
      AckSet acks(count);
      for (std::uint32_t i = 0; i < count; ++i) {
        if (random() % density == 0) acks.set(i);
      }
      const auto again = AckSet::decode(acks.encode());
      ASSERT_TRUE(again.ok());
      EXPECT_EQ(*again, acks);
    }
  }
}

TEST(AckSet, PrefixOfABigChunkIsSmall) {
  AckSet acks(10'000);
  for (std::uint32_t i = 0; i < 5'000; ++i) acks.set(i);
  EXPECT_LT(acks.encode().size(), 32u);
}

TEST(AckSet, NoticesDamage) {
  AckSet few(1000);
  few.set(3);
  expect_damage_noticed(few.encode(), AckSet::decode);
  AckSet scattered(100);
  for (std::uint32_t i = 0; i < 100; i += 2) scattered.set(i);
  expect_damage_noticed(scattered.encode(), AckSet::decode);
}

// Sealed, but nonsense: a bug of a writer must not become wrong settles.
TEST(AckSet, NonsenseIsRefused) {
  const auto sealed = [](std::initializer_list<unsigned char> bytes) {
    return seal(1, std::string(bytes.begin(), bytes.end()));
  };
  EXPECT_FALSE(AckSet::decode(sealed({0, 0, 0, 0, 4, 0x10})).ok());  // bit 4 of 4
  EXPECT_FALSE(AckSet::decode(sealed({0, 0, 0, 0, 4})).ok());        // no bitmap
  EXPECT_FALSE(AckSet::decode(sealed({2, 0, 0, 0, 4, 0})).ok());     // unknown form
  // A count that no chunk has asks for no memory: 2^32 - 1 entries, the last of them settled.
  EXPECT_FALSE(
      AckSet::decode(sealed({1, 255, 255, 255, 255, 0, 0, 0, 1, 255, 255, 255, 254, 0, 0, 0, 1}))
          .ok());
  EXPECT_FALSE(
      AckSet::decode(sealed({1, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3})).ok());  // 2+3 > 4
  EXPECT_FALSE(AckSet::decode(sealed({1, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0})).ok());
}

std::vector<Definition> some_definitions() {
  const std::string odd("a\0b\xFF\x00\x01", 6);
  return {
      VhostDefinition{"/"},
      VhostDefinition{odd},
      UserDefinition{"guest", "hash", "rabbit_password_hashing_sha256", {"administrator", "x"}},
      PermissionDefinition{"guest", "/", ".*", "^a", ""},
      ExchangeDefinition{"/", "", "direct", true, false, false, ""},
      ExchangeDefinition{"/", odd, "topic", true, true, true, odd},
      QueueDefinition{"/", "q", LogId(17), true, true, false, "args"},
      BindingDefinition{"/", "e", BindingDestination::queue, "q", "key", ""},
      BindingDefinition{"/", "e", BindingDestination::exchange, "q", "key", odd},
      PolicyDefinition{"/", false, "p", "^q", PolicyTarget::queues, 5, odd},
      PolicyDefinition{"/", true, odd, "", PolicyTarget::exchanges, -1, odd},
  };
}

TEST(DefinitionRecord, EveryKindRoundTripsAndNoticesDamage) {
  for (const Definition& definition : some_definitions()) {
    const std::string key = encode_definition_key(definition);
    const std::string value = encode_definition(definition);
    const auto again = decode_definition(key, value);
    ASSERT_TRUE(again.ok()) << again.error().text;
    EXPECT_EQ(again->index(), definition.index());
    EXPECT_EQ(encode_definition_key(*again), key);
    EXPECT_EQ(encode_definition(*again), value);
    expect_damage_noticed(value, [&](Bytes bytes) { return decode_definition(key, bytes); });
  }
}

TEST(DefinitionRecord, FieldsComeBack) {
  const Definition definition = QueueDefinition{"/v", "q", LogId(9), true, true, true, "xyz"};
  const auto again =
      decode_definition(encode_definition_key(definition), encode_definition(definition));
  ASSERT_TRUE(again.ok());
  const auto& queue = std::get<QueueDefinition>(*again);
  EXPECT_EQ(queue.vhost, "/v");
  EXPECT_EQ(queue.log, LogId(9));
  EXPECT_TRUE(queue.durable && queue.exclusive && queue.auto_delete);
  EXPECT_EQ(queue.arguments, "xyz");
}

TEST(DefinitionRecord, RecordUnderAWrongKeyIsRefused) {
  const auto definitions = some_definitions();
  for (std::size_t i = 0; i < definitions.size(); ++i) {
    for (std::size_t j = 0; j < definitions.size(); ++j) {
      const auto decoded = decode_definition(encode_definition_key(definitions[i]),
                                             encode_definition(definitions[j]));
      EXPECT_EQ(decoded.ok(), i == j) << i << " " << j;
    }
  }
}

// S11: byte order is logical order, and nothing is lost.
TEST(Keys, ChunkKeysRoundTripInOrder) {
  const std::vector<ChunkKey> keys = {
      {LogId(1), 0},       {LogId(1), 1}, {LogId(1), 255}, {LogId(1), 256},
      {LogId(1), ~Seq{0}}, {LogId(2), 1}, {LogId(300), 5}, {LogId(~Seq{0}), ~Seq{0}}};
  for (std::size_t i = 0; i < keys.size(); ++i) {
    EXPECT_EQ(decode_chunk_key(encode_chunk_key(keys[i])), keys[i]);
    for (std::size_t j = 0; j < keys.size(); ++j) {
      EXPECT_EQ(keys[i] < keys[j], encode_chunk_key(keys[i]) < encode_chunk_key(keys[j]));
    }
  }
  EXPECT_FALSE(decode_chunk_key("short").has_value());
}

TEST(Keys, LogKeysRoundTripInOrder) {
  for (const std::uint64_t log : {1ull, 255ull, 256ull, ~0ull}) {
    EXPECT_EQ(decode_log_key(encode_log_key(LogId(log))), LogId(log));
  }
  EXPECT_LT(encode_log_key(LogId(255)), encode_log_key(LogId(256)));
  EXPECT_FALSE(decode_log_key("").has_value());
}

// S11 for names: any bytes, and no name's key is a prefix of another's.
TEST(Keys, NamePartsRoundTripInOrder) {
  std::mt19937_64 random(3);
  std::vector<std::string> names = {"",
                                    std::string(1, '\0'),
                                    "a",
                                    "ab",
                                    std::string("a\0", 2),
                                    std::string("a\0b", 3),
                                    "a\x01",
                                    "a\xFF",
                                    "b"};
  for (int i = 0; i < 200; ++i) {
    std::string name(random() % 6, '\0');
    for (char& c : name) c = static_cast<char>(random() % 3 == 0 ? random() % 3 : random());
    names.push_back(name);
  }
  const auto part = [](const std::string& name) {
    std::string key;
    append_key_part(key, name);
    return key;
  };
  for (const std::string& a : names) {
    std::string both = part(a) + "rest";
    Bytes rest = both;
    EXPECT_EQ(take_key_part(rest), a);
    EXPECT_EQ(rest, "rest");
    for (const std::string& b : names) {
      EXPECT_EQ(a < b, part(a) < part(b));
      EXPECT_EQ(a == b, part(a) == part(b));
    }
  }
  for (const char* malformed : {"", "abc", "\xFF"}) {
    Bytes bytes = malformed;
    EXPECT_FALSE(take_key_part(bytes).has_value());
  }
}

TEST(Keys, IdentityOfADefinition) {
  const auto key = [](const Definition& definition) { return encode_definition_key(definition); };
  EXPECT_EQ(key(QueueDefinition{"/", "q", LogId(1), true, true, true, "x"}),
            key(QueueDefinition{"/", "q", LogId(2), false, false, false, ""}));
  EXPECT_NE(key(BindingDefinition{"/", "e", BindingDestination::queue, "q", "k", "a"}),
            key(BindingDefinition{"/", "e", BindingDestination::queue, "q", "k", "b"}));
  EXPECT_NE(key(PolicyDefinition{"/", true, "p", "", PolicyTarget::all, 0, ""}),
            key(PolicyDefinition{"/", false, "p", "", PolicyTarget::all, 0, ""}));
  EXPECT_NE(key(BindingDefinition{"/", "e", BindingDestination::queue, "q", "k", ""}),
            key(BindingDefinition{"/", "e", BindingDestination::exchange, "q", "k", ""}));
  EXPECT_NE(key(ExchangeDefinition{"/", "x", "", true, false, false, ""}),
            key(QueueDefinition{"/", "x", LogId(1), true, false, false, ""}));
  EXPECT_NE(key(PermissionDefinition{"a", "b", "", "", ""}),
            key(PermissionDefinition{"ab", "", "", "", ""}));
}

}  // namespace
}  // namespace warren::storage
