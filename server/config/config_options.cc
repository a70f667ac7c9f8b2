// SPDX-License-Identifier: Apache-2.0
#include "server/config/config_options.h"

namespace warren::config {
namespace {

constexpr unsigned kThreadsMax = 64;
constexpr std::uint64_t kMessageSizeLimit = std::uint64_t{512} << 20;

// The texts name the ranges already; without this --help repeats them in CLI11's words.
CLI::Validator quiet(CLI::Validator validator) {
  return validator.description("");
}

template <class T>
CLI::Validator range(T min, T max) {
  return quiet(CLI::Range(min, max));
}

void add_service_options(CLI::App& app, Config& config, RawOptions& raw) {
  app.add_option("--data-dir", config.data_dir,
                 "Directory of all messages and definitions; created if missing.\n"
                 "Everything that survives a restart is here and nowhere else.")
      ->type_name("DIR")
      ->capture_default_str();
  app.add_option("--listen", raw.listen,
                 "Address to accept AMQP connections on; may be repeated.\n"
                 "Port 0 takes a free port. An address that is not loopback opens\n"
                 "the broker to the network: user guest stays refused from there.")
      ->type_name("HOST:PORT")
      ->delimiter(',')
      ->default_str("127.0.0.1:5672");
  app.add_option("--threads", config.threads,
                 "Shard threads, 1 to 64. Default: one per usable core. More threads\n"
                 "serve more queues at once; a single queue always lives on one.")
      ->type_name("N")
      ->check(range(1U, kThreadsMax))
      ->capture_default_str();
  app.add_option("--log-level", config.log_level,
                 "What to log on stderr: trace, debug, info, warn or error.\n"
                 "trace writes every frame and costs most of the speed.")
      ->type_name("LEVEL")
      ->check(quiet(CLI::IsMember({"trace", "debug", "info", "warn", "error"})))
      ->capture_default_str();
}

void add_protocol_options(CLI::App& app, Config& config) {
  app.add_option("--frame-max", config.frame_max,
                 "Largest frame offered to clients, in bytes, 4096 to 16777216.\n"
                 "Larger frames cost fewer calls for big bodies and more memory per\n"
                 "connection.")
      ->type_name("BYTES")
      ->check(range(4096U, 16777216U))
      ->capture_default_str();
  app.add_option("--channel-max", config.channel_max,
                 "Channels per connection offered to clients, 1 to 65535. Bounds what\n"
                 "one connection can make the broker remember.")
      ->type_name("N")
      ->check(range(1, 65535))
      ->capture_default_str();
  app.add_option("--heartbeat", config.heartbeat,
                 "Heartbeat offered to clients, in seconds; 0 turns it off. Shorter\n"
                 "finds dead peers sooner and wakes idle connections more often.")
      ->type_name("SECONDS")
      ->check(range(0, 65535))
      ->capture_default_str();
  app.add_option("--max-message-size", config.max_message_size,
                 "Largest message body accepted, in bytes (or 64KiB, 128MiB...), up to\n"
                 "512MiB. A larger one is refused with 406 on its channel. A body is\n"
                 "held in memory as a whole while it is received.")
      ->type_name("BYTES")
      ->transform(quiet(CLI::AsSizeValue(false)))
      ->check(range(std::uint64_t{1024}, kMessageSizeLimit))
      ->capture_default_str();
  app.add_option("--handshake-timeout-ms", config.handshake_timeout_ms,
                 "How long a new connection may take to log in, in milliseconds, 100 to\n"
                 "600000. Shorter frees half-open sockets sooner; too short refuses\n"
                 "slow networks.")
      ->type_name("MS")
      ->check(range(100U, 600000U))
      ->capture_default_str();
  app.add_option("--consumer-max-per-channel", config.consumer_max_per_channel,
                 "Consumers that one channel may have; one more closes its connection\n"
                 "with 530. 0: no limit. Bounds what a client that forgets to cancel can\n"
                 "make the broker remember.")
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--queue-max", config.queue_max,
                 "Queues that a virtual host may have, those of every kind; one more is\n"
                 "refused with 406. 0: no limit. Each queue costs memory and a record at\n"
                 "every start.")
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--compat-product", config.compat_product,
                 "Product name told to clients; some switch their behaviour on it.")
      ->type_name("TEXT")
      ->capture_default_str();
  app.add_option("--compat-version", config.compat_version,
                 "Product version told to clients, for the same reason.")
      ->type_name("TEXT")
      ->capture_default_str();
}

void add_memory_options(CLI::App& app, Config& config) {
  app.add_option("--transient-memory-mb", config.transient_memory_mb,
                 "Memory for messages of transient kind in all queues, in MiB, 16 and\n"
                 "up; beyond it they are paged to disk (never fsynced). More is faster\n"
                 "for deep transient queues.")
      ->type_name("MIB")
      ->check(range(std::uint64_t{16}, std::uint64_t{1} << 20))
      ->capture_default_str();
  app.add_option("--queue-window-kb", config.queue_window_kb,
                 "Messages that one queue keeps in memory, in KiB, 64 and up. A queue\n"
                 "deeper than this is read ahead from disk: more memory per busy queue\n"
                 "against more reads.")
      ->type_name("KIB")
      ->check(range(std::uint64_t{64}, std::uint64_t{1} << 30))
      ->capture_default_str();
  app.add_option("--queue-windows-mb", config.queue_windows_mb,
                 "The same of all queues together, in MiB, 1 and up. When it is used up\n"
                 "each queue keeps 512 KiB, or 16 KiB without consumers: more lets more\n"
                 "deep queues be busy at once.")
      ->type_name("MIB")
      ->check(range(std::uint64_t{1}, std::uint64_t{1} << 20))
      ->capture_default_str();
  app.add_option("--block-cache-mb", config.block_cache_mb,
                 "Cache of the store's blocks, in MiB, 1 and up. More saves reads when\n"
                 "many deep queues are consumed at once.")
      ->type_name("MIB")
      ->check(range(std::uint64_t{1}, std::uint64_t{1} << 20))
      ->capture_default_str();
  app.add_option("--write-buffer-mb", config.write_buffer_mb,
                 "Write buffer of the store, in MiB, 4 to 4096. More lets short-lived\n"
                 "messages vanish before they are written twice, and lengthens the log\n"
                 "that a start after a crash has to read.")
      ->type_name("MIB")
      ->check(range(std::uint64_t{4}, std::uint64_t{4096}))
      ->capture_default_str();
  app.add_option("--direct-io", config.direct_io,
                 "Write the store past the kernel's page cache, where the file system\n"
                 "takes that. false costs more CPU and slower fsyncs; messages that are\n"
                 "read soon after they were written then need no disk.")
      ->type_name("BOOLEAN")
      ->default_str("true");
  app.add_option("--idle-commit-ms", config.idle_commit_ms,
                 "How long acks (and persistent messages nobody waits for) may stay\n"
                 "uncommitted on an idle broker, in milliseconds, 1 to 1000. Longer\n"
                 "saves fsyncs; after a crash more acked messages may come back.")
      ->type_name("MS")
      ->check(range(1U, 1000U))
      ->capture_default_str();
  app.add_option("--disk-free-limit", config.disk_free_limit,
                 "Publishers are blocked while the data directory's disk has less free\n"
                 "than this, in bytes (or 50MiB, 2GiB...); raised to twice the write\n"
                 "buffer, 0 turns it off. More leaves room for others; on a full disk the\n"
                 "broker stops.")
      ->type_name("BYTES")
      ->transform(quiet(CLI::AsSizeValue(false)))
      ->capture_default_str();
}

}  // namespace

void add_options(CLI::App& app, Config& config, RawOptions& raw) {
  add_service_options(app, config, raw);
  add_protocol_options(app, config);
  add_memory_options(app, config);
}

}  // namespace warren::config
