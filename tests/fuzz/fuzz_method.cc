// SPDX-License-Identifier: Apache-2.0
// The payload of a method frame.
#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>

#include "storage/base/assert.h"

#include "server/amqp/frame_writer.h"
#include "server/amqp/gen/any_method.gen.h"

namespace warren::amqp {
namespace {

// What was decoded encodes to as many bytes (unused bits may differ) and decodes to the same.
template <class M>
void check_method(Bytes payload, const M& method) {
  WARREN_ASSERT(method_name(M::kClassId, M::kMethodId) == M::kName);
  std::string frame_bytes;
  append_method_frame(frame_bytes, 1, method);
  Frame frame;
  WARREN_ASSERT(read_frame(frame_bytes, UINT32_MAX, frame) == FrameStatus::ok);
  WARREN_ASSERT(frame.payload.size() == payload.size());
  AnyMethod again;
  WARREN_ASSERT(decode_method(frame.payload, again) == MethodDecode::ok);
  WARREN_ASSERT(std::get<M>(again) == method);
}

void run(Bytes payload) {
  AnyMethod decoded;
  if (decode_method(payload, decoded) != MethodDecode::ok) return;
  std::visit([&](const auto& method) { check_method(payload, method); }, decoded);
  const std::string longer = std::string(payload) + '\0';
  WARREN_ASSERT(decode_method(longer, decoded) == MethodDecode::malformed);
}

}  // namespace
}  // namespace warren::amqp

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  warren::amqp::run(warren::Bytes(reinterpret_cast<const char*>(data), size));
  return 0;
}
