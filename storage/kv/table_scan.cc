// SPDX-License-Identifier: Apache-2.0
#include "storage/kv/table_scan.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "storage/base/units.h"
#include "storage/kv/table_format.h"

namespace warren::storage {
namespace {

using table::Entry;
using table::Values;

// Ends that a block may have, tried one after the other: the right one is among the first.
constexpr std::size_t kEndsMax = 1024;
// The list of what is not data is looked for so far before the footer, when that is damaged.
constexpr std::uint64_t kListBytesMax = 4_KiB;
constexpr std::size_t kPageBytes = 4_KiB;

bool is_data_key(Bytes key) {
  if (key.size() < table::kKeySuffixBytes) return false;
  // Deletion, value, single deletion, value in a blob file.
  const auto type = static_cast<std::uint8_t>(key[key.size() - table::kKeySuffixBytes]);
  return type == 0x00 || type == 0x01 || type == 0x07 || type == 0x11;
}

bool is_data(const std::vector<Entry>& entries, Bytes above) {
  if (entries.empty()) return false;
  for (const Entry& entry : entries) {
    if (!is_data_key(entry.key) || table::user_key(entry.key) < above) return false;
    above = table::user_key(entry.key);
  }
  return true;
}

// A stretch of the file in memory, where blocks are looked for that no index tells of.
class Stretch {
 public:
  Stretch(std::uint64_t base, std::string bytes) : base_(base), bytes_(std::move(bytes)) {
    for (std::size_t end = 8; end + table::kTrailerBytes <= bytes_.size(); ++end) {
      if (bytes_[end] == '\0' && restarts_at(end).has_value()) ends_.push_back(end);
    }
  }

  struct Found {
    TableBlock at;
    std::vector<Entry> entries;
  };
  // The sound block that begins at `offset` of the file.
  std::optional<Found> at(std::uint64_t offset) const {
    const std::size_t from = offset - base_;
    // Its first key shares nothing, and is longer than what is behind the keys of data.
    if (from + 2 > bytes_.size() || bytes_[from] != '\0') return std::nullopt;
    if (static_cast<std::uint8_t>(bytes_[from + 1]) < table::kKeySuffixBytes) return std::nullopt;
    auto end = std::ranges::lower_bound(ends_, from + 8);
    for (std::size_t tried = 0; tried < kEndsMax && end != ends_.end(); ++tried, ++end) {
      if (*restarts_at(*end) < from) continue;
      const Bytes block = Bytes(bytes_).substr(from, *end - from);
      auto entries = table::parse_block(block, Values::sized);
      if (!entries.has_value()) continue;
      if (table_block_trailer(block) != bytes_.substr(*end, table::kTrailerBytes)) continue;
      return Found{TableBlock{offset, block.size()}, std::move(*entries)};
    }
    return std::nullopt;
  }
  std::uint64_t base() const { return base_; }
  std::uint64_t end() const { return base_ + bytes_.size(); }

 private:
  // Where the offsets at the end of a block that ends at `end` begin: the first of them is 0.
  std::optional<std::size_t> restarts_at(std::size_t end) const {
    const std::uint64_t count = table::load_32(bytes_, end - 4);
    if (count == 0 || 4 * (count + 1) > end) return std::nullopt;
    const std::size_t at = end - 4 * (count + 1);
    if (table::load_32(bytes_, at) != 0) return std::nullopt;
    for (std::size_t i = 1; i < count; ++i) {
      if (table::load_32(bytes_, at + 4 * i) <= table::load_32(bytes_, at + 4 * (i - 1))) {
        return std::nullopt;
      }
    }
    return at;
  }

  std::uint64_t base_;
  std::string bytes_;
  std::vector<std::size_t> ends_;  // in bytes_
};

class Scanner {
 public:
  explicit Scanner(const TableFile& file) : file_(file) {}

  TableScan run() {
    if (!find_lists()) {
      // Data is known by its keys.
      out_.range_deletions_lost = true;
      search_data();
      return std::move(out_);
    }
    check_lists();
    const auto index = read_index();
    if (index.has_value()) {
      check_data(*index);
    } else {
      search_data();
    }
    return std::move(out_);
  }

 private:
  void damaged(std::string_view what, const TableBlock& at, std::string_view why) {
    out_.damage.push_back(fmt::format("{} at {} of {} bytes: {}", what, at.offset, at.bytes, why));
  }
  Result<std::string> read_block(const TableBlock& at) const;
  std::string read_tolerant(std::uint64_t offset, std::uint64_t bytes) const;
  bool find_lists();
  bool take_list(const std::vector<Entry>& entries);
  bool search_list();
  void search_members();
  void check_lists();
  std::optional<std::vector<Entry>> read_index();
  std::optional<std::vector<Entry>> parse_index(Bytes block) const;
  void check_data(const std::vector<Entry>& index);
  void search_data();

  const TableFile& file_;
  TableScan out_;
  std::optional<TableBlock> list_;
  std::optional<TableBlock> index_;
  std::optional<TableBlock> filter_;
  std::optional<TableBlock> properties_;
  std::optional<TableBlock> ranges_;
};

Result<std::string> Scanner::read_block(const TableBlock& at) const {
  // Sums of what a damaged handle says may wrap around.
  if (at.offset > file_.bytes || at.bytes > file_.bytes || at.end() > file_.bytes) {
    return Error{Errc::corruption, "it is beyond the end of the file"};
  }
  WARREN_TRY(std::string bytes, file_.read(at.offset, at.bytes + table::kTrailerBytes));
  if (bytes.size() != at.bytes + table::kTrailerBytes) {
    return Error{Errc::corruption, "the file ends in it"};
  }
  const std::string trailer = bytes.substr(at.bytes);
  bytes.resize(at.bytes);
  if (trailer != table_block_trailer(bytes)) {
    return Error{Errc::corruption, "it fails its checksum"};
  }
  return bytes;
}

// Zeros for what cannot be read.
std::string Scanner::read_tolerant(std::uint64_t offset, std::uint64_t bytes) const {
  if (auto whole = file_.read(offset, bytes); whole.ok() && whole->size() == bytes) {
    return whole.take();
  }
  std::string out(bytes, '\0');
  for (std::uint64_t at = 0; at < bytes; at += kPageBytes) {
    const auto page = file_.read(offset + at, std::min<std::uint64_t>(kPageBytes, bytes - at));
    if (page.ok()) std::ranges::copy(*page, out.begin() + static_cast<std::ptrdiff_t>(at));
  }
  return out;
}

// Footer and list of what is not data, either of them to be looked for without the other.
bool Scanner::find_lists() {
  if (file_.bytes < table::kFooterBytes) {
    damaged("file", TableBlock{0, file_.bytes}, "it is shorter than a footer");
    return false;
  }
  const TableBlock place{file_.bytes - table::kFooterBytes, table::kFooterBytes};
  const auto bytes = file_.read(place.offset, place.bytes);
  const auto footer = bytes.ok() ? table::parse_footer(*bytes) : std::nullopt;
  if (!footer.has_value()) {
    damaged("footer", place, bytes.ok() ? "it is not a footer" : bytes.error().text);
    if (search_list()) return true;
    damaged("list of blocks", TableBlock{}, "its place is not known");
    return false;
  }
  list_ = footer->list;
  index_ = footer->index;
  const auto list = read_block(*list_);
  const auto entries = list.ok() ? table::parse_block(*list, Values::sized) : std::nullopt;
  if (entries.has_value() && take_list(*entries)) return true;
  damaged("list of blocks", *list_, list.ok() ? "it does not parse" : list.error().text);
  search_members();
  return true;
}

bool Scanner::take_list(const std::vector<Entry>& entries) {
  bool any = false;
  for (const Entry& entry : entries) {
    Bytes value = entry.value;
    const auto at = table::take_handle(value);
    if (!at.has_value()) return false;
    any = any || Bytes(entry.key).starts_with("rocksdb.");
    if (entry.key == table::kPropertiesName) properties_ = at;
    if (entry.key == table::kRangeDeletionsName) ranges_ = at;
    if (Bytes(entry.key).starts_with(table::kFilterPrefix)) filter_ = at;
  }
  return any;
}

// The list ends where the footer begins.
bool Scanner::search_list() {
  const std::uint64_t end = file_.bytes - table::kFooterBytes;
  const std::uint64_t begin = end - std::min(end, kListBytesMax);
  const Stretch stretch(begin, read_tolerant(begin, end - begin));
  for (std::uint64_t at = begin; at < end; ++at) {
    const auto found = stretch.at(at);
    if (!found.has_value() || found->at.end() != end || !take_list(found->entries)) continue;
    list_ = found->at;
    // The index is in no list: it lies between the filter and what comes behind it.
    const auto& behind = ranges_.has_value() ? ranges_ : properties_;
    if (filter_.has_value() && behind.has_value() && filter_->end() + 13 <= behind->offset) {
      index_ = TableBlock{filter_->end(), behind->offset - filter_->end() - table::kTrailerBytes};
    }
    return true;
  }
  return false;
}

// What is not data lies between the index and the list, deletions first.
void Scanner::search_members() {
  out_.range_deletions_lost = true;
  if (index_->end() > list_->offset || list_->offset > file_.bytes) return;
  const Stretch stretch(index_->end(), read_tolerant(index_->end(), list_->offset - index_->end()));
  for (std::uint64_t at = stretch.base(); at < stretch.end();) {
    const auto found = stretch.at(at);
    if (!found.has_value() || found->entries.empty()) return;
    const bool properties = found->entries.front().key.starts_with("rocksdb.");
    (properties ? properties_ : ranges_) = found->at;
    at = found->at.end();
    if (properties) out_.range_deletions_lost = false;
  }
}

void Scanner::check_lists() {
  if (filter_.has_value()) {
    if (const auto filter = read_block(*filter_); !filter.ok()) {
      damaged("filter", *filter_, filter.error().text);
    }
  }
  if (properties_.has_value()) {
    const auto properties = read_block(*properties_);
    const auto entries =
        properties.ok() ? table::parse_block(*properties, Values::sized) : std::nullopt;
    if (!entries.has_value()) {
      damaged("properties", *properties_,
              properties.ok() ? "they do not parse" : properties.error().text);
      properties_.reset();
    } else {
      for (const Entry& entry : *entries) {
        if (entry.key == table::kFamilyName) out_.family = entry.value;
      }
    }
  }
  if (!ranges_.has_value()) return;
  auto ranges = read_block(*ranges_);
  if (ranges.ok()) {
    out_.range_deletions = ranges.take();
  } else {
    damaged("deletions of ranges", *ranges_, ranges.error().text);
    out_.range_deletions_lost = true;
  }
}

std::optional<std::vector<Entry>> Scanner::read_index() {
  if (!index_.has_value()) {
    damaged("index", TableBlock{}, "its place is not known");
    return std::nullopt;
  }
  const auto block = read_block(*index_);
  auto entries = block.ok() ? parse_index(*block) : std::nullopt;
  if (!entries.has_value()) {
    damaged("index", *index_, block.ok() ? "it does not parse" : block.error().text);
  }
  return entries;
}

// Data blocks lie one behind the other.
std::optional<std::vector<Entry>> Scanner::parse_index(Bytes block) const {
  for (const Values values : {Values::handles, Values::sized}) {
    auto entries = table::parse_block(block, values);
    if (!entries.has_value()) continue;
    std::uint64_t end = 0;
    const bool fits = std::ranges::all_of(*entries, [&](const Entry& entry) {
      Bytes value = entry.value;
      const auto at = table::take_handle(value);
      if (!at.has_value() || at->offset < end || at->bytes > file_.bytes) return false;
      end = at->end();
      return end <= file_.bytes;
    });
    if (fits) return entries;
  }
  return std::nullopt;
}

// Which keys a lost block may have held follows from its neighbours.
void Scanner::check_data(const std::vector<Entry>& index) {
  bool lost = false;
  std::optional<std::string> last;
  for (const Entry& entry : index) {
    Bytes value = entry.value;
    const TableBlock at = *table::take_handle(value);
    out_.data_end = at.end();
    const auto block = read_block(at);
    const auto entries = block.ok() ? table::parse_block(*block, Values::sized) : std::nullopt;
    if (!entries.has_value() || !is_data(*entries, last.value_or(std::string()))) {
      damaged("data block", at, block.ok() ? "it does not parse" : block.error().text);
      lost = true;
      continue;
    }
    if (lost) {
      out_.holes.push_back(TableHole{last, std::string(table::user_key(entries->front().key))});
      lost = false;
    }
    last = table::user_key(entries->back().key);
    out_.data.push_back(TableScan::DataBlock{at, *last});
  }
  if (lost) out_.holes.push_back(TableHole{last, std::nullopt});
}

void Scanner::search_data() {
  std::uint64_t end = file_.bytes;
  for (const auto& member : {list_, index_, filter_, properties_, ranges_}) {
    if (member.has_value()) end = std::min(end, member->offset);
  }
  const Stretch stretch(0, read_tolerant(0, end));
  std::optional<std::string> last;
  bool lost = false;
  for (std::uint64_t at = 0; at < end;) {
    const auto found = stretch.at(at);
    if (!found.has_value() || !is_data(found->entries, last.value_or(std::string()))) {
      lost = true;
      ++at;
      continue;
    }
    if (lost) {
      damaged("data", TableBlock{out_.data_end, at - out_.data_end}, "no block of it is sound");
      out_.holes.push_back(
          TableHole{last, std::string(table::user_key(found->entries.front().key))});
      lost = false;
    }
    last = table::user_key(found->entries.back().key);
    out_.data.push_back(TableScan::DataBlock{found->at, *last});
    at = found->at.end();
    out_.data_end = at;
  }
  if (!lost) return;
  // With none of their places known it may be the filter and the index, which lie behind the data.
  damaged("data", TableBlock{out_.data_end, end - out_.data_end}, "no block of it is sound");
  out_.holes.push_back(TableHole{last, std::nullopt});
}

}  // namespace

TableScan scan_table(const TableFile& file) {
  return Scanner(file).run();
}

Result<TableTail> mend_table(const TableScan& scan, std::uint64_t bytes) {
  TableTail tail;
  tail.from = scan.data_end;
  const auto add = [&tail](const std::string& block) {
    const TableBlock at{tail.from + tail.bytes.size(), block.size()};
    tail.bytes += block + table_block_trailer(block);
    return at;
  };
  const auto handle = [](const TableBlock& block) {
    std::string out;
    table::put_handle(out, block);
    return out;
  };
  std::vector<Entry> index;
  for (const TableScan::DataBlock& data : scan.data) {
    index.push_back(Entry{data.separator, handle(data.at)});
  }
  table::Footer footer;
  footer.index = add(table::build_block(index, Values::handles));
  std::vector<Entry> list;
  if (scan.range_deletions.has_value()) {
    list.push_back(
        Entry{std::string(table::kRangeDeletionsName), handle(add(*scan.range_deletions))});
  }
  const std::string yes(1, '\x01');
  const std::string properties = table::build_block(
      {{std::string(table::kUserKeysName), yes}, {std::string(table::kDeltaName), yes}},
      Values::sized);
  list.insert(list.begin(), Entry{std::string(table::kPropertiesName), handle(add(properties))});
  footer.list = add(table::build_block(list, Values::sized));
  const std::uint64_t room = bytes - std::min(bytes, tail.from);
  if (tail.bytes.size() + table::kFooterBytes > room) {
    return Error{Errc::no_space, "what is sound of a table does not fit into its place"};
  }
  tail.bytes.resize(room - table::kFooterBytes);
  tail.bytes += table::build_footer(footer);
  return tail;
}

}  // namespace warren::storage
