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

#include "storage/kv/rocks_doctor.h"

namespace warren::storage {

struct PinnedFs::Descriptor {
  explicit Descriptor(int descriptor) : fd(descriptor) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { ::close(fd); }
  const int fd;
};

namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

// A manifest grows with every flush and compaction, some times a second under load; collecting
// takes milliseconds.
constexpr int kAttemptsMax = 500;

IOStatus refused() {
  return IOStatus::NotSupported("this view of a store is read-only");
}

Error os_error(std::string_view doing, const std::string& path, int error) {
  return Error{error == ENOENT ? Errc::not_found : Errc::io_error,
               fmt::format("cannot {} '{}': {}", doing, path,
                           std::error_code(error, std::generic_category()).message())};
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
  const PinnedFs::Descriptor file(fd);
  constexpr std::uint64_t kCurrentBytesMax = 256;
  return read_whole(fd, kCurrentBytesMax);
}

// Both kinds of reader: they share the descriptor and never look behind the pinned size.
class PinnedFile {
 public:
  PinnedFile(std::shared_ptr<const PinnedFs::Descriptor> descriptor, std::uint64_t bytes)
      : descriptor_(std::move(descriptor)), bytes_(bytes) {}

  IOStatus read(std::uint64_t offset, std::size_t size, Slice* result, char* scratch) const {
    *result = Slice(scratch, 0);
    if (offset >= bytes_) return IOStatus::OK();
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(size, bytes_ - offset));
    const auto got = read_at(descriptor_->fd, offset, scratch, wanted);
    if (!got.ok()) return IOStatus::IOError(got.error().text);
    *result = Slice(scratch, *got);
    return IOStatus::OK();
  }

 private:
  std::shared_ptr<const PinnedFs::Descriptor> descriptor_;
  std::uint64_t bytes_;
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
    if (done == Attempt::taken) return out;
  }
  return Error{Errc::in_use, fmt::format("'{}' changes too fast to be looked at", directory)};
}

Result<PinnedFs::Attempt> PinnedFs::attempt() {
  files_.clear();
  WARREN_TRY(const std::string current, read_current(directory_));
  std::string manifest = current;
  while (!manifest.empty() && manifest.back() == '\n') manifest.pop_back();
  if (!manifest.starts_with("MANIFEST-")) {
    return Error{Errc::corruption, fmt::format("'{}/CURRENT' names no manifest", directory_)};
  }
  if (const Status pinned = pin_manifest(manifest); !pinned.ok()) {
    // Replaced between the two looks, or really gone.
    WARREN_TRY(const std::string again, read_current(directory_));
    return again == current ? Result<Attempt>(pinned.error()) : Attempt::disturbed;
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
    if (const auto there = pin(name); !there.ok()) return there.error();
  }

  struct stat now {};
  if (::fstat(find(manifest)->descriptor->fd, &now) != 0) {
    return os_error("look at", manifest, errno);
  }
  WARREN_TRY(const std::string current_now, read_current(directory_));
  const bool quiet =
      current_now == current && static_cast<std::uint64_t>(now.st_size) == manifest_bytes_seen_;
  return quiet ? Attempt::taken : Attempt::disturbed;
}

Status PinnedFs::pin_manifest(const std::string& name) {
  WARREN_TRY(const bool there, pin(name));
  if (!there) return os_error("open", directory_ + "/" + name, ENOENT);
  Pinned& manifest = files_.at(name);
  WARREN_TRY(const std::string content, read_whole(manifest.descriptor->fd, manifest.bytes));
  manifest_bytes_seen_ = manifest.bytes;
  manifest.bytes = sound_manifest_bytes(content);
  manifest_bytes_cut_ = manifest_bytes_seen_ - manifest.bytes;
  return {};
}

// False when it is gone: whether it was needed is for the manifest to say.
Result<bool> PinnedFs::pin(const std::string& name) {
  const std::string path = directory_ + "/" + name;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return false;
  if (fd < 0) return os_error("open", path, errno);
  auto descriptor = std::make_shared<const Descriptor>(fd);
  struct stat status {};
  if (::fstat(fd, &status) != 0) return os_error("look at", path, errno);
  files_[name] = Pinned{std::move(descriptor), static_cast<std::uint64_t>(status.st_size)};
  return true;
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
  *file = std::make_unique<PinnedSequentialFile>(PinnedFile(pinned->descriptor, pinned->bytes));
  return IOStatus::OK();
}

IOStatus PinnedFs::NewRandomAccessFile(const std::string& path, const rocksdb::FileOptions&,
                                       std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                                       IODebugContext*) {
  const Pinned* const pinned = find(path);
  if (pinned == nullptr) return IOStatus::PathNotFound(path);
  *file = std::make_unique<PinnedRandomAccessFile>(PinnedFile(pinned->descriptor, pinned->bytes));
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
