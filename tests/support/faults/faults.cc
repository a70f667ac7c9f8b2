// SPDX-License-Identifier: Apache-2.0
// Preloaded into warrend (LD_PRELOAD), it makes the disk and the clock misbehave as a test says:
// the page at $WARREN_FAULTS is shared with it (tests/support/faults.py). What fails or is slow is
// every regular file behind a descriptor above standard error, wherever it lies; what is below
// $WARREN_FAULTS_DIR is only counted, as what is used of the small disk.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

// All 64 bits wide, in the order of faults.py.
struct Page {
  std::atomic<std::int64_t> wall_offset_ms;
  std::atomic<std::int64_t> sync_delay_us;
  std::atomic<std::int64_t> syncs_left;  // then each one fails and takes its bytes along; < 0: none
  std::atomic<std::int64_t> writes_left;  // then each one fails; < 0: none does
  std::atomic<std::int64_t> error;        // what they fail with
  std::atomic<std::int64_t> disk_bytes;   // the size of the disk; 0: as it is
  std::atomic<std::int64_t> refused;      // told to the test: syncs and writes that failed
  std::atomic<std::int64_t> reads_left;   // of the store's files, then each fails; < 0: none does
  std::atomic<std::int64_t> read_kinds;   // of which files: 1 .sst, 2 .blob, 4 .log, 8 the others
  std::atomic<std::int64_t> read_inode;   // ... or of this one only; 0: of all of the kinds
  std::atomic<std::int64_t> reads_refused;
  std::atomic<std::int64_t> read_offset;    // only those that need this byte; < 0: all
  std::atomic<std::int64_t> read_delay_us;  // how long they take to fail
};

// What a file held when it was last synced. A slot per descriptor; a new file has a new inode.
struct Synced {
  std::atomic<std::uint64_t> inode;
  std::atomic<std::int64_t> bytes;
};

constexpr int kDescriptorsMax = 4096;
constexpr std::int64_t kRescanBytes = 1 << 16;

Page* page = nullptr;
const char* folder = nullptr;
Synced synced[kDescriptorsMax];
struct Overwritten {
  off_t at;
  std::string content;
};
std::mutex overwritten_mutex;
std::vector<Overwritten> overwritten[kDescriptorsMax];  // since the last sync, in order
std::mutex scan_mutex;
std::int64_t used_bytes = 0;  // guarded by scan_mutex: as of the last scan
std::int64_t since_scan = 0;  // guarded by scan_mutex: written since

__attribute__((constructor)) void attach() {
  const char* const path = std::getenv("WARREN_FAULTS");
  folder = std::getenv("WARREN_FAULTS_DIR");
  if (path == nullptr || folder == nullptr) return;
  const int fd = ::open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) std::abort();
  void* const mapped = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ::close(fd);
  if (mapped == MAP_FAILED) std::abort();
  page = static_cast<Page*>(mapped);
}

int open_again(int fd, int flags) {
  char link[32];
  std::snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  const int again = ::open(link, flags | O_CLOEXEC);
  if (again < 0) std::abort();
  return again;
}

bool is_ours(int fd) {
  struct stat status {};
  return page != nullptr && fd > STDERR_FILENO && ::fstat(fd, &status) == 0 &&
         S_ISREG(status.st_mode);
}

// Counts down to zero and stays there; true at zero.
bool used_up(std::atomic<std::int64_t>& left) {
  std::int64_t now = left.load();
  while (now > 0 && !left.compare_exchange_weak(now, now - 1)) {
  }
  return now == 0;
}

int refuse() {
  ++page->refused;
  errno = static_cast<int>(page->error.load());
  return -1;
}

void scan() {
  std::int64_t bytes = 0;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, ignored)) {
    struct stat status {};
    if (::lstat(entry.path().c_str(), &status) == 0) bytes += status.st_blocks * 512;
  }
  used_bytes = bytes;
  since_scan = 0;
}

// Is there room for so many bytes more on a disk of the test's size?
bool fits(std::int64_t bytes) {
  const std::int64_t size = page->disk_bytes;
  if (size == 0) return true;
  const std::lock_guard lock(scan_mutex);
  if (since_scan > kRescanBytes || used_bytes + since_scan + bytes > size) scan();
  if (used_bytes + since_scan + bytes > size) return false;
  since_scan += bytes;
  return true;
}

bool may_write(int fd, std::int64_t bytes) {
  if (!is_ours(fd)) return true;
  if (used_up(page->writes_left)) {
    refuse();
    return false;
  }
  if (fits(bytes)) return true;
  ++page->refused;
  errno = ENOSPC;
  return false;
}

// A file's bit in read_kinds; 0: not below the folder.
std::int64_t kind_of(int fd) {
  char link[32];
  char path[4096];
  std::snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  const ssize_t bytes = ::readlink(link, path, sizeof(path));
  const std::string_view name(path, bytes < 0 ? 0 : static_cast<std::size_t>(bytes));
  if (!name.starts_with(folder)) return 0;
  if (name.ends_with(".sst")) return 1;
  if (name.ends_with(".blob")) return 2;
  return name.ends_with(".log") ? 4 : 8;
}

// `at` is negative where the place is not known.
bool may_read(int fd, std::int64_t at, std::int64_t bytes) {
  if (page == nullptr || page->reads_left < 0 || fd <= STDERR_FILENO) return true;
  struct stat status {};
  if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return true;
  const std::int64_t inode = page->read_inode;
  if (inode != 0 && inode != static_cast<std::int64_t>(status.st_ino)) return true;
  const std::int64_t offset = page->read_offset;
  if (offset >= 0 && at >= 0 && (offset < at || offset >= at + bytes)) return true;
  if ((kind_of(fd) & page->read_kinds) == 0 || !used_up(page->reads_left)) return true;
  ++page->reads_refused;
  std::this_thread::sleep_for(std::chrono::microseconds(page->read_delay_us.load()));
  errno = EIO;
  return false;
}

std::int64_t length(const iovec* parts, int count) {
  std::int64_t bytes = 0;
  for (int i = 0; i < count; ++i) bytes += static_cast<std::int64_t>(parts[i].iov_len);
  return bytes;
}

// A write in place, of what was synced already: if the next sync fails, that comes back.
void remember(int fd, off_t at, std::size_t bytes) {
  if (page->syncs_left < 0 || fd >= kDescriptorsMax) return;
  const int reader = open_again(fd, O_RDONLY);
  Overwritten was{at, std::string(bytes, '\0')};
  const ssize_t got = ::syscall(SYS_pread64, reader, was.content.data(), bytes, at);
  ::close(reader);
  was.content.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  const std::lock_guard lock(overwritten_mutex);
  overwritten[fd].push_back(std::move(was));
}

void restore(int fd) {
  const int writer = open_again(fd, O_WRONLY);
  const std::lock_guard lock(overwritten_mutex);
  for (auto was = overwritten[fd].rbegin(); was != overwritten[fd].rend(); ++was) {
    const auto bytes = static_cast<long>(was->content.size());
    if (::syscall(SYS_pwrite64, writer, was->content.data(), bytes, was->at) != bytes) std::abort();
  }
  overwritten[fd].clear();
  ::close(writer);
}

int sync(int fd, long call) {
  if (!is_ours(fd)) return static_cast<int>(::syscall(call, fd));
  if (const std::int64_t delay = page->sync_delay_us; delay > 0) {
    std::this_thread::sleep_for(std::chrono::microseconds(delay));
  }
  struct stat status {};
  ::fstat(fd, &status);
  const bool known = fd < kDescriptorsMax && synced[fd].inode == status.st_ino;
  if (used_up(page->syncs_left)) {
    // The kernel drops the pages that it could not write.
    if (fd < kDescriptorsMax) restore(fd);
    const off_t kept = known ? synced[fd].bytes.load() : 0;
    if (::ftruncate(fd, std::min<off_t>(kept, status.st_size)) != 0) std::abort();
    return refuse();
  }
  const int result = static_cast<int>(::syscall(call, fd));
  if (result == 0 && fd < kDescriptorsMax) {
    const std::lock_guard lock(overwritten_mutex);
    overwritten[fd].clear();
    synced[fd].inode = status.st_ino;
    synced[fd].bytes = status.st_size;
  }
  return result;
}

}  // namespace

extern "C" {

int fsync(int fd) {
  return sync(fd, SYS_fsync);
}
int fdatasync(int fd) {
  return sync(fd, SYS_fdatasync);
}

ssize_t write(int fd, const void* data, size_t bytes) {
  if (!may_write(fd, static_cast<std::int64_t>(bytes))) return -1;
  return ::syscall(SYS_write, fd, data, bytes);
}
ssize_t writev(int fd, const iovec* parts, int count) {
  if (!may_write(fd, length(parts, count))) return -1;
  return ::syscall(SYS_writev, fd, parts, count);
}
ssize_t pwrite(int fd, const void* data, size_t bytes, off_t at) {
  if (!may_write(fd, static_cast<std::int64_t>(bytes))) return -1;
  if (is_ours(fd)) remember(fd, at, bytes);
  return ::syscall(SYS_pwrite64, fd, data, bytes, at);
}
ssize_t pwrite64(int fd, const void* data, size_t bytes, off64_t at) {
  return pwrite(fd, data, bytes, at);
}
ssize_t read(int fd, void* data, size_t bytes) {
  if (!may_read(fd, -1, 0)) return -1;
  return ::syscall(SYS_read, fd, data, bytes);
}
ssize_t pread(int fd, void* data, size_t bytes, off_t at) {
  if (!may_read(fd, at, static_cast<std::int64_t>(bytes))) return -1;
  return ::syscall(SYS_pread64, fd, data, bytes, at);
}
ssize_t pread64(int fd, void* data, size_t bytes, off64_t at) {
  return pread(fd, data, bytes, at);
}
// The C library's own buffers are filled without read().
size_t fread_unlocked(void* data, size_t size, size_t count, FILE* stream) {
  static const auto below = reinterpret_cast<size_t (*)(void*, size_t, size_t, FILE*)>(
      ::dlsym(RTLD_NEXT, "fread_unlocked"));
  if (!may_read(::fileno(stream), -1, 0)) return 0;
  return below(data, size, count, stream);
}

int fallocate(int fd, int mode, off_t at, off_t bytes) {
  if (is_ours(fd) && !fits(bytes)) {
    errno = ENOSPC;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_fallocate, fd, mode, at, bytes));
}
int fallocate64(int fd, int mode, off64_t at, off64_t bytes) {
  return fallocate(fd, mode, at, bytes);
}

int statvfs(const char* path, struct statvfs* out) noexcept {
  static const auto below =
      reinterpret_cast<int (*)(const char*, struct statvfs*)>(::dlsym(RTLD_NEXT, "statvfs"));
  const int result = below(path, out);
  if (result != 0 || page == nullptr || page->disk_bytes == 0) return result;
  const std::lock_guard lock(scan_mutex);
  scan();
  const std::int64_t left = page->disk_bytes - used_bytes;
  out->f_blocks = static_cast<fsblkcnt_t>(page->disk_bytes / static_cast<long>(out->f_frsize));
  out->f_bavail = static_cast<fsblkcnt_t>(std::max<std::int64_t>(left, 0)) / out->f_frsize;
  out->f_bfree = out->f_bavail;
  return 0;
}
int statvfs64(const char* path, struct statvfs64* out) noexcept {
  return statvfs(path, reinterpret_cast<struct statvfs*>(out));
}

int clock_gettime(clockid_t clock, timespec* out) noexcept {
  const int result = static_cast<int>(::syscall(SYS_clock_gettime, clock, out));
  if (result == 0 && clock == CLOCK_REALTIME && page != nullptr) {
    const std::int64_t offset = page->wall_offset_ms;
    out->tv_sec += offset / 1000;
  }
  return result;
}

}  // extern "C"
