// SPDX-License-Identifier: Apache-2.0
#include "server/amqp/frame.h"

#include <algorithm>

namespace warren::amqp {
namespace {

constexpr Bytes kProtocolHeader09("AMQP\x01\x01\x00\x09", 8);

bool agree(Bytes in, Bytes header) {
  const std::size_t size = std::min(in.size(), header.size());
  return in.substr(0, size) == header.substr(0, size);
}

}  // namespace

ProtocolHeader read_protocol_header(Bytes in) {
  if (!agree(in, kProtocolHeader) && !agree(in, kProtocolHeader09)) return ProtocolHeader::wrong;
  return in.size() < kProtocolHeader.size() ? ProtocolHeader::need_more : ProtocolHeader::ok;
}

}  // namespace warren::amqp
