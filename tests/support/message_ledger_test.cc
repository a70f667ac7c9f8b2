// SPDX-License-Identifier: Apache-2.0
// The oracle itself: it accepts what may happen and names what may not.
#include "tests/support/message_ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace warren::test {
namespace {

using ::testing::HasSubstr;

class Ledger : public ::testing::Test {
 protected:
  void deliver_and_ack(MessageId id, bool redelivered = false) {
    ledger.delivered(consumer, id, redelivered);
    ledger.ack_sent(consumer, id);
  }
  void kill() {
    ledger.broker_killed();
    consumer = ledger.consumer_opened(queue);
  }
  void expect_violation(const std::string& text) {
    ASSERT_EQ(ledger.violation_count(), 1U);
    EXPECT_THAT(ledger.violations()[0], HasSubstr(text));
  }
  void expect_clean() { EXPECT_THAT(ledger.violations(), ::testing::IsEmpty()); }

  MessageLedger ledger;
  QueueIndex queue = ledger.add_queue("q");
  QueueIndex other = ledger.add_queue("other");
  PublisherIndex publisher = ledger.add_publisher({queue});
  PublisherIndex fanout = ledger.add_publisher({queue, other});
  ConsumerIndex consumer = ledger.consumer_opened(queue);
};

TEST_F(Ledger, AcceptsAMessageThatGoesThrough) {
  const MessageId id = ledger.sent(publisher, true);
  ledger.confirmed(id);
  deliver_and_ack(id);
  ledger.finish();
  expect_clean();
}

TEST_F(Ledger, AcceptsEitherFateOfAnUnconfirmedMessage) {
  const MessageId kept = ledger.sent(publisher, true);
  ledger.sent(publisher, true);
  kill();
  deliver_and_ack(kept);
  ledger.finish();
  expect_clean();
  EXPECT_EQ(ledger.counts().pending_at_kill, 2U);
}

TEST_F(Ledger, NamesALostConfirmedMessage) {
  ledger.confirmed(ledger.sent(publisher, true));
  kill();
  ledger.finish();
  expect_violation("R1: confirmed message 0/0 in queue 'q' is lost");
}

TEST_F(Ledger, NamesASecondDeliveryWithoutTheFlag) {
  const MessageId id = ledger.sent(publisher, true);
  ledger.delivered(consumer, id, false);
  kill();
  ledger.delivered(consumer, id, false);
  expect_violation("R13");
}

TEST_F(Ledger, AcceptsARedeliveryWithTheFlag) {
  const MessageId id = ledger.sent(publisher, true);
  ledger.delivered(consumer, id, false);
  kill();
  ledger.delivered(consumer, id, true);
  expect_clean();
}

TEST_F(Ledger, NamesFirstDeliveriesOutOfOrder) {
  const MessageId first = ledger.sent(publisher, true);
  const MessageId second = ledger.sent(publisher, true);
  ledger.delivered(consumer, second, false);
  ledger.delivered(consumer, first, false);
  expect_violation("B1");
}

TEST_F(Ledger, AcceptsRedeliveriesAheadOfYoungerOnes) {
  const MessageId first = ledger.sent(publisher, true);
  const MessageId second = ledger.sent(publisher, true);
  ledger.delivered(consumer, first, false);
  ledger.delivered(consumer, second, false);
  ledger.delivered(consumer, first, true);
  expect_clean();
}

TEST_F(Ledger, NamesAnyDisorderInTheDrain) {
  const MessageId first = ledger.sent(publisher, true);
  const MessageId second = ledger.sent(publisher, true);
  ledger.draining();
  ledger.delivered(consumer, second, true);
  ledger.delivered(consumer, first, true);
  expect_violation("in the drain");
}

TEST_F(Ledger, CountsAMessageWhoseAckNothingFollowed) {
  const MessageId firm = ledger.sent(publisher, true);
  const MessageId id = ledger.sent(publisher, true);
  deliver_and_ack(firm);
  ledger.acks_are_firm(consumer, ledger.acks_sent(consumer));
  deliver_and_ack(id);
  kill();
  ledger.delivered(consumer, id, true);
  expect_clean();
  EXPECT_EQ(ledger.counts().acked_came_back, 1U);
  EXPECT_EQ(ledger.counts().acks, 2U);
  EXPECT_EQ(ledger.counts().acks_firm, 1U);
}

TEST_F(Ledger, CountsAnAckThatIsFirmOnce) {
  for (int i = 0; i < 3; ++i) deliver_and_ack(ledger.sent(publisher, true));
  ledger.acks_are_firm(consumer, 2);
  ledger.acks_are_firm(consumer, 2);
  ledger.acks_are_firm(consumer, 1);
  EXPECT_EQ(ledger.counts().acks_firm, 2U);
}

TEST_F(Ledger, NamesAMessageWhoseAckIsFirm) {
  const MessageId id = ledger.sent(publisher, true);
  deliver_and_ack(id);
  ledger.acks_are_firm(consumer, ledger.acks_sent(consumer));
  kill();
  ledger.delivered(consumer, id, true);
  expect_violation("R14");
}

TEST_F(Ledger, ClientsThatNoticeAKillLateChangeNothing) {
  const MessageId id = ledger.sent(publisher, true);
  deliver_and_ack(id);
  const ConsumerIndex before = consumer;
  kill();
  ledger.consumer_ended(before);
  ledger.delivered(consumer, id, true);
  expect_clean();
}

TEST_F(Ledger, NamesAnAckedMessageThatComesBackWithoutAKill) {
  const MessageId id = ledger.sent(publisher, true);
  deliver_and_ack(id);
  ledger.delivered(ledger.consumer_opened(queue), id, true);
  expect_violation("R14");
}

TEST_F(Ledger, NamesATransientMessageThatSurvives) {
  const MessageId id = ledger.sent(publisher, false);
  kill();
  ledger.delivered(consumer, id, true);
  expect_violation("R12");
}

TEST_F(Ledger, NamesAFanOutThatWasCommittedByHalf) {
  const MessageId id = ledger.sent(fanout, true);
  kill();
  ledger.delivered(consumer, id, false);
  ledger.finish();
  expect_violation("S4: message 1/0 was committed for 1 of 2 queues");
}

TEST_F(Ledger, AcceptsAFanOutOfWhichOneCopyWasConsumedBeforeTheKill) {
  deliver_and_ack(ledger.sent(fanout, true));
  kill();
  ledger.finish();
  expect_clean();
}

TEST_F(Ledger, NamesMessagesNobodySent) {
  ledger.delivered(consumer, {.publisher = 0, .number = 7}, false);
  ledger.delivered(consumer, {.publisher = 9, .number = 0}, false);
  ledger.delivered(ledger.consumer_opened(other), ledger.sent(publisher, true), false);
  EXPECT_EQ(ledger.violation_count(), 3U);
}

TEST_F(Ledger, NamesATagConfirmedTwice) {
  const MessageId id = ledger.sent(publisher, true);
  ledger.confirmed(id);
  ledger.confirmed(id);
  expect_violation("P5");
}

}  // namespace
}  // namespace warren::test
