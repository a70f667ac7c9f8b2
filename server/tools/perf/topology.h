// SPDX-License-Identifier: Apache-2.0
// Which queues a load uses, where it publishes, and who gets which of them.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "storage/base/result.h"

#include "server/tools/perf/options.h"
#include "server/tools/perf/wire_client.h"

namespace warren::perf {

// Every %d of the pattern becomes the number.
std::string with_number(const std::string& pattern, std::uint64_t number);

struct Target {
  std::string exchange;
  std::string routing_key;

  bool operator==(const Target&) const = default;
};

class Topology {
 public:
  explicit Topology(const QueueOptions& options);

  const std::vector<std::string>& queues() const { return queues_; }
  const std::vector<Target>& targets() const { return targets_; }

  // Of `count` things for `users` users, those of user `n`: all of them are used, and each user has
  // at least one.
  static std::vector<unsigned> share(std::size_t count, unsigned users, unsigned n);

  // Declares, purges and binds queue `index` over a client whose channel 1 is open.
  Status declare(WireClient& client, unsigned index) const;
  // All of them. What is exclusive belongs to who declared it: a crew of one.
  Status declare_all(std::span<WireClient> crew) const;
  Status declare_exchanges(WireClient& client) const;
  // Messages that are ready in all queues.
  Result<std::uint64_t> ready_messages(std::span<WireClient> crew) const;
  Status remove(std::span<WireClient> crew) const;

 private:
  void append_declare(WireClient& client, std::size_t index) const;
  Status take_declared(WireClient& client, std::size_t index) const;

  const QueueOptions& options_;
  std::string arguments_;  // content of the table
  std::vector<std::string> queues_;
  std::vector<Target> targets_;
};

}  // namespace warren::perf
