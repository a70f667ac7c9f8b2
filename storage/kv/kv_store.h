// SPDX-License-Identifier: Apache-2.0
// The seam over the key-value store: ordered keys in column families, atomic batches, one sync.
// RocksStore in production, MemoryStore in tests and in the simulator.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "storage/base/bytes.h"
#include "storage/base/result.h"
#include "storage/kv/column_family.h"
#include "storage/kv/kv_batch.h"

namespace warren::storage {

enum class WriteMode : std::uint8_t {
  synced,    // durable when commit() returns ok
  unlogged,  // gone after a crash, and may be gone after a clean stop
};

// Walks keys in ascending order over one moment's view of the store.
class KvCursor {
 public:
  virtual ~KvCursor() = default;
  virtual bool valid() const = 0;
  // Views until next(). REQUIRES: valid().
  virtual Bytes key() const = 0;
  virtual Bytes value() const = 0;
  virtual void next() = 0;
  // Why valid() is false: ok at the end.
  virtual Status status() const = 0;
};

// Thread safety: commit() from one thread at a time; get() and scan() from any.
class KvStore {
 public:
  virtual ~KvStore() = default;

  virtual Result<std::optional<std::string>> get(Family family, Bytes key) = 0;
  // Keys of [from, to).
  virtual std::unique_ptr<KvCursor> scan(Family family, Bytes from, Bytes to) = 0;
  // All batches as one, atomically. After an error nothing is known about their fate, and every
  // later commit fails (S10).
  virtual Status commit(std::span<const KvBatch* const> batches, WriteMode mode) = 0;
  // Forgets everything in the family. Not atomic with anything.
  virtual Status clear(Family family) = 0;
  // `handler` hears of failures in the background, from any thread, until close().
  virtual void on_background_error(std::function<void(const Error&)> handler) = 0;
  // Nothing may be called afterwards, and no cursor may be alive.
  virtual Status close() = 0;

  Status commit(const KvBatch& batch, WriteMode mode) {
    const KvBatch* const one = &batch;
    return commit(std::span<const KvBatch* const>(&one, 1), mode);
  }
};

}  // namespace warren::storage
