// SPDX-License-Identifier: Apache-2.0
#include "server/amqp/frame.h"

#include <string>

#include <gtest/gtest.h>

#include "server/amqp/frame_writer.h"
#include "server/amqp/gen/any_method.gen.h"

namespace warren::amqp {
namespace {

using namespace std::string_literals;

std::string frame_of(std::uint8_t type, std::uint16_t channel, Bytes payload) {
  std::string out;
  append_frame_prefix(out, type, channel, static_cast<std::uint32_t>(payload.size()));
  out.append(payload);
  out.push_back(static_cast<char>(kFrameEnd));
  return out;
}

TEST(ReadFrame, ReturnsTypeChannelPayloadAndSize) {
  const std::string in = frame_of(kFrameBody, 0x1234, "body") + "next";
  Frame frame;
  ASSERT_EQ(read_frame(in, 4096, frame), FrameStatus::ok);
  EXPECT_EQ(frame.type, kFrameBody);
  EXPECT_EQ(frame.channel, 0x1234);
  EXPECT_EQ(frame.payload, "body");
  EXPECT_EQ(frame.payload.data(), in.data() + 7);
  EXPECT_EQ(frame.size, 12u);
}

TEST(ReadFrame, AsksForMoreAtEveryTruncation) {
  const std::string in = frame_of(kFrameMethod, 1, "payload");
  Frame frame;
  for (std::size_t size = 0; size < in.size(); ++size) {
    EXPECT_EQ(read_frame(Bytes(in).substr(0, size), 4096, frame), FrameStatus::need_more) << size;
  }
}

TEST(ReadFrame, KnowsABadTypeByTheFirstByte) {
  Frame frame;
  for (int type = 0; type < 256; ++type) {
    const bool known = type == 1 || type == 2 || type == 3 || type == 8;
    const std::string in(1, static_cast<char>(type));
    EXPECT_EQ(read_frame(in, 4096, frame), known ? FrameStatus::need_more : FrameStatus::bad_type)
        << type;
  }
}

// P3: the header alone decides, so that nobody can make us buffer a frame that we refuse.
TEST(ReadFrame, KnowsATooLargeFrameByItsPrefix) {
  const auto status = [](std::uint32_t payload_size, std::uint32_t frame_max) {
    std::string in;
    append_frame_prefix(in, kFrameBody, 1, payload_size);
    Frame frame;
    return read_frame(in, frame_max, frame);
  };
  EXPECT_EQ(status(4088, 4096), FrameStatus::need_more);
  EXPECT_EQ(status(4089, 4096), FrameStatus::too_large);
  EXPECT_EQ(status(131'064, 0), FrameStatus::need_more);
  EXPECT_EQ(status(131'065, 0), FrameStatus::too_large);
  EXPECT_EQ(status(0xFFFFFFFF, 0xFFFFFFFF), FrameStatus::too_large);
  EXPECT_EQ(status(0, 4), FrameStatus::too_large);
}

TEST(ReadFrame, RejectsAWrongEndOctet) {
  std::string in = frame_of(kFrameHeartbeat, 0, "");
  in.back() = '\0';
  Frame frame;
  EXPECT_EQ(read_frame(in, 4096, frame), FrameStatus::bad_end);
}

TEST(ReadProtocolHeader, AcceptsBothForms) {
  EXPECT_EQ(read_protocol_header(kProtocolHeader), ProtocolHeader::ok);
  EXPECT_EQ(read_protocol_header("AMQP\x00\x00\x09\x01more"s), ProtocolHeader::ok);
  EXPECT_EQ(read_protocol_header("AMQP\x01\x01\x00\x09"s), ProtocolHeader::ok);
}

TEST(ReadProtocolHeader, IsWrongAtTheFirstByteThatDiffers) {
  EXPECT_EQ(read_protocol_header(""), ProtocolHeader::need_more);
  EXPECT_EQ(read_protocol_header("AMQP"), ProtocolHeader::need_more);
  EXPECT_EQ(read_protocol_header("AMQP\x00\x00\x09"s), ProtocolHeader::need_more);
  EXPECT_EQ(read_protocol_header("G"), ProtocolHeader::wrong);
  EXPECT_EQ(read_protocol_header("AMQP\x00\x01"s), ProtocolHeader::wrong);
  EXPECT_EQ(read_protocol_header("AMQP\x00\x01\x00\x00"s), ProtocolHeader::wrong);
  EXPECT_EQ(read_protocol_header("AMQP\x03"s), ProtocolHeader::wrong);
}

TEST(FrameWriter, HeartbeatHasTheBytesOfTheSpecification) {
  std::string out;
  append_heartbeat(out);
  EXPECT_EQ(out, "\x08\x00\x00\x00\x00\x00\x00\xCE"s);
}

TEST(FrameWriter, MethodFrameHasTheBytesOfTheSpecification) {
  std::string out = "before";
  append_method_frame(out, 1, ChannelOpen{});
  EXPECT_EQ(out, "before\x01\x00\x01\x00\x00\x00\x05\x00\x14\x00\x0A\x00\xCE"s);
}

TEST(FrameWriter, HeaderFrameHasTheBytesOfTheSpecification) {
  std::string out;
  append_header_frame(out, 2, kClassBasic, 5, "\x10\x00\x02"s);
  EXPECT_EQ(out,
            "\x02\x00\x02\x00\x00\x00\x0F\x00\x3C\x00\x00"
            "\x00\x00\x00\x00\x00\x00\x00\x05\x10\x00\x02\xCE"s);
}

TEST(FrameWriter, BodyIsSplitAtFrameMax) {
  const std::string body(10, 'b');
  std::string out;
  append_body_frames(out, 3, body, 12);
  EXPECT_EQ(out, frame_of(kFrameBody, 3, "bbbb") + frame_of(kFrameBody, 3, "bbbb") +
                     frame_of(kFrameBody, 3, "bb"));
  Frame frame;
  EXPECT_EQ(read_frame(out, 12, frame), FrameStatus::ok);
}

TEST(FrameWriter, BodyOfExactlyOneFrameIsNotSplit) {
  std::string out;
  append_body_frames(out, 3, "bbbb", 12);
  EXPECT_EQ(out, frame_of(kFrameBody, 3, "bbbb"));
}

TEST(FrameWriter, EmptyBodyHasNoFrame) {
  std::string out;
  append_body_frames(out, 3, "", 4096);
  EXPECT_EQ(out, "");
}

TEST(FrameWriter, DefaultFrameMaxHoldsForZero) {
  const std::string body(131'065, 'b');
  std::string out;
  append_body_frames(out, 1, body, 0);
  EXPECT_EQ(out.size(), body.size() + 2 * kFrameOverheadBytes);
  Frame frame;
  ASSERT_EQ(read_frame(out, 0, frame), FrameStatus::ok);
  EXPECT_EQ(frame.size, kFrameMaxDefault);
}

}  // namespace
}  // namespace warren::amqp
