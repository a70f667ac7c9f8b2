// SPDX-License-Identifier: Apache-2.0
#include "storage/inspect/store_view.h"

#include <cstdio>
#include <fstream>
#include <utility>

#include <fmt/format.h>
#include <sys/stat.h>

namespace warren::storage {

std::optional<long> store_holder(const std::string& path) {
  struct stat lock {};
  if (::stat((path + "/lock").c_str(), &lock) != 0) return std::nullopt;
  // "1: FLOCK  ADVISORY  WRITE 4711 fe:00:1234 0 EOF"
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    char kind[16] = {};
    long pid = 0;
    unsigned major = 0;
    unsigned minor = 0;
    unsigned long long inode = 0;
    const int fields = std::sscanf(line.c_str(), "%*s %15s %*s %*s %ld %x:%x:%llu", kind, &pid,
                                   &major, &minor, &inode);
    if (fields == 5 && std::string(kind) == "FLOCK" && inode == lock.st_ino) return pid;
  }
  return std::nullopt;
}

Result<StoreView> open_store_view(const std::string& path, Tables tables) {
  StoreView view;
  view.path = path;
  WARREN_TRY(view.marker, read_store_marker(path));
  view.holder = store_holder(path);
  WARREN_TRY(view.database, open_rocks_view(store_database_path(path), tables));
  return view;
}

}  // namespace warren::storage
