// SPDX-License-Identifier: Apache-2.0
// The data directory around the database: a marker that says it is ours, and a lock that says it is
// in use. Layout: storage/FORMAT.md. Refuses without touching anything. Keeps: S9.
#pragma once

#include <cstdint>
#include <string>

#include "storage/base/result.h"

namespace warren::storage {

// The format that this build writes. It reads all from 1 on.
inline constexpr unsigned kStoreFormat = 2;

struct StoreMarker {
  unsigned format = 0;
  std::string store_id;
};

// What the marker of an existing store says. Changes nothing. Errc::not_a_store when `path` is no
// store, Errc::format_too_new when this build cannot read it.
Result<StoreMarker> read_store_marker(const std::string& path);
// Makes `path` a store of this id, durably. Refuses a directory that holds anything.
Status create_store_marker(const std::string& path, const std::string& store_id);
// Whether the directory says it is a store, of whatever version.
bool holds_store_marker(const std::string& path);
// Where the database of a store lies.
std::string store_database_path(const std::string& path);

// Holds the lock from open() to its end.
class StoreDirectory {
 public:
  // Creates the directory and its marker when there is none. A store of an older format becomes one
  // of this format, durably: what this build writes, an older one would not understand. Errors:
  // not_a_store (holds something else), format_too_new, in_use (names the holder's pid), io_error
  // (names path and reason).
  static Result<StoreDirectory> open(const std::string& path);

  StoreDirectory(StoreDirectory&& other) noexcept;
  StoreDirectory& operator=(StoreDirectory&&) = delete;
  ~StoreDirectory();

  const std::string& store_id() const { return store_id_; }
  std::string database_path() const;

  // Errc::no_space when less than `bytes_min` is free: RocksDB must not even be opened then.
  Status check_free_space(std::uint64_t bytes_min) const;

 private:
  StoreDirectory(std::string path, int lock_fd) : path_(std::move(path)), lock_fd_(lock_fd) {}

  std::string path_;
  std::string store_id_;
  int lock_fd_ = -1;
};

}  // namespace warren::storage
