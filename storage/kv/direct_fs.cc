// SPDX-License-Identifier: Apache-2.0
#include "storage/kv/direct_fs.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "storage/base/assert.h"
#include "storage/kv/pages.h"

namespace warren::storage {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

constexpr std::size_t kBufferBytes = 1_MiB;
// Of a log. Larger writes cost more than what a sync of a growing file does.
constexpr std::size_t kSmallBytes = 64_KiB;
constexpr std::uint64_t kLogBlockBytes = 32_KiB;
constexpr std::size_t kLogHeaderBytes = 7;

const char* zeros() {
  alignas(kPageBytes) static char zeros[kLogAheadBytes] = {};
  return zeros;
}

enum class Kind : std::uint8_t { log, table };

// RocksDB is not told that it writes directly: it would leave out the sync, and with it what is in
// the disk's own cache.
class DirectFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  DirectFile(std::unique_ptr<rocksdb::FSWritableFile> target, Kind kind)
      : FSWritableFileOwnerWrapper(std::move(target)), kind_(kind) {}

  bool use_direct_io() const override { return false; }
  bool IsSyncThreadSafe() const override { return false; }
  std::uint64_t GetFileSize(const IOOptions&, IODebugContext*) override { return at_ + used_; }
  // Blocks that are allocated and never written cost a sync more than new ones.
  void PrepareWrite(std::size_t, std::size_t, const IOOptions&, IODebugContext*) override {}
  IOStatus Allocate(std::uint64_t, std::uint64_t, const IOOptions&, IODebugContext*) override {
    return IOStatus::OK();
  }
  IOStatus RangeSync(std::uint64_t, std::uint64_t, const IOOptions&, IODebugContext*) override {
    return IOStatus::OK();
  }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* dbg) override;
  IOStatus Append(const Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo&,
                  IODebugContext* dbg) override {
    return Append(data, options, dbg);
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* dbg) override {
    const IOStatus written = write_rest(options, dbg);
    return written.ok() ? keep(target()->Sync(options, dbg)) : written;
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* dbg) override {
    const IOStatus written = write_rest(options, dbg);
    return written.ok() ? keep(target()->Fsync(options, dbg)) : written;
  }
  IOStatus Close(const IOOptions& options, IODebugContext* dbg) override;

 private:
  // S10: after a failure nothing is written any more, and no sync is tried again.
  IOStatus keep(IOStatus status) {
    if (!status.ok()) failed_ = true;
    return status;
  }
  static IOStatus failed_before() {
    return IOStatus::IOError("an earlier write of this file failed");
  }
  IOStatus write_rest(const IOOptions& options, IODebugContext* dbg);
  IOStatus write_out(std::size_t bytes, const IOOptions& options, IODebugContext* dbg);
  IOStatus write_ahead(const IOOptions& options, IODebugContext* dbg);
  IOStatus trim(const IOOptions& options, IODebugContext* dbg);

  const Kind kind_;
  Pages buffer_ = make_pages(kBufferBytes + kPageBytes);  // room for a page of zeros behind
  std::size_t used_ = 0;                                  // of it
  bool failed_ = false;
  bool unwritten_ = false;         // some of that is not in the file yet
  std::uint64_t at_ = 0;           // where it begins in the file: a page
  std::uint64_t written_end_ = 0;  // of the file, with the zeros
};

IOStatus DirectFile::Append(const Slice& data, const IOOptions& options, IODebugContext* dbg) {
  std::string_view rest(data.data(), data.size());
  while (!rest.empty()) {
    const std::size_t step = std::min(kBufferBytes - used_, rest.size());
    std::memcpy(buffer_.get() + used_, rest.data(), step);
    rest.remove_prefix(step);
    used_ += step;
    unwritten_ = true;
    if (used_ < kBufferBytes) break;
    if (IOStatus written = write_out(used_, options, dbg); !written.ok()) return written;
  }
  return IOStatus::OK();
}

// The first `bytes` of the buffer, whole pages; keeps the last page while it has room.
IOStatus DirectFile::write_out(std::size_t bytes, const IOOptions& options, IODebugContext* dbg) {
  WARREN_ASSERT(bytes % kPageBytes == 0 && bytes >= used_);
  if (failed_) return failed_before();
  std::memset(buffer_.get() + used_, 0, bytes - used_);
  const IOStatus written =
      keep(target()->PositionedAppend(Slice(buffer_.get(), bytes), at_, options, dbg));
  if (!written.ok()) return written;
  unwritten_ = false;
  written_end_ = std::max(written_end_, at_ + bytes);
  const std::size_t whole = used_ / kPageBytes * kPageBytes;
  std::memmove(buffer_.get(), buffer_.get() + whole, used_ - whole);
  at_ += whole;
  used_ -= whole;
  return written;
}

IOStatus DirectFile::write_rest(const IOOptions& options, IODebugContext* dbg) {
  if (failed_) return failed_before();
  if (!unwritten_) return IOStatus::OK();
  std::size_t bytes = to_pages(used_);
  const bool small = used_ <= kSmallBytes;
  if (kind_ == Kind::log && bytes - used_ < kLogHeaderBytes &&
      (at_ + bytes) % kLogBlockBytes != 0) {
    bytes += kPageBytes;
  }
  if (IOStatus written = write_out(bytes, options, dbg); !written.ok()) return written;
  if (kind_ == Kind::table) return trim(options, dbg);
  return small ? write_ahead(options, dbg) : IOStatus::OK();
}

IOStatus DirectFile::write_ahead(const IOOptions& options, IODebugContext* dbg) {
  if (at_ + 2 * kPageBytes <= written_end_) return IOStatus::OK();
  const IOStatus written =
      keep(target()->PositionedAppend(Slice(zeros(), kLogAheadBytes), written_end_, options, dbg));
  if (written.ok()) written_end_ += kLogAheadBytes;
  return written;
}

IOStatus DirectFile::trim(const IOOptions& options, IODebugContext* dbg) {
  const std::uint64_t size = at_ + used_;
  if (written_end_ <= size) return IOStatus::OK();
  const IOStatus cut = keep(target()->Truncate(size, options, dbg));
  if (cut.ok()) written_end_ = size;
  return cut;
}

IOStatus DirectFile::Close(const IOOptions& options, IODebugContext* dbg) {
  IOStatus done;
  if (!failed_ && unwritten_) done = write_out(to_pages(used_), options, dbg);
  if (!failed_ && done.ok()) done = trim(options, dbg);
  const IOStatus closed = target()->Close(options, dbg);
  return done.ok() ? closed : done;
}

}  // namespace

IOStatus DirectFs::NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                   std::unique_ptr<rocksdb::FSWritableFile>* file,
                                   IODebugContext* dbg) {
  const bool log = path.ends_with(".log");
  if (!log && !path.ends_with(".sst") && !path.ends_with(".blob")) {
    return target()->NewWritableFile(path, options, file, dbg);
  }
  rocksdb::FileOptions direct = options;
  direct.use_direct_writes = true;
  std::unique_ptr<rocksdb::FSWritableFile> below;
  const IOStatus status = target()->NewWritableFile(path, direct, &below, dbg);
  if (status.ok()) {
    *file = std::make_unique<DirectFile>(std::move(below), log ? Kind::log : Kind::table);
  }
  return status;
}

IOStatus DirectFs::NewRandomAccessFile(const std::string& path, const rocksdb::FileOptions& options,
                                       std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                                       IODebugContext* dbg) {
  rocksdb::FileOptions direct = options;
  const bool blob = path.ends_with(".blob");
  direct.use_direct_reads = options.use_direct_reads || blob;
  std::unique_ptr<rocksdb::FSRandomAccessFile> below;
  const IOStatus status = target()->NewRandomAccessFile(path, direct, &below, dbg);
  if (!status.ok()) return status;
  *file = blob ? read_ahead(std::move(below), read_ahead_) : std::move(below);
  return status;
}

bool takes_direct_writes(const std::string& directory) {
  const std::string path = directory + "/direct-io.tmp";
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_DIRECT | O_CLOEXEC, 0640);
  if (fd < 0) {
    ::unlink(path.c_str());  // some file systems make it and refuse then
    return false;
  }
  ::unlink(path.c_str());
  const ssize_t written = ::pwrite(fd, zeros(), kPageBytes, 0);
  ::close(fd);
  return written == static_cast<ssize_t>(kPageBytes);
}

}  // namespace warren::storage
