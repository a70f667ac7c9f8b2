// SPDX-License-Identifier: Apache-2.0
// What an operator decides: one plain struct, filled by config_load.h, read by server/app.
// The texts, units, ranges and trades of every member are in config_options.cc and in
// docs/configuration.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace warren::config {

// Where to accept connections. Port 0: the system picks a free one (the ready line names it).
struct ListenAddress {
  std::string host;
  std::uint16_t port = 0;

  friend bool operator==(const ListenAddress&, const ListenAddress&) = default;
};

struct Config {
  std::string data_dir = "./data";
  std::vector<ListenAddress> listen = {{"127.0.0.1", 5672}};
  unsigned threads = 1;  // the loader's default is one per usable core
  std::string log_level = "info";

  std::uint32_t frame_max = 131072;
  std::uint16_t channel_max = 2047;
  std::uint16_t heartbeat = 60;  // seconds; 0 is off
  std::uint64_t max_message_size = 134217728;
  std::uint32_t handshake_timeout_ms = 10000;
  std::uint64_t consumer_max_per_channel = 0;  // 0: no limit
  std::uint64_t queue_max = 0;                 // per vhost; 0: no limit

  std::uint64_t transient_memory_mb = 256;
  std::uint64_t queue_window_kb = 4096;
  std::uint64_t queue_windows_mb = 256;
  std::uint64_t block_cache_mb = 32;
  std::uint64_t write_buffer_mb = 32;
  bool direct_io = true;
  std::uint32_t idle_commit_ms = 5;
  std::uint64_t disk_free_limit = 52428800;  // bytes; 0 is off

  // What server-properties claim, because clients switch behaviour on them.
  std::string compat_product = "RabbitMQ";
  std::string compat_version = "4.2.0";
};

// "host:port", IPv6 with brackets.
std::string to_text(const ListenAddress& address);

}  // namespace warren::config
