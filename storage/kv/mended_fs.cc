// SPDX-License-Identifier: Apache-2.0
#include "storage/kv/mended_fs.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <rocksdb/env.h>
#include <rocksdb/sst_file_reader.h>

#include "storage/kv/rocks_events.h"

namespace warren::storage {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

class MendedFile final : public rocksdb::FSRandomAccessFile {
 public:
  MendedFile(std::unique_ptr<rocksdb::FSRandomAccessFile> below,
             std::shared_ptr<const TableTail> tail)
      : below_(std::move(below)), tail_(std::move(tail)) {}

  IOStatus Read(std::uint64_t offset, std::size_t size, const IOOptions& options, Slice* result,
                char* scratch, IODebugContext* dbg) const override {
    std::size_t got = 0;
    if (offset < tail_->from) {
      const auto before =
          static_cast<std::size_t>(std::min<std::uint64_t>(size, tail_->from - offset));
      const IOStatus status = read_below(offset, before, options, scratch, dbg, got);
      if (!status.ok() || got < before) {
        *result = Slice(scratch, got);
        return status;
      }
    }
    const std::uint64_t skipped = offset + got - tail_->from;
    if (offset + got >= tail_->from && skipped < tail_->bytes.size()) {
      const std::size_t more = std::min<std::size_t>(size - got, tail_->bytes.size() - skipped);
      tail_->bytes.copy(scratch + got, more, skipped);
      got += more;
    }
    *result = Slice(scratch, got);
    return IOStatus::OK();
  }

 private:
  // RocksDB reads ahead, also over what the table does not use any more: where that cannot be read
  // it gets zeros, which are no block.
  IOStatus read_below(std::uint64_t offset, std::size_t size, const IOOptions& options,
                      char* scratch, IODebugContext* dbg, std::size_t& got) const {
    IOStatus status = read_some(offset, size, options, scratch, dbg, got);
    if (status.ok()) return status;
    constexpr std::size_t kPageBytes = 4096;
    for (got = 0; got < size;) {
      const std::size_t page = std::min(size - got, kPageBytes);
      std::size_t more = 0;
      if (!read_some(offset + got, page, options, scratch + got, dbg, more).ok()) {
        std::memset(scratch + got, 0, page);
        more = page;
      }
      got += more;
      if (more < page) break;
    }
    return IOStatus::OK();
  }
  IOStatus read_some(std::uint64_t offset, std::size_t size, const IOOptions& options,
                     char* scratch, IODebugContext* dbg, std::size_t& got) const {
    Slice result;
    IOStatus status = below_->Read(offset, size, options, &result, scratch, dbg);
    got = status.ok() ? result.size() : 0;
    if (got > 0 && result.data() != scratch) std::memmove(scratch, result.data(), got);
    return status;
  }

  std::unique_ptr<rocksdb::FSRandomAccessFile> below_;
  std::shared_ptr<const TableTail> tail_;
};

std::string name_of(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

// What RocksDB can read through is left alone, whatever we know of its format.
bool is_sound(const rocksdb::Options& options, const std::string& path) {
  rocksdb::SstFileReader reader(options);
  return reader.Open(path).ok() && reader.VerifyChecksum().ok();
}

Result<TableScan> scan_file(rocksdb::FileSystem& files, const std::string& path) {
  TableFile table;
  std::unique_ptr<rocksdb::FSRandomAccessFile> file;
  WARREN_CHECK(to_status(files.GetFileSize(path, IOOptions(), &table.bytes, nullptr),
                         fmt::format("looking at '{}'", path)));
  WARREN_CHECK(to_status(files.NewRandomAccessFile(path, rocksdb::FileOptions(), &file, nullptr),
                         fmt::format("opening '{}'", path)));
  table.read = [&file](std::uint64_t offset, std::size_t size) -> Result<std::string> {
    std::string bytes(size, '\0');
    Slice got;
    const IOStatus status = file->Read(offset, size, IOOptions(), &got, bytes.data(), nullptr);
    if (!status.ok()) return to_error(status, "it cannot be read");
    return got.ToString();
  };
  return scan_table(table);
}

}  // namespace

TableTails tails_of(const std::vector<DamagedTable>& tables) {
  TableTails out;
  for (const DamagedTable& table : tables) {
    if (!table.tail.bytes.empty()) out[table.file] = table.tail;
  }
  return out;
}

MendedFs::MendedFs(const std::shared_ptr<rocksdb::FileSystem>& below, const TableTails& tails)
    : FileSystemWrapper(below) {
  for (const auto& [name, tail] : tails) {
    tails_[name] = std::make_shared<const TableTail>(tail);
  }
}

IOStatus MendedFs::NewRandomAccessFile(const std::string& path, const rocksdb::FileOptions& options,
                                       std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                                       IODebugContext* dbg) {
  IOStatus status = target()->NewRandomAccessFile(path, options, file, dbg);
  const auto tail = tails_.find(name_of(path));
  if (status.ok() && tail != tails_.end()) {
    *file = std::make_unique<MendedFile>(std::move(*file), tail->second);
  }
  return status;
}

Result<std::map<std::string, TableScan>> scan_tables(const rocksdb::Options& options,
                                                     const std::string& directory) {
  rocksdb::FileSystem& files = *options.env->GetFileSystem();
  std::vector<std::string> names;
  WARREN_CHECK(to_status(files.GetChildren(directory, IOOptions(), &names, nullptr),
                         fmt::format("listing '{}'", directory)));
  std::map<std::string, TableScan> out;
  for (const std::string& name : names) {
    const std::string path = fmt::format("{}/{}", directory, name);
    if (!name.ends_with(".sst") || is_sound(options, path)) continue;
    WARREN_TRY(TableScan scan, scan_file(files, path));
    if (!scan.damage.empty()) out.emplace(name, std::move(scan));
  }
  return out;
}

}  // namespace warren::storage
