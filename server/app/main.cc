// SPDX-License-Identifier: Apache-2.0
// warrend: the broker process.
#include <chrono>
#include <cstdio>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <pthread.h>
#include <signal.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <unistd.h>

#include "storage/base/files.h"
#include "storage/base/log.h"

#include "server/app/server.h"
#include "server/config/config_load.h"

namespace {

constexpr int kExitFailure = 1;
constexpr int kExitDataDirectory = 3;
constexpr int kExitListen = 4;

void set_up_log(const std::string& level) {
  auto logger = spdlog::stderr_logger_mt("warren");
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %^%l%$ %v");
  logger->set_level(spdlog::level::from_str(level));
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

// Taken by sigtimedwait on the main thread, so that no other thread is interrupted.
sigset_t block_stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return signals;
}

// Looks after the disk until the process is told to stop. Returns by which signal.
int serve_until(const sigset_t& signals, warren::app::Server& server) {
  while (true) {
    const auto pause = std::chrono::duration_cast<std::chrono::nanoseconds>(server.watch_disk());
    const timespec timeout{static_cast<time_t>(pause.count() / 1'000'000'000),
                           static_cast<long>(pause.count() % 1'000'000'000)};
    const int signal_number = sigtimedwait(&signals, nullptr, &timeout);
    if (signal_number > 0) return signal_number;
  }
}

int fail(int exit_code, const warren::Error& error) {
  WLOG(error, "cannot start: {}", error.text);
  return exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  const warren::config::Loaded loaded = warren::config::load_config(argc, argv);
  if (!loaded.config) {
    std::fputs(loaded.text.c_str(), loaded.exit_code == 0 ? stdout : stderr);
    return loaded.exit_code;
  }
  warren::narrow_file_rights();
  set_up_log(loaded.config->log_level);
  if (const auto unknown = warren::config::unknown_environment(environ); !unknown.empty()) {
    WLOG(warn, "environment variables are ignored: no such options names={}",
         fmt::join(unknown, ","));
  }
  const sigset_t signals = block_stop_signals();

  warren::app::Server server(*loaded.config);
  if (const auto opened = server.open_store(); !opened.ok()) {
    return fail(kExitDataDirectory, opened.error());
  }
  if (const auto listening = server.listen(); !listening.ok()) {
    (void)server.stop();
    return fail(kExitListen, listening.error());
  }
  server.watch_disk();
  const auto addresses = server.start();
  WLOG(info, "ready to serve address={} version={} threads={} data_dir='{}'",
       fmt::join(addresses, ","), WARREN_VERSION, loaded.config->threads, loaded.config->data_dir);

  const int signal_number = serve_until(signals, server);
  WLOG(info, "stopping signal={}", signal_number);
  if (const auto stopped = server.stop(); !stopped.ok()) {
    WLOG(error, "stop failed error='{}'", stopped.error().text);
    return kExitFailure;
  }
  WLOG(info, "stopped cleanly");
  return 0;
}
