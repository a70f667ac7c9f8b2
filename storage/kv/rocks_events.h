// SPDX-License-Identifier: Apache-2.0
// RocksDB's background failures, handed to whoever must stop confirming (S10).
// Included by storage/kv/rocks_*.cc only.
#pragma once

#include <functional>
#include <mutex>

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

 private:
  std::mutex mutex_;
  std::function<void(const Error&)> handler_;
};

}  // namespace warren::storage
