// SPDX-License-Identifier: Apache-2.0
// The history of dead letters against a naive model, and its bounds (docs/compatibility.md, dead
// letters).
#include "server/broker/dead_letter.h"

#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "server/amqp/field_table_codec.h"
#include "server/amqp/properties.h"

namespace warren::broker {
namespace {

using amqp::FieldArray;
using amqp::FieldTable;

BlockRef block_with(const FieldTable& headers) {
  std::string header_bytes;
  amqp::encode_table(header_bytes, headers);
  amqp::PropertiesView properties;
  properties.headers = amqp::TableBytes{header_bytes};
  properties.content_type = amqp::ShortString("text/plain");
  std::string bytes;
  amqp::encode_properties(bytes, properties);
  MessageHead head;
  head.persistent = true;
  head.exchange = "x";
  head.routing_key = "k";
  head.properties = bytes;
  return start_message(head, 0);
}

FieldTable headers_of(const Block& block) {
  amqp::PropertiesView properties;
  EXPECT_TRUE(amqp::parse_properties(MessageView(block).properties(), properties));
  EXPECT_EQ(properties.content_type->value, "text/plain");
  auto table = amqp::decode_table(properties.headers->value);
  EXPECT_TRUE(table.ok());
  return table.take();
}

struct Entry {
  std::string queue;
  DeathReason reason;
  std::int64_t count;
};

// One entry for each pair of queue and reason, the latest first; a queue is closed when nobody
// rejected the message since it last died there.
TEST(DeadLetter, HistoryGrowsAsTheModelSays) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 200; ++round) {
    BlockRef block = block_with(FieldTable().set("mine", 1));
    std::vector<Entry> model;
    for (int i = 0; i < 30; ++i) {
      const std::string queue(1, static_cast<char>('a' + random() % 4));
      const auto reason = static_cast<DeathReason>(random() % 4);
      const DeadLetter letter =
          make_dead_letter(*block, Death{queue, reason, 1000 * i, "dlx", std::nullopt});
      Entry entry{queue, reason, 1};
      for (auto at = model.begin(); at != model.end(); ++at) {
        if (at->queue != queue || at->reason != reason) continue;
        entry.count = at->count + 1;
        model.erase(at);
        break;
      }
      model.insert(model.begin(), entry);

      const FieldTable headers = headers_of(*letter.block);
      const FieldArray& deaths = *headers.find("x-death")->get<FieldArray>();
      ASSERT_EQ(deaths.size(), model.size());
      std::vector<std::string> closed;
      bool rejected = false;
      for (std::size_t n = 0; n < model.size(); ++n) {
        const FieldTable& death = *deaths[n].get<FieldTable>();
        EXPECT_EQ(amqp::as_string(*death.find("queue")), model[n].queue);
        EXPECT_EQ(amqp::as_string(*death.find("reason")), death_reason_name(model[n].reason));
        EXPECT_EQ(amqp::as_integer(*death.find("count")), model[n].count);
        rejected = rejected || model[n].reason == DeathReason::rejected;
        if (!rejected) closed.push_back(model[n].queue);
      }
      EXPECT_EQ(letter.closed, closed);
      block = letter.block;
    }
  }
}

// A message that dies in ever more queues keeps its properties, whatever becomes of the history.
TEST(DeadLetter, AHistoryThatDoesNotFitIsCut) {
  const std::string bulk(amqp::kTableBytesMax - 1000, 'x');
  BlockRef block = block_with(FieldTable().set("bulk", bulk));
  for (int i = 0; i < 20; ++i) {
    const Death death{"queue" + std::to_string(i), DeathReason::expired, 0, "dlx", std::nullopt};
    block = make_dead_letter(*block, death).block;
    const FieldTable headers = headers_of(*block);
    ASSERT_EQ(amqp::as_string(*headers.find("bulk")), bulk);
  }
}

}  // namespace
}  // namespace warren::broker
