// SPDX-License-Identifier: Apache-2.0
// A file system below RocksDB that knows what a power loss may take: data behind the last sync of a
// file, and names made, moved or removed since the last sync of their directory. It can write down,
// at any moment, one of the directories that a power loss at this moment may leave.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <rocksdb/file_system.h>

namespace warren::storage {

class LossyFs final : public rocksdb::FileSystemWrapper {
 public:
  // `shadow` is an empty directory on the same disk: it keeps every content under a second name.
  LossyFs(const std::string& directory, const std::string& shadow)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), shadow_(shadow) {
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
      if (!entry.is_regular_file()) continue;
      const NodePtr node = adopt(entry.path().string());
      node->synced = entry.file_size();
      names_[entry.path().string()] = node;
    }
    durable_names_ = names_;
  }

  const char* Name() const override { return "LossyFs"; }

  // A sync of a file or a directory, or a change that waits for one.
  enum class Moment : std::uint8_t { sync, change };
  // Called before each takes effect, with the file system locked.
  void before(std::function<void(Moment)> hook) { before_ = std::move(hook); }

  // Runs `body` while nothing happens.
  void locked(const std::function<void()>& body) {
    const std::lock_guard lock(mutex_);
    body();
  }

  // Fills the empty directory `target` with what a power loss now might leave. What was not synced
  // may also be there in part, as any of its sectors, the others reading as zeros.
  void write_image(std::mt19937_64& random, const std::string& target) {
    const std::lock_guard lock(mutex_);
    std::map<std::string, NodePtr> names = durable_names_;
    std::size_t kept = random() % (pending_.size() + 1);
    for (const auto& change : pending_) {
      if (kept-- == 0) break;
      change(names);
    }
    for (const auto& [path, node] : names) {
      const std::string name = std::filesystem::path(path).filename().string();
      write_file(random, *node, target + "/" + name);
    }
  }

  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus NewRandomAccessFile(const std::string& path,
                                        const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                                        rocksdb::IODebugContext* dbg) override {
    rocksdb::FileOptions buffered = options;
    buffered.use_direct_reads = false;
    return target()->NewRandomAccessFile(path, buffered, file, dbg);
  }
  rocksdb::IOStatus ReopenWritableFile(const std::string&, const rocksdb::FileOptions&,
                                       std::unique_ptr<rocksdb::FSWritableFile>*,
                                       rocksdb::IODebugContext*) override {
    return rocksdb::IOStatus::NotSupported("LossyFs");
  }
  rocksdb::IOStatus ReuseWritableFile(const std::string&, const std::string&,
                                      const rocksdb::FileOptions&,
                                      std::unique_ptr<rocksdb::FSWritableFile>*,
                                      rocksdb::IODebugContext*) override {
    return rocksdb::IOStatus::NotSupported("LossyFs");
  }
  rocksdb::IOStatus NewDirectory(const std::string& path, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* directory,
                                 rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* dbg) override {
    const std::lock_guard lock(mutex_);
    announce(Moment::change);
    const rocksdb::IOStatus status = target()->RenameFile(from, to, options, dbg);
    if (status.ok()) {
      change([from, to](auto& names) {
        const auto at = names.find(from);
        if (at == names.end()) return;
        names[to] = at->second;
        names.erase(from);
      });
    }
    return status;
  }
  rocksdb::IOStatus DeleteFile(const std::string& path, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* dbg) override {
    const std::lock_guard lock(mutex_);
    announce(Moment::change);
    const rocksdb::IOStatus status = target()->DeleteFile(path, options, dbg);
    if (status.ok()) change([path](auto& names) { names.erase(path); });
    return status;
  }

 private:
  static constexpr std::uint64_t kSector = 512;
  struct Node {
    std::string shadow;  // a hard link: the content outlives its name
    std::uint64_t synced = 0;
    std::uint64_t trimmed_from = 0;                    // its size, until that is synced
    std::map<std::uint64_t, std::string> overwritten;  // sectors, as they were synced
    ~Node() {
      std::error_code ignored;
      std::filesystem::remove(shadow, ignored);
    }
  };
  using NodePtr = std::shared_ptr<Node>;
  class File;
  class Directory;

  NodePtr adopt(const std::string& path) {
    auto node = std::make_shared<Node>();
    node->shadow = shadow_ + "/" + std::to_string(++shadows_);
    std::filesystem::create_hard_link(path, node->shadow);
    return node;
  }
  void announce(Moment moment) {
    if (before_) before_(moment);
  }
  void change(std::function<void(std::map<std::string, NodePtr>&)> change) {
    change(names_);
    pending_.push_back(std::move(change));
  }
  void sync_file(Node& node) {
    const std::lock_guard lock(mutex_);
    announce(Moment::sync);
    node.synced = std::filesystem::file_size(node.shadow);
    node.trimmed_from = 0;
    node.overwritten.clear();
  }
  void sync_directory() {
    const std::lock_guard lock(mutex_);
    announce(Moment::sync);
    durable_names_ = names_;
    pending_.clear();
  }
  // What is about to be overwritten there, if it was synced: it may come back.
  static void remember(Node& node, std::uint64_t offset, std::size_t bytes) {
    std::ifstream in(node.shadow, std::ios::binary);
    for (std::uint64_t at = offset / kSector * kSector; at < std::min(offset + bytes, node.synced);
         at += kSector) {
      std::string sector(std::min(kSector, node.synced - at), '\0');
      in.seekg(static_cast<std::streamoff>(at));
      in.read(sector.data(), static_cast<std::streamsize>(sector.size()));
      node.overwritten.emplace(at, std::move(sector));
    }
  }
  static void restore(std::string& content, const Node& node, const std::function<bool()>& lost) {
    for (const auto& [at, sector] : node.overwritten) {
      if (at + sector.size() <= content.size() && lost()) {
        content.replace(at, sector.size(), sector);
      }
    }
  }
  // From `from` on, whole sectors may never have been written. They read as zeros.
  static void lose_sectors(std::string& content, std::uint64_t from,
                           const std::function<bool()>& lost) {
    for (std::uint64_t at = (from + kSector - 1) / kSector * kSector; at < content.size();
         at += kSector) {
      if (lost())
        content.replace(at, kSector, std::string(std::min(kSector, content.size() - at), '\0'));
    }
  }
  static void write_file(std::mt19937_64& random, const Node& node, const std::string& to) {
    std::ifstream in(node.shadow, std::ios::binary);
    std::string content((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    const bool keeps_size = node.trimmed_from > content.size() && random() % 2 == 0;
    const auto any = [&random] { return random() % 3 == 0; };
    if (content.size() > node.synced || !node.overwritten.empty()) {
      const std::uint64_t good = node.synced + random() % (content.size() - node.synced + 1);
      switch (random() % 5) {
        case 0:
          content.resize(node.synced);
          restore(content, node, [] { return true; });
          break;
        case 1: {
          content.resize(good);
          std::size_t written = random() % (node.overwritten.size() + 1);
          restore(content, node, [&written] { return written == 0 || written-- == 0; });
          break;
        }
        case 2:
          break;
        case 3:
          lose_sectors(content, good, [] { return true; });
          restore(content, node, any);
          break;
        case 4:
          lose_sectors(content, node.synced, any);
          restore(content, node, any);
          break;
      }
    }
    if (keeps_size) content.resize(node.trimmed_from);  // what was cut off was zeros
    std::ofstream(to, std::ios::binary) << content;
  }

  const std::string shadow_;
  std::recursive_mutex mutex_;  // the hook takes an image
  std::function<void(Moment)> before_;
  std::uint64_t shadows_ = 0;
  std::map<std::string, NodePtr> names_;          // as the process sees them
  std::map<std::string, NodePtr> durable_names_;  // as of the last directory sync
  std::vector<std::function<void(std::map<std::string, NodePtr>&)>> pending_;  // in between
};

class LossyFs::File final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  File(LossyFs& fs, NodePtr node, std::unique_ptr<rocksdb::FSWritableFile> target)
      : FSWritableFileOwnerWrapper(std::move(target)), fs_(fs), node_(std::move(node)) {}

  // Appends and syncs exclude each other, so that a sync covers whole appends.
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* dbg) override {
    const std::lock_guard lock(fs_.mutex_);
    fs_.announce(Moment::change);
    return target()->Append(data, options, dbg);
  }
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           const rocksdb::DataVerificationInfo& info,
                           rocksdb::IODebugContext* dbg) override {
    const std::lock_guard lock(fs_.mutex_);
    fs_.announce(Moment::change);
    return target()->Append(data, options, info, dbg);
  }
  rocksdb::IOStatus PositionedAppend(const rocksdb::Slice& data, std::uint64_t offset,
                                     const rocksdb::IOOptions& options,
                                     rocksdb::IODebugContext* dbg) override {
    const std::lock_guard lock(fs_.mutex_);
    fs_.announce(Moment::change);
    remember(*node_, offset, data.size());
    return target()->PositionedAppend(data, offset, options, dbg);
  }
  rocksdb::IOStatus Truncate(std::uint64_t size, const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* dbg) override {
    const std::lock_guard lock(fs_.mutex_);
    fs_.announce(Moment::change);
    node_->trimmed_from =
        std::max<std::uint64_t>(node_->trimmed_from, std::filesystem::file_size(node_->shadow));
    node_->synced = std::min(node_->synced, size);
    return target()->Truncate(size, options, dbg);
  }
  rocksdb::IOStatus Sync(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {
    fs_.sync_file(*node_);
    return rocksdb::IOStatus::OK();
  }
  rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options,
                          rocksdb::IODebugContext* dbg) override {
    return Sync(options, dbg);
  }
  // Starts writing back; promises nothing.
  rocksdb::IOStatus RangeSync(std::uint64_t, std::uint64_t, const rocksdb::IOOptions&,
                              rocksdb::IODebugContext*) override {
    return rocksdb::IOStatus::OK();
  }

 private:
  LossyFs& fs_;  // borrowed: outlives the database
  NodePtr node_;
};

class LossyFs::Directory final : public rocksdb::FSDirectory {
 public:
  explicit Directory(LossyFs& fs) : fs_(fs) {}
  rocksdb::IOStatus Fsync(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {
    fs_.sync_directory();
    return rocksdb::IOStatus::OK();
  }
  rocksdb::IOStatus FsyncWithDirOptions(const rocksdb::IOOptions& options,
                                        rocksdb::IODebugContext* dbg,
                                        const rocksdb::DirFsyncOptions&) override {
    return Fsync(options, dbg);
  }

 private:
  LossyFs& fs_;  // borrowed: outlives the database
};

inline rocksdb::IOStatus LossyFs::NewWritableFile(const std::string& path,
                                                  const rocksdb::FileOptions& options,
                                                  std::unique_ptr<rocksdb::FSWritableFile>* file,
                                                  rocksdb::IODebugContext* dbg) {
  const std::lock_guard lock(mutex_);
  announce(Moment::change);
  // A new content under an old name: the old one stays behind in its shadow.
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
  std::unique_ptr<rocksdb::FSWritableFile> below;
  // What is written directly is as much lost without a sync; the disk below may not take it.
  rocksdb::FileOptions buffered = options;
  buffered.use_direct_writes = false;
  const rocksdb::IOStatus status = target()->NewWritableFile(path, buffered, &below, dbg);
  if (!status.ok()) return status;
  const NodePtr node = adopt(path);
  change([path, node](auto& names) { names[path] = node; });
  *file = std::make_unique<File>(*this, node, std::move(below));
  return status;
}

inline rocksdb::IOStatus LossyFs::NewDirectory(const std::string&, const rocksdb::IOOptions&,
                                               std::unique_ptr<rocksdb::FSDirectory>* directory,
                                               rocksdb::IODebugContext*) {
  *directory = std::make_unique<Directory>(*this);
  return rocksdb::IOStatus::OK();
}

}  // namespace warren::storage
