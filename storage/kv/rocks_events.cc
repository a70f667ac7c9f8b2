// SPDX-License-Identifier: Apache-2.0
#include "storage/kv/rocks_events.h"

#include <utility>

#include <fmt/format.h>

#include "storage/base/log.h"

namespace warren::storage {
namespace {

Errc code_of(const rocksdb::Status& status) {
  if (status.IsCorruption()) return Errc::corruption;
  if (status.IsNoSpace()) return Errc::no_space;
  if (status.IsNotFound()) return Errc::not_found;
  if (status.IsInvalidArgument()) return Errc::invalid_argument;
  if (status.IsShutdownInProgress()) return Errc::shutting_down;
  return Errc::io_error;
}

std::string_view reason_text(rocksdb::BackgroundErrorReason reason) {
  using Reason = rocksdb::BackgroundErrorReason;
  switch (reason) {
    case Reason::kFlush:
    case Reason::kFlushNoWAL:
      return "flush in the background";
    case Reason::kCompaction:
      return "compaction in the background";
    case Reason::kWriteCallback:
      return "write callback";
    case Reason::kMemTable:
      return "insert into memory";
    case Reason::kManifestWrite:
    case Reason::kManifestWriteNoWAL:
      return "write of the manifest";
  }
  return "work in the background";
}

// A read that failed is no reason to stop; a write is (S10). RocksDB has one code for both.
bool is_read_failure(const rocksdb::Status& status) {
  return status.IsIOError() && status.ToString().find("While pread") != std::string::npos;
}

bool leaves_all_as_it_is(const rocksdb::Status& status) {
  return status.IsCorruption() || is_read_failure(status);
}

}  // namespace

Error to_error(const rocksdb::Status& status, std::string_view doing) {
  return Error{code_of(status), fmt::format("{}: {}", doing, status.ToString())};
}

Status to_status(const rocksdb::Status& status, std::string_view doing) {
  if (status.ok()) return {};
  return to_error(status, doing);
}

void RocksEvents::set_handler(std::function<void(const Error&)> handler) {
  const std::lock_guard lock(mutex_);
  handler_ = std::move(handler);
}

void RocksEvents::OnBackgroundError(rocksdb::BackgroundErrorReason reason,
                                    rocksdb::Status* status) {
  if (reason == rocksdb::BackgroundErrorReason::kCompaction && leaves_all_as_it_is(*status)) {
    // What cannot be read stays where it is, and is met again by who reads it: no reason to stop
    // for all others. OnCompactionCompleted names it.
    *status = rocksdb::Status::OK();
    return;
  }
  const std::lock_guard lock(mutex_);
  if (handler_) handler_(to_error(*status, reason_text(reason)));
}

void RocksEvents::OnCompactionCompleted(rocksdb::DB*, const rocksdb::CompactionJobInfo& job) {
  if (!leaves_all_as_it_is(job.status)) return;
  const std::lock_guard lock(mutex_);
  if (!damaged_.insert(job.cf_name).second) return;
  untaken_.push_back(job.cf_name);
  any_untaken_ = true;
  if (job.status.IsCorruption()) {
    WLOG(error,
         "table damaged, its family is not compacted any more; make a backup, see what warren-dump "
         "check says family={} error=\"{}\"",
         job.cf_name, job.status.ToString());
  } else {
    WLOG(error,
         "table cannot be read, its family is not compacted any more until the next start; see to "
         "the disk family={} error=\"{}\"",
         job.cf_name, job.status.ToString());
  }
}

std::vector<std::string> RocksEvents::take_damaged() {
  if (!any_untaken_.load(std::memory_order_relaxed)) return {};
  const std::lock_guard lock(mutex_);
  any_untaken_ = false;
  return std::exchange(untaken_, {});
}

bool RocksEvents::is_damaged(const std::string& family) {
  const std::lock_guard lock(mutex_);
  return damaged_.contains(family);
}

void RocksEvents::forget_damage(const std::string& family) {
  const std::lock_guard lock(mutex_);
  damaged_.erase(family);
  std::erase(untaken_, family);
}

}  // namespace warren::storage
