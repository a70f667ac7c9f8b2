// SPDX-License-Identifier: Apache-2.0
// What an operator may write, and what is refused with a text that names it.
#include "server/config/config_load.h"

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace warren::config {
namespace {

using ::testing::HasSubstr;

Loaded load(std::vector<const char*> args, std::map<std::string, std::string> environment = {}) {
  args.insert(args.begin(), "warrend");
  return load_config(args, [&](const char* name) -> const char* {
    const auto found = environment.find(name);
    return found == environment.end() ? nullptr : found->second.c_str();
  });
}

class ConfigFile : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/tmp/warren_config_XXXXXX";
    directory_ = ::mkdtemp(name.data());
    path_ = directory_ + "/warren.conf";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  void write(const std::string& text) { std::ofstream(path_) << text; }

  std::string directory_;
  std::string path_;
};

TEST(ConfigLoad, DefaultsServeLoopbackOnThePortOfAmqp) {
  const Loaded loaded = load({});
  ASSERT_TRUE(loaded.config.has_value()) << loaded.text;
  EXPECT_EQ(loaded.config->data_dir, "./data");
  ASSERT_EQ(loaded.config->listen.size(), 1U);
  EXPECT_EQ(to_text(loaded.config->listen[0]), "127.0.0.1:5672");
  EXPECT_GE(loaded.config->threads, 1U);
  EXPECT_EQ(loaded.config->max_message_size, 128U << 20);
}

TEST(ConfigLoad, ListenMayBeRepeatedAndReplacesTheDefault) {
  const Loaded loaded = load({"--listen", "127.0.0.1:0", "--listen=[::1]:5673"});
  ASSERT_TRUE(loaded.config.has_value()) << loaded.text;
  const std::vector<ListenAddress> expected = {{"127.0.0.1", 0}, {"::1", 5673}};
  EXPECT_EQ(loaded.config->listen, expected);
  EXPECT_EQ(to_text(loaded.config->listen[1]), "[::1]:5673");
}

TEST(ConfigLoad, AddressesThatCannotBeMeantAreRefused) {
  for (const char* text : {"5672", ":5672", "host:", "host:70000", "host:1x", "::1:5672", "[]:1",
                           "host:-1", "[::1]"}) {
    const Loaded loaded = load({"--listen", text});
    EXPECT_FALSE(loaded.config.has_value()) << text;
    EXPECT_EQ(loaded.exit_code, kExitUsage);
    EXPECT_THAT(loaded.text, HasSubstr(text));
  }
}

TEST(ConfigLoad, SizesTakeUnits) {
  EXPECT_EQ(load({"--max-message-size", "64KiB"}).config->max_message_size, 65536U);
  EXPECT_EQ(load({"--max-message-size", "4096"}).config->max_message_size, 4096U);
  EXPECT_EQ(load({"--disk-free-limit", "2GiB"}).config->disk_free_limit, std::uint64_t{2} << 30);
  EXPECT_EQ(load({}).config->disk_free_limit, std::uint64_t{50} << 20);
}

TEST(ConfigLoad, ValuesOutOfRangeNameTheOption) {
  const std::vector<std::vector<const char*>> cases = {{"--threads", "0"},
                                                       {"--threads", "65"},
                                                       {"--threads", "two"},
                                                       {"--frame-max", "4095"},
                                                       {"--channel-max", "0"},
                                                       {"--heartbeat", "-1"},
                                                       {"--log-level", "loud"},
                                                       {"--idle-commit-ms", "0"},
                                                       {"--max-message-size", "1GiB"},
                                                       {"--write-buffer-mb", "1"},
                                                       {"--direct-io", "maybe"},
                                                       {"--data-dir", ""},
                                                       {"--handshake-timeout-ms", "1"},
                                                       {"--transient-memory-mb", "1"}};
  for (const auto& args : cases) {
    const Loaded loaded = load(args);
    EXPECT_FALSE(loaded.config.has_value()) << args[0];
    EXPECT_EQ(loaded.exit_code, kExitUsage);
    EXPECT_THAT(loaded.text, HasSubstr(args[0]));
  }
}

TEST(ConfigLoad, UnknownOptionsAreUsageErrors) {
  const Loaded loaded = load({"--data-dri", "x"});
  EXPECT_EQ(loaded.exit_code, kExitUsage);
  EXPECT_THAT(loaded.text, HasSubstr("--data-dri"));
  EXPECT_THAT(loaded.text, HasSubstr("--help"));
}

TEST(ConfigLoad, HelpAndVersionAreNoErrors) {
  const Loaded help = load({"--help"});
  EXPECT_FALSE(help.config.has_value());
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_THAT(help.text, HasSubstr("--data-dir"));
  const Loaded version = load({"--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_EQ(version.text, std::string("warrend ") + WARREN_VERSION + "\n");
}

TEST(ConfigLoad, EnvironmentFillsWhatTheCommandLineLeavesOut) {
  const Loaded loaded = load({"--threads", "3"}, {{"WARREN_THREADS", "5"},
                                                  {"WARREN_DATA_DIR", "/srv/warren"},
                                                  {"WARREN_LISTEN", "127.0.0.1:1,127.0.0.1:2"}});
  ASSERT_TRUE(loaded.config.has_value()) << loaded.text;
  EXPECT_EQ(loaded.config->threads, 3U);
  EXPECT_EQ(loaded.config->data_dir, "/srv/warren");
  EXPECT_EQ(loaded.config->listen.size(), 2U);
}

TEST(ConfigLoad, ABadValueInTheEnvironmentIsAUsageError) {
  EXPECT_EQ(load({}, {{"WARREN_THREADS", "many"}}).exit_code, kExitUsage);
}

TEST(ConfigLoad, AnEmptyEnvironmentVariableIsUnset) {
  const Loaded loaded = load({"--listen", "127.0.0.1:5935"}, {{"WARREN_DATA_DIR", ""},
                                                              {"WARREN_THREADS", ""},
                                                              {"WARREN_CONFIG", ""},
                                                              {"WARREN_LISTEN", ""}});
  ASSERT_TRUE(loaded.config.has_value()) << loaded.text;
  EXPECT_EQ(loaded.config->data_dir, "./data");
  EXPECT_EQ(loaded.config->listen, (std::vector<ListenAddress>{{"127.0.0.1", 5935}}));
}

TEST(ConfigLoad, EnvironmentVariablesThatAreNoOptionAreTold) {
  const char* const environment[] = {
      "HOME=/root",       "WARREN_DATADIR=/x", "WARREN_DATA_DIR=/y", "WARREN_THREADS=",
      "WARREN_CONFIG=/z", "WARREN_=1",         "XWARREN_A=1",        nullptr};
  EXPECT_THAT(unknown_environment(environment),
              ::testing::ElementsAre("WARREN_DATADIR", "WARREN_"));
}

TEST_F(ConfigFile, FillsWhatNeitherCommandLineNorEnvironmentSay) {
  write(
      "# a comment\n"
      "threads = 2\n"
      "heartbeat = 30\n"
      "frame-max = 8192\n"
      "listen = [\"127.0.0.1:7\", \"127.0.0.1:8\"]\n");
  const Loaded loaded =
      load({"--config", path_.c_str(), "--threads", "4"}, {{"WARREN_HEARTBEAT", "10"}});
  ASSERT_TRUE(loaded.config.has_value()) << loaded.text;
  EXPECT_EQ(loaded.config->threads, 4U);
  EXPECT_EQ(loaded.config->heartbeat, 10);
  EXPECT_EQ(loaded.config->frame_max, 8192U);
  EXPECT_EQ(loaded.config->listen.size(), 2U);
}

TEST_F(ConfigFile, UnknownNamesAndMissingFilesAreUsageErrors) {
  write("thraeds = 2\n");
  const Loaded unknown = load({"--config", path_.c_str()});
  EXPECT_EQ(unknown.exit_code, kExitUsage);
  EXPECT_THAT(unknown.text, HasSubstr("thraeds"));
  EXPECT_EQ(load({"--config", "/nonexistent/warren.conf"}).exit_code, kExitUsage);
}

TEST_F(ConfigFile, ErrorsNameTheFileAndTheLine) {
  const std::vector<std::array<const char*, 3>> cases = {
      {"# a comment\n\nbogus = 1\n", ", line 3", "unknown name 'bogus'"},
      {"heartbeat = 1\n[server]\nthreads = 2\n", ", line 2", "there are no sections"},
      {"server.threads = 2\n", "'server.threads'", "there are no sections"},
      {"heartbeat = 1\n  threads=0\n", ", line 2", "--threads"},
      {"max-message-size = \"large\"\n", ", line 1", "--max-message-size"},
      {"help = true\n", ", line 1", "cannot be set in a file"},
      {"frame-max 8192\n", ", line 1", "unknown name 'frame-max 8192'"},
  };
  for (const auto& [text, place, why] : cases) {
    write(text);
    const Loaded loaded = load({"--config", path_.c_str()});
    EXPECT_EQ(loaded.exit_code, kExitUsage) << text;
    EXPECT_THAT(loaded.text, HasSubstr("'" + path_ + "'"));
    EXPECT_THAT(loaded.text, HasSubstr(place));
    EXPECT_THAT(loaded.text, HasSubstr(why));
  }
  // What was typed is not of the file.
  write("threads = 2\n");
  EXPECT_THAT(load({"--config", path_.c_str(), "--threads", "0"}).text,
              ::testing::Not(HasSubstr(path_)));
}

}  // namespace
}  // namespace warren::config
