// SPDX-License-Identifier: Apache-2.0
// What is written is what AMQP says a publish is, for any body size and frame size.
#include "server/tools/perf/message_maker.h"

#include <gmock/gmock.h>

#include "server/amqp/frame.h"
#include "server/amqp/gen/any_method.gen.h"
#include "server/amqp/properties.h"

namespace warren::perf {
namespace {

constexpr std::uint16_t kChannel = 3;
constexpr std::uint32_t kSmallFrame = 4096;

struct Publish {
  std::string key;
  amqp::ContentHeader header;
  amqp::PropertiesView properties;
  std::string body;
  int body_frames = 0;
};

// Parses one whole publish and fails when anything is left.
Publish parse(Bytes in) {
  Publish out;
  amqp::Frame frame;
  EXPECT_EQ(amqp::read_frame(in, kSmallFrame, frame), amqp::FrameStatus::ok);
  amqp::BasicPublish publish;
  EXPECT_TRUE(amqp::decode_arguments(frame.payload.substr(4), publish));
  out.key = publish.routing_key.value;
  in.remove_prefix(frame.size);
  EXPECT_EQ(amqp::read_frame(in, kSmallFrame, frame), amqp::FrameStatus::ok);
  EXPECT_EQ(frame.type, amqp::kFrameHeader);
  EXPECT_TRUE(amqp::read_content_header(frame.payload, out.header));
  EXPECT_TRUE(amqp::parse_properties(out.header.raw_properties, out.properties));
  in.remove_prefix(frame.size);
  while (!in.empty()) {
    if (amqp::read_frame(in, kSmallFrame, frame) != amqp::FrameStatus::ok) {
      ADD_FAILURE() << "no frame";
      break;
    }
    EXPECT_EQ(frame.type, amqp::kFrameBody);
    EXPECT_EQ(frame.channel, kChannel);
    out.body.append(frame.payload);
    ++out.body_frames;
    in.remove_prefix(frame.size);
  }
  return out;
}

class Maker : public ::testing::Test {
 protected:
  std::string write(std::size_t head, std::uint32_t bytes) {
    const MessageMaker maker(traffic_, {{"", "one"}, {"", "two"}}, kChannel, kSmallFrame);
    heads_ = maker.heads();
    std::string out(maker.size(head, bytes), '\0');
    const char* const end =
        maker.write(out.data(), head, bytes, {.at_us = 5, .stream = 1, .number = 9});
    EXPECT_EQ(end, out.data() + out.size());
    return out;
  }

  TrafficOptions traffic_;
  std::size_t heads_ = 0;
};

TEST_F(Maker, WritesBodiesOfAnySize) {
  for (const std::uint32_t bytes : {0U, 1U, 15U, 16U, 17U, 4088U, 4089U, 20'000U}) {
    const Publish publish = parse(write(1, bytes));
    EXPECT_EQ(publish.key, "two");
    EXPECT_EQ(publish.header.body_size, bytes);
    ASSERT_EQ(publish.body.size(), bytes);
    EXPECT_EQ(publish.body_frames, static_cast<int>((bytes + 4087) / 4088));
    if (bytes < kStampBytes) {
      EXPECT_EQ(publish.body, std::string(bytes, kFiller));
      continue;
    }
    EXPECT_EQ(load_stamp(publish.body.data()).number, 9U);
    EXPECT_EQ(publish.body.substr(kStampBytes), std::string(bytes - kStampBytes, kFiller));
  }
}

TEST_F(Maker, HasAHeadPerTargetAndPriority) {
  traffic_.priorities = *Priorities::parse("3-5");
  traffic_.persistent = true;
  const Publish publish = parse(write(4, 10));
  EXPECT_EQ(heads_, 6U);
  EXPECT_EQ(publish.key, "two");
  EXPECT_EQ(publish.properties.priority, 4);
  EXPECT_EQ(publish.properties.delivery_mode, amqp::kDeliveryModePersistent);
}

}  // namespace
}  // namespace warren::perf
