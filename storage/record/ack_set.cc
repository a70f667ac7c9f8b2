// SPDX-License-Identifier: Apache-2.0
#include "storage/record/ack_set.h"

#include "storage/base/assert.h"
#include "storage/record/chunk_format.h"
#include "storage/record/envelope.h"

namespace warren::storage {
namespace {

constexpr std::uint8_t kVersion = 1;

enum class Form : std::uint8_t { bitmap = 0, runs = 1 };

Error malformed() {
  return Error{Errc::corruption, "ack set does not parse"};
}

bool read_bitmap(ByteReader& reader, AckSet& out) {
  for (std::uint32_t first = 0; first < out.count(); first += 8) {
    const std::uint8_t byte = reader.u8();
    for (std::uint32_t bit = 0; bit < 8; ++bit) {
      if (((byte >> bit) & 1) == 0) continue;
      if (first + bit >= out.count()) return false;
      out.set(first + bit);
    }
  }
  return true;
}

bool read_runs(ByteReader& reader, AckSet& out) {
  std::uint64_t next_min = 0;
  for (std::uint32_t left = reader.u32(); left > 0 && reader.ok(); --left) {
    const std::uint64_t start = reader.u32();
    const std::uint64_t length = reader.u32();
    if (start < next_min || length == 0 || start + length > out.count()) return false;
    for (std::uint64_t i = start; i < start + length; ++i) out.set(static_cast<std::uint32_t>(i));
    next_min = start + length + 1;
  }
  return true;
}

}  // namespace

bool AckSet::set(std::uint32_t index) {
  WARREN_ASSERT(index < count_);
  if (words_.empty()) words_.resize((std::size_t{count_} + 63) / 64);
  const std::uint64_t mask = std::uint64_t{1} << (index % 64);
  std::uint64_t& word = words_[index / 64];
  if ((word & mask) != 0) return false;
  word |= mask;
  ++settled_;
  return true;
}

std::string AckSet::runs() const {
  std::string out;
  ByteWriter writer(out);
  writer.u32(0);
  std::uint32_t runs = 0;
  for (std::uint32_t i = 0; i < count_;) {
    if (!test(i)) {
      ++i;
      continue;
    }
    const std::uint32_t start = i;
    while (i < count_ && test(i)) ++i;
    writer.u32(start);
    writer.u32(i - start);
    ++runs;
  }
  writer.patch_u32(0, runs);
  return out;
}

std::string AckSet::bitmap() const {
  std::string out((std::size_t{count_} + 7) / 8, '\0');
  for (std::uint32_t i = 0; i < count_; ++i) {
    if (test(i)) out[i / 8] = static_cast<char>(out[i / 8] | (1 << (i % 8)));
  }
  return out;
}

std::string AckSet::encode() const {
  const std::string as_runs = runs();
  const std::size_t bitmap_bytes = (std::size_t{count_} + 7) / 8;
  std::string payload;
  ByteWriter writer(payload);
  const bool runs_win = as_runs.size() < bitmap_bytes;
  writer.u8(static_cast<std::uint8_t>(runs_win ? Form::runs : Form::bitmap));
  writer.u32(count_);
  writer.raw(runs_win ? as_runs : bitmap());
  return seal(kVersion, payload);
}

Result<AckSet> AckSet::decode(Bytes sealed) {
  WARREN_TRY(const Bytes payload, unseal(sealed, kVersion, "ack set"));
  ByteReader reader(payload);
  const std::uint8_t form = reader.u8();
  AckSet out(reader.u32());
  if (out.count_ > kChunkEntriesMax) return malformed();
  bool sound = false;
  if (form == static_cast<std::uint8_t>(Form::bitmap)) {
    sound = reader.remaining() == (std::size_t{out.count_} + 7) / 8 && read_bitmap(reader, out);
  } else if (form == static_cast<std::uint8_t>(Form::runs)) {
    sound = read_runs(reader, out);
  }
  if (!sound || !reader.ok() || !reader.at_end()) return malformed();
  return out;
}

bool operator==(const AckSet& a, const AckSet& b) {
  if (a.count_ != b.count_ || a.settled_ != b.settled_) return false;
  for (std::uint32_t i = 0; i < a.count_; ++i) {
    if (a.test(i) != b.test(i)) return false;
  }
  return true;
}

}  // namespace warren::storage
