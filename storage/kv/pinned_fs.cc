// SPDX-License-Identifier: Apache-2.0
#include "storage/kv/pinned_fs.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/base/units.h"
#include "storage/kv/direct_fs.h"
#include "storage/kv/log_scan.h"
#include "storage/kv/rocks_doctor.h"

namespace warren::storage {

namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

// A manifest grows with every flush and compaction, some times a second under load; collecting
// takes a millisecond: nothing is read meanwhile but names and sizes.
constexpr int kAttemptsMax = 500;

// What may be written in place at the end of a log, and as much again.
constexpr std::uint64_t kTailBytesMax = 2 * kLogAheadBytes;
constexpr std::uint64_t kLogBlockBytes = 32_KiB;

IOStatus refused() {
  return IOStatus::NotSupported("this view of a store is read-only");
}

Error os_error(std::string_view doing, const std::string& path, int error) {
  return Error{error == ENOENT ? Errc::not_found : Errc::io_error,
               fmt::format("cannot {} '{}': {}", doing, path,
                           std::error_code(error, std::generic_category()).message())};
}

Error too_fast(const std::string& directory) {
  return Error{Errc::in_use, fmt::format("'{}' changes too fast to be looked at", directory)};
}

Result<std::uint64_t> size_of(const FileDescriptor& file, const std::string& path) {
  struct stat status {};
  if (::fstat(file.fd, &status) != 0) return os_error("look at", path, errno);
  return static_cast<std::uint64_t>(status.st_size);
}

// Reads until `size` bytes are there or the file ends.
Result<std::size_t> read_at(int fd, std::uint64_t offset, char* to, std::size_t size) {
  std::size_t got = 0;
  while (got < size) {
    const ssize_t more = ::pread(fd, to + got, size - got, static_cast<off_t>(offset + got));
    if (more < 0 && errno == EINTR) continue;
    if (more < 0) return os_error("read", "a file of the store", errno);
    if (more == 0) break;
    got += static_cast<std::size_t>(more);
  }
  return got;
}

Result<std::string> read_whole(int fd, std::uint64_t bytes) {
  std::string content(bytes, '\0');
  WARREN_TRY(const std::size_t got, read_at(fd, 0, content.data(), content.size()));
  content.resize(got);
  return content;
}

Result<std::string> read_current(const std::string& directory) {
  const std::string path = directory + "/CURRENT";
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return os_error("open", path, errno);
  const FileDescriptor file(fd);
  constexpr std::uint64_t kCurrentBytesMax = 256;
  return read_whole(fd, kCurrentBytesMax);
}

// Both kinds of reader: they share the descriptor and never look behind the pinned size.
class PinnedFile {
 public:
  explicit PinnedFile(PinnedFs::Pinned pinned) : pinned_(std::move(pinned)) {}

  IOStatus read(std::uint64_t offset, std::size_t size, Slice* result, char* scratch) const {
    *result = Slice(scratch, 0);
    const std::uint64_t end = std::min(offset + size, pinned_.bytes);
    const std::uint64_t tail_at = pinned_.tail ? std::min(end, pinned_.tail_at) : end;
    std::uint64_t at = offset;
    if (at < tail_at) {
      const auto got = read_at(pinned_.descriptor->fd, at, scratch, tail_at - at);
      if (!got.ok()) return IOStatus::IOError(got.error().text);
      at += *got;
    }
    if (at >= tail_at && at < end) {
      pinned_.tail->copy(scratch + (at - offset), end - at, at - pinned_.tail_at);
      at = end;
    }
    *result = Slice(scratch, at > offset ? at - offset : 0);
    return IOStatus::OK();
  }

 private:
  PinnedFs::Pinned pinned_;
};

class PinnedSequentialFile final : public rocksdb::FSSequentialFile {
 public:
  explicit PinnedSequentialFile(PinnedFile file) : file_(std::move(file)) {}

  IOStatus Read(std::size_t size, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) override {
    const IOStatus status = file_.read(at_, size, result, scratch);
    at_ += result->size();
    return status;
  }
  IOStatus Skip(std::uint64_t bytes) override {
    at_ += bytes;
    return IOStatus::OK();
  }

 private:
  PinnedFile file_;
  std::uint64_t at_ = 0;
};

class PinnedRandomAccessFile final : public rocksdb::FSRandomAccessFile {
 public:
  explicit PinnedRandomAccessFile(PinnedFile file) : file_(std::move(file)) {}

  IOStatus Read(std::uint64_t offset, std::size_t size, const IOOptions&, Slice* result,
                char* scratch, IODebugContext*) const override {
    return file_.read(offset, size, result, scratch);
  }

 private:
  PinnedFile file_;
};

bool is_log(const std::string& name) {
  return name.ends_with(".log");
}

bool is_wanted(const std::string& name) {
  return name == "CURRENT" || name == "IDENTITY" || name.starts_with("OPTIONS-") ||
         name.ends_with(".sst") || name.ends_with(".blob") || is_log(name);
}

}  // namespace

PinnedFs::PinnedFs(std::string directory)
    : FileSystemWrapper(rocksdb::FileSystem::Default()), directory_(std::move(directory)) {}

Result<std::shared_ptr<PinnedFs>> PinnedFs::take(const std::string& directory) {
  const std::shared_ptr<PinnedFs> out(new PinnedFs(directory));  // private constructor
  for (int left = kAttemptsMax; left > 0; --left) {
    WARREN_TRY(const Attempt done, out->attempt());
    if (done == Attempt::disturbed) continue;
    // What was named and open at a quiet moment stays as it was, but for the ends.
    WARREN_CHECK(out->cut_manifest());
    if (!out->newest_log_.empty()) WARREN_CHECK(out->copy_tail(out->newest_log_));
    return out;
  }
  return too_fast(directory);
}

Result<PinnedFs::Attempt> PinnedFs::attempt() {
  files_.clear();
  newest_log_.clear();
  WARREN_TRY(const std::string current, read_current(directory_));
  manifest_ = current;
  while (!manifest_.empty() && manifest_.back() == '\n') manifest_.pop_back();
  if (!manifest_.starts_with("MANIFEST-")) {
    return Error{Errc::corruption, fmt::format("'{}/CURRENT' names no manifest", directory_)};
  }
  WARREN_TRY(const bool manifest_there, pin(manifest_));
  if (!manifest_there) {
    // Replaced between the two looks, or really gone.
    WARREN_TRY(const std::string again, read_current(directory_));
    if (again != current) return Attempt::disturbed;
    return os_error("open", directory_ + "/" + manifest_, ENOENT);
  }

  std::error_code error;
  std::vector<std::string> names;
  for (std::filesystem::directory_iterator at(directory_, error), end; !error && at != end;
       at.increment(error)) {
    names.push_back(at->path().filename().string());
  }
  if (error) return os_error("list", directory_, error.value());
  // Newest log first (the numbers in their names have leading zeros; longer ones are newer).
  std::ranges::sort(names, [](const std::string& a, const std::string& b) {
    return a.size() != b.size() ? a.size() > b.size() : a > b;
  });
  for (const std::string& name : names) {
    if (!is_wanted(name)) continue;
    // A file that is gone meanwhile is missed only if the manifest, unchanged, names it.
    WARREN_TRY(const bool there, pin(name));
    if (there && is_log(name) && newest_log_.empty()) newest_log_ = name;
  }

  const Pinned& manifest = files_.at(manifest_);
  WARREN_TRY(const std::uint64_t bytes_now, size_of(*manifest.descriptor, manifest_));
  WARREN_TRY(const std::string current_now, read_current(directory_));
  const bool quiet = current_now == current && bytes_now == manifest.bytes;
  return quiet ? Attempt::taken : Attempt::disturbed;
}

// Nothing that was there when it was pinned changes: it is only added to.
Status PinnedFs::cut_manifest() {
  Pinned& manifest = files_.at(manifest_);
  WARREN_TRY(const std::string content, read_whole(manifest.descriptor->fd, manifest.bytes));
  const std::uint64_t sound = sound_manifest_bytes(content);
  manifest_bytes_cut_ = manifest.bytes - sound;
  manifest.bytes = sound;
  return {};
}

// False when it is gone: whether it was needed is for the manifest to say.
Result<bool> PinnedFs::pin(const std::string& name) {
  const std::string path = directory_ + "/" + name;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return false;
  if (fd < 0) return os_error("open", path, errno);
  auto descriptor = std::make_shared<const FileDescriptor>(fd);
  WARREN_TRY(const std::uint64_t bytes, size_of(*descriptor, path));
  Pinned& pinned = files_[name];
  pinned.descriptor = std::move(descriptor);
  pinned.bytes = bytes;
  return true;
}

// Ends it behind the last part that is whole: what lies behind is zeros, or being written.
Status PinnedFs::copy_tail(const std::string& log) {
  Pinned& pinned = files_.at(log);
  const std::uint64_t before = pinned.bytes - std::min(pinned.bytes, kTailBytesMax);
  pinned.tail_at = before / kLogBlockBytes * kLogBlockBytes;
  std::string last;
  for (int left = kAttemptsMax; left > 0; --left) {
    std::string tail(pinned.bytes - pinned.tail_at, '\0');
    WARREN_TRY(const std::size_t got,
               read_at(pinned.descriptor->fd, pinned.tail_at, tail.data(), tail.size()));
    tail.resize(got);
    const LogScan scan = scan_log(tail);
    if (scan.end == LogScan::End::torn) tail.resize(scan.damage_at);
    // Half of what is being written, or damage: that stays as it is, and the log may go on behind.
    if (scan.end == LogScan::End::corrupt) {
      const std::uint64_t block_end = (scan.damage_at / kLogBlockBytes + 1) * kLogBlockBytes;
      if (tail.compare(0, block_end, last) != 0) {
        last = tail.substr(0, block_end);
        let_writes_end();
        continue;
      }
    }
    pinned.bytes = pinned.tail_at + tail.size();
    pinned.tail = std::make_shared<const std::string>(std::move(tail));
    return {};
  }
  return too_fast(directory_);
}

std::uint64_t PinnedFs::wal_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [name, pinned] : files_) bytes += is_log(name) ? pinned.bytes : 0;
  return bytes;
}

const PinnedFs::Pinned* PinnedFs::find(const std::string& path) const {
  const std::size_t slash = path.rfind('/');
  const auto found = files_.find(slash == std::string::npos ? path : path.substr(slash + 1));
  return found == files_.end() ? nullptr : &found->second;
}

IOStatus PinnedFs::NewSequentialFile(const std::string& path, const rocksdb::FileOptions&,
                                     std::unique_ptr<rocksdb::FSSequentialFile>* file,
                                     IODebugContext*) {
  const Pinned* const pinned = find(path);
  if (pinned == nullptr) return IOStatus::PathNotFound(path);
  *file = std::make_unique<PinnedSequentialFile>(PinnedFile(*pinned));
  return IOStatus::OK();
}

IOStatus PinnedFs::NewRandomAccessFile(const std::string& path, const rocksdb::FileOptions&,
                                       std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                                       IODebugContext*) {
  const Pinned* const pinned = find(path);
  if (pinned == nullptr) return IOStatus::PathNotFound(path);
  *file = std::make_unique<PinnedRandomAccessFile>(PinnedFile(*pinned));
  return IOStatus::OK();
}

IOStatus PinnedFs::FileExists(const std::string& path, const IOOptions&, IODebugContext*) {
  if (path == directory_ || path == directory_ + "/" || find(path) != nullptr) {
    return IOStatus::OK();
  }
  return IOStatus::NotFound(path);
}

IOStatus PinnedFs::GetChildren(const std::string&, const IOOptions&,
                               std::vector<std::string>* names, IODebugContext*) {
  names->clear();
  for (const auto& [name, pinned] : files_) names->push_back(name);
  return IOStatus::OK();
}

IOStatus PinnedFs::GetChildrenFileAttributes(const std::string&, const IOOptions&,
                                             std::vector<rocksdb::FileAttributes>* files,
                                             IODebugContext*) {
  files->clear();
  for (const auto& [name, pinned] : files_) {
    rocksdb::FileAttributes attributes;
    attributes.name = name;
    attributes.size_bytes = pinned.bytes;
    files->push_back(std::move(attributes));
  }
  return IOStatus::OK();
}

IOStatus PinnedFs::GetFileSize(const std::string& path, const IOOptions&, std::uint64_t* bytes,
                               IODebugContext*) {
  const Pinned* const pinned = find(path);
  if (pinned == nullptr) return IOStatus::PathNotFound(path);
  *bytes = pinned->bytes;
  return IOStatus::OK();
}

IOStatus PinnedFs::NewWritableFile(const std::string&, const rocksdb::FileOptions&,
                                   std::unique_ptr<rocksdb::FSWritableFile>*, IODebugContext*) {
  return refused();
}
IOStatus PinnedFs::ReopenWritableFile(const std::string&, const rocksdb::FileOptions&,
                                      std::unique_ptr<rocksdb::FSWritableFile>*, IODebugContext*) {
  return refused();
}
IOStatus PinnedFs::ReuseWritableFile(const std::string&, const std::string&,
                                     const rocksdb::FileOptions&,
                                     std::unique_ptr<rocksdb::FSWritableFile>*, IODebugContext*) {
  return refused();
}
IOStatus PinnedFs::NewRandomRWFile(const std::string&, const rocksdb::FileOptions&,
                                   std::unique_ptr<rocksdb::FSRandomRWFile>*, IODebugContext*) {
  return refused();
}
IOStatus PinnedFs::NewMemoryMappedFileBuffer(const std::string&,
                                             std::unique_ptr<rocksdb::MemoryMappedFileBuffer>*) {
  return refused();
}
IOStatus PinnedFs::NewDirectory(const std::string&, const IOOptions&,
                                std::unique_ptr<rocksdb::FSDirectory>*, IODebugContext*) {
  return refused();
}
IOStatus PinnedFs::DeleteFile(const std::string&, const IOOptions&, IODebugContext*) {
  return refused();
}
IOStatus PinnedFs::Truncate(const std::string&, std::size_t, const IOOptions&, IODebugContext*) {
  return refused();
}
IOStatus PinnedFs::CreateDir(const std::string&, const IOOptions&, IODebugContext*) {
  return refused();
}
IOStatus PinnedFs::CreateDirIfMissing(const std::string&, const IOOptions&, IODebugContext*) {
  return refused();
}
IOStatus PinnedFs::DeleteDir(const std::string&, const IOOptions&, IODebugContext*) {
  return refused();
}
IOStatus PinnedFs::RenameFile(const std::string&, const std::string&, const IOOptions&,
                              IODebugContext*) {
  return refused();
}
IOStatus PinnedFs::LinkFile(const std::string&, const std::string&, const IOOptions&,
                            IODebugContext*) {
  return refused();
}
IOStatus PinnedFs::LockFile(const std::string&, const IOOptions&, rocksdb::FileLock**,
                            IODebugContext*) {
  return refused();
}
IOStatus PinnedFs::NewLogger(const std::string&, const IOOptions&,
                             std::shared_ptr<rocksdb::Logger>*, IODebugContext*) {
  return refused();
}

}  // namespace warren::storage
