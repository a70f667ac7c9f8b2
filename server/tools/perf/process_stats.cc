// SPDX-License-Identifier: Apache-2.0
#include "server/tools/perf/process_stats.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include <fmt/format.h>
#include <unistd.h>

namespace warren::perf {
namespace {

constexpr std::string_view kListening = "0A";

std::uint64_t kilobytes_behind(const std::string& line, std::string_view name) {
  if (!line.starts_with(name)) return 0;
  std::istringstream value(line.substr(name.size()));
  std::uint64_t kilobytes = 0;
  value >> kilobytes;
  return kilobytes * 1024;
}

// Inodes of the sockets that listen on the port.
void add_listeners(const char* table, std::uint16_t port, std::set<std::string>& inodes) {
  std::ifstream file(table);
  std::string line;
  std::getline(file, line);  // the heading
  const std::string wanted = fmt::format(":{:04X}", port);
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    std::string slot;
    std::string local;
    std::string remote;
    std::string state;
    std::string skipped;
    std::string inode;
    fields >> slot >> local >> remote >> state;
    for (int i = 0; i < 5; ++i) fields >> skipped;  // queues, timers, retransmits, user, timeout
    fields >> inode;
    if (state == kListening && local.ends_with(wanted))
      inodes.insert(fmt::format("socket:[{}]", inode));
  }
}

bool holds_one_of(const std::filesystem::path& process, const std::set<std::string>& links) {
  std::error_code error;
  std::filesystem::directory_iterator files(process / "fd", error);
  for (; !error && files != std::filesystem::directory_iterator(); files.increment(error)) {
    std::error_code unreadable;
    const auto target = std::filesystem::read_symlink(files->path(), unreadable);
    if (!unreadable && links.contains(target.string())) return true;
  }
  return false;
}

}  // namespace

Result<ProcessStats> read_process_stats(int pid) {
  std::string line;
  std::ifstream stat(fmt::format("/proc/{}/stat", pid));
  // The second field is the program's name in brackets and may hold anything.
  if (!std::getline(stat, line) || line.rfind(')') == std::string::npos) {
    return Error{Errc::not_found, fmt::format("no process {}", pid)};
  }
  std::istringstream fields(line.substr(line.rfind(')') + 1));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user_ticks = 0;
  double system_ticks = 0;
  fields >> user_ticks >> system_ticks;
  ProcessStats stats;
  stats.cpu_seconds = (user_ticks + system_ticks) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  while (std::getline(status, line)) {
    stats.anonymous_bytes += kilobytes_behind(line, "RssAnon:");
    stats.resident_bytes += kilobytes_behind(line, "VmRSS:");
  }
  return stats;
}

int find_listener(std::uint16_t port) {
  std::set<std::string> links;
  add_listeners("/proc/net/tcp", port, links);
  add_listeners("/proc/net/tcp6", port, links);
  if (links.empty()) return 0;
  std::error_code error;
  std::filesystem::directory_iterator processes("/proc", error);
  for (; !error && processes != std::filesystem::directory_iterator(); processes.increment(error)) {
    const std::string name = processes->path().filename().string();
    int pid = 0;
    const auto [stop, bad] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (bad != std::errc{} || stop != name.data() + name.size()) continue;
    if (holds_one_of(processes->path(), links)) return pid;
  }
  return 0;
}

bool is_local(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

int find_broker(const BrokerOptions& options) {
  if (options.pid != 0) return options.pid;
  return is_local(options.uri.host) ? find_listener(options.uri.port) : 0;
}

Result<ServerProbe> ServerProbe::find(const BrokerOptions& options) {
  if (options.pid != 0) {
    const auto stats = read_process_stats(options.pid);
    if (!stats.ok()) {
      return Error{Errc::invalid_argument, fmt::format("--pid: {}", stats.error().text)};
    }
  }
  ServerProbe probe;
  probe.pid_ = find_broker(options);
  probe.begin();
  return probe;
}

void ServerProbe::begin() {
  cost_ = {};
  if (!known()) return;
  const auto stats = read_process_stats(pid_);
  if (stats.ok()) first_ = *stats;
  sample();
}

void ServerProbe::sample() {
  if (!known()) return;
  const auto stats = read_process_stats(pid_);
  if (!stats.ok()) return;
  cost_.cpu_seconds = stats->cpu_seconds - first_.cpu_seconds;
  cost_.anonymous_bytes = stats->anonymous_bytes;
  cost_.anonymous_peak_bytes = std::max(cost_.anonymous_peak_bytes, stats->anonymous_bytes);
  cost_.resident_peak_bytes = std::max(cost_.resident_peak_bytes, stats->resident_bytes);
}

std::optional<ServerCost> ServerProbe::cost() {
  if (!known() || !read_process_stats(pid_).ok()) return std::nullopt;
  sample();
  return cost_;
}

}  // namespace warren::perf
