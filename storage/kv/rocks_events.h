// SPDX-License-Identifier: Apache-2.0
// RocksDB's background failures, handed to whoever must stop confirming (S10).
// Included by storage/kv/rocks_*.cc only.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include <rocksdb/listener.h>
#include <rocksdb/status.h>

#include "storage/base/result.h"

namespace warren::storage {

Error to_error(const rocksdb::Status& status, std::string_view doing);
Status to_status(const rocksdb::Status& status, std::string_view doing);

// Thread safety: any thread.
class RocksEvents final : public rocksdb::EventListener {
 public:
  // An empty handler means: nobody listens any more.
  void set_handler(std::function<void(const Error&)> handler);

  void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* status) override;
  void OnCompactionCompleted(rocksdb::DB* db, const rocksdb::CompactionJobInfo& job) override;

  // Families in which a compaction met damage, or what cannot be read, since the last call: they
  // are to be left alone.
  std::vector<std::string> take_damaged();
  // Has a compaction met damage in the family, ever?
  bool is_damaged(const std::string& family);
  // The family was made anew.
  void forget_damage(const std::string& family);

 private:
  std::mutex mutex_;
  std::set<std::string> damaged_;     // guarded by mutex_; each is named once
  std::vector<std::string> untaken_;  // guarded by mutex_
  std::atomic<bool> any_untaken_ = false;
  std::function<void(const Error&)> handler_;
};

}  // namespace warren::storage
