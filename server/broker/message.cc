// SPDX-License-Identifier: Apache-2.0
#include "server/broker/message.h"

#include "storage/base/assert.h"

namespace warren::broker {

BlockRef start_message(const MessageHead& head, std::size_t body_size) {
  WARREN_ASSERT(head.exchange.size() <= 255);
  WARREN_ASSERT(head.routing_key.size() <= 255);
  const std::size_t head_size = MessageView::kHeadBytes + head.exchange.size() +
                                head.routing_key.size() + head.properties.size();
  BlockRef block = Block::create(head_size + body_size);
  char* at = block->data();
  WARREN_ASSERT(head.own_deaths <= MessageView::kOwnDeathsMax);
  at[0] = static_cast<char>((head.persistent ? 1 : 0) | (head.own_deaths << 2));
  at[1] = static_cast<char>(head.exchange.size());
  at[2] = static_cast<char>(head.routing_key.size());
  at[3] = static_cast<char>(head.priority);
  store_big_endian(at + 4, static_cast<std::uint32_t>(head.properties.size()));
  store_big_endian(at + 8, static_cast<std::uint64_t>(head.published_ms));
  at += MessageView::kHeadBytes;
  for (const Bytes part : {head.exchange, head.routing_key, head.properties}) {
    if (part.empty()) continue;
    std::memcpy(at, part.data(), part.size());
    at += part.size();
  }
  return block;
}

bool valid_message(const Block& block) {
  if (block.size() < MessageView::kHeadBytes) return false;
  return MessageView(block).body_offset() <= block.size();
}

}  // namespace warren::broker
