// SPDX-License-Identifier: Apache-2.0
// A directory of its own per test, removed at the end.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>

#include <stdlib.h>

namespace warren::storage {

class TempDirectory {
 public:
  enum class Where : std::uint8_t {
    disk,
    memory,  // if the machine has room there: for what makes and forgets many small files
  };

  explicit TempDirectory(Where where = Where::disk) {
    std::string pattern = (parent(where) / "warren-test-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TempDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  static std::filesystem::path parent(Where where) {
    constexpr std::uintmax_t kRoomMin = 1 << 30;
    const std::filesystem::path memory = "/dev/shm";
    std::error_code error;
    const bool room = std::filesystem::space(memory, error).available >= kRoomMin && !error;
    if (where == Where::memory && room) return memory;
    return std::filesystem::temp_directory_path();
  }

  std::string path_;
};

}  // namespace warren::storage
