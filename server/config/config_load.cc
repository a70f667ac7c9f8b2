// SPDX-License-Identifier: Apache-2.0
#include "server/config/config_load.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "server/config/config_options.h"

namespace warren::config {
namespace {

constexpr std::size_t kHelpColumn = 32;
constexpr std::string_view kEnvironmentPrefix = "WARREN_";
constexpr std::string_view kUnknownName = "INI was not able to parse ";  // CLI11's words

// --data-dir -> WARREN_DATA_DIR.
std::string environment_name(std::string_view option) {
  std::string name(kEnvironmentPrefix);
  for (const char c : option) {
    name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return name;
}

bool given(const std::vector<std::string>& args, const std::string& flag) {
  return std::any_of(args.begin(), args.end(), [&](const std::string& arg) {
    return arg == flag || arg.starts_with(flag + "=");
  });
}

// Puts the options that only the environment names in front of the arguments, as if typed.
std::vector<std::string> with_environment(const CLI::App& app, std::vector<std::string> args,
                                          const Environment& environment) {
  std::vector<std::string> out;
  for (const CLI::Option* option : app.get_options()) {
    const std::string& name = option->get_lnames().front();
    if (name == "help" || name == "version" || given(args, "--" + name)) continue;
    const char* value = environment(environment_name(name).c_str());
    // An empty one is unset: `NAME= warrend` means that.
    if (value != nullptr && *value != '\0') out.push_back(fmt::format("--{}={}", name, value));
  }
  out.insert(out.end(), args.begin(), args.end());
  return out;
}

// The first line of the file that begins with `name`; 0 when none does.
std::size_t line_of(const std::string& path, std::string_view name) {
  std::ifstream in(path);
  std::size_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    std::string_view text = line;
    text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
    if (!text.starts_with(name)) continue;
    text.remove_prefix(name.size());
    if (text.empty() || std::string_view(" \t\r=:").find(text.front()) != std::string_view::npos) {
      return number;
    }
  }
  return 0;
}

std::string in_file(const std::string& path, std::string_view name, std::string_view why) {
  const std::size_t line = line_of(path, name);
  if (line == 0) return fmt::format("'{}': {}", path, why);
  return fmt::format("'{}', line {}: {}", path, line, why);
}

// What CLI11 says of the config file names neither the file nor the place.
std::string explain(const CLI::App& app, const CLI::ParseError& error,
                    const std::vector<std::string>& args) {
  std::string text = error.what();
  const auto files = app.get_config_ptr()->results();
  if (files.empty()) return text;
  const std::string& path = files.back();
  if (dynamic_cast<const CLI::ConfigError*>(&error) != nullptr) {
    if (!text.starts_with(kUnknownName)) {  // "NAME: This option is not allowed ..."
      const std::size_t colon = text.find(':');
      const std::string name = text.substr(0, colon);
      return in_file(path, name, fmt::format("'{}' cannot be set in a file", name));
    }
    const std::string name = text.substr(kUnknownName.size());
    const std::string section = name.substr(0, name.find('.'));
    if (section == name) return in_file(path, name, fmt::format("unknown name '{}'", name));
    return in_file(path, fmt::format("[{}]", section),
                   fmt::format("unknown name '{}': there are no sections", name));
  }
  // "--threads: Value ...": of the file, unless it was typed.
  if (!text.starts_with("--")) return text;
  const std::string option = text.substr(0, text.find(':'));
  const std::string name = option.substr(2);
  if (given(args, option) || line_of(path, name) == 0) return text;
  return in_file(path, name, text);
}

Loaded usage_error(std::string_view why) {
  return {.config = std::nullopt,
          .text = fmt::format("warrend: {}\nTry 'warrend --help'.\n", why),
          .exit_code = kExitUsage};
}

void set_up(CLI::App& app) {
  app.name("warrend");
  app.get_formatter()->column_width(kHelpColumn);
  app.set_version_flag("--version", std::string("warrend ") + WARREN_VERSION,
                       "Print the version and exit.");
  app.set_config("--config", "",
                 "File of options, one 'name = value' a line, names as here without\n"
                 "the dashes; an unknown name is an error.")
      ->type_name("FILE");
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.footer(
      "Every option can also be set in the environment: WARREN_DATA_DIR for --data-dir\n"
      "and so on. The command line wins over the environment, that over the file.\n"
      "Exit codes: 0 clean stop, 1 failure at run time, 2 usage, 3 data directory\n"
      "cannot be opened, 4 address cannot be listened on.\n");
}

}  // namespace

std::string to_text(const ListenAddress& address) {
  if (address.host.find(':') == std::string::npos) {
    return fmt::format("{}:{}", address.host, address.port);
  }
  return fmt::format("[{}]:{}", address.host, address.port);
}

Result<ListenAddress> parse_listen_address(const std::string& text) {
  const auto bad = [&text](std::string_view why) {
    return Error{Errc::invalid_argument,
                 fmt::format("--listen: '{}' {}; write HOST:PORT, such as 127.0.0.1:5672 or "
                             "[::1]:5672",
                             text, why)};
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) return bad("has no port");
  std::string host = text.substr(0, colon);
  const std::string port_text = text.substr(colon + 1);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find_first_of(":[]") != std::string::npos) {
    return bad("needs brackets around an IPv6 address");
  }
  if (host.empty()) return bad("has no host");
  unsigned port = 0;
  const char* const end = port_text.data() + port_text.size();
  const auto [stop, error] = std::from_chars(port_text.data(), end, port);
  if (error != std::errc{} || stop != end || port > 65535) return bad("has no valid port");
  return ListenAddress{.host = std::move(host), .port = static_cast<std::uint16_t>(port)};
}

Loaded load_config(std::span<const char* const> args, const Environment& environment) {
  Config config;
  config.threads = std::clamp(std::thread::hardware_concurrency(), 1U, 64U);
  RawOptions raw;
  CLI::App app{"Warren: a durable AMQP 0-9-1 broker. A confirm means fsynced."};
  set_up(app);
  add_options(app, config, raw);

  std::vector<std::string> typed;
  if (!args.empty()) typed.assign(args.begin() + 1, args.end());
  typed = with_environment(app, std::move(typed), environment);
  std::vector<std::string> backwards(typed.rbegin(), typed.rend());  // as CLI11 takes them
  try {
    app.parse(backwards);
  } catch (const CLI::CallForHelp&) {
    return {.config = std::nullopt, .text = app.help(), .exit_code = 0};
  } catch (const CLI::CallForVersion& version) {
    return {.config = std::nullopt, .text = fmt::format("{}\n", version.what()), .exit_code = 0};
  } catch (const CLI::ParseError& error) {
    return usage_error(explain(app, error, typed));
  }

  if (config.data_dir.empty()) return usage_error("--data-dir: must not be empty");
  if (!raw.listen.empty()) config.listen.clear();
  for (const std::string& text : raw.listen) {
    const Result<ListenAddress> address = parse_listen_address(text);
    if (!address.ok()) return usage_error(address.error().text);
    config.listen.push_back(*address);
  }
  return {.config = std::move(config), .text = {}, .exit_code = 0};
}

std::vector<std::string> unknown_environment(const char* const* environment) {
  Config config;
  RawOptions raw;
  CLI::App app;
  set_up(app);
  add_options(app, config, raw);
  const std::vector<const CLI::Option*> options = std::as_const(app).get_options();
  std::vector<std::string> out;
  for (; *environment != nullptr; ++environment) {
    const std::string_view entry(*environment);
    const std::string_view name = entry.substr(0, entry.find('='));
    if (!name.starts_with(kEnvironmentPrefix)) continue;
    if (std::ranges::none_of(options, [&](const CLI::Option* option) {
          return environment_name(option->get_lnames().front()) == name;
        })) {
      out.emplace_back(name);
    }
  }
  return out;
}

Loaded load_config(int argc, const char* const* argv) {
  return load_config(std::span(argv, static_cast<std::size_t>(argc)),
                     [](const char* name) { return std::getenv(name); });
}

}  // namespace warren::config
