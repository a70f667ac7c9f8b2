// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/wire_script.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include "tests/conformance/wire_line.h"

namespace warren::conformance {
namespace {

struct VerbName {
  std::string_view name;
  Verb verb;
};

constexpr auto kVerbs = std::to_array<VerbName>({
    {"open", Verb::open},
    {"connect", Verb::connect},
    {"send", Verb::send},
    {"publish", Verb::publish},
    {"call", Verb::call},
    {"get", Verb::get},
    {"expect", Verb::expect},
    {"refused", Verb::refused},
    {"dropped", Verb::dropped},
    {"confirms", Verb::confirms},
    {"bye", Verb::bye},
    {"cut", Verb::cut},
    {"raw", Verb::raw},
    {"frame", Verb::frame},
    {"wait", Verb::wait},
    {"sync", Verb::sync},
    {"restart", Verb::restart},
    {"crash", Verb::crash},
});

constexpr std::uint64_t kRepeatMax = 1000;

// Reads one file. Blocks are collected as lines and read when they end, so that a `repeat` is read
// once for each of its rounds.
class FileReader {
 public:
  FileReader(std::string_view text, std::string file) : file_(std::move(file)) {
    std::istringstream stream{std::string(text)};
    for (std::string line; std::getline(stream, line);) lines_.push_back(std::move(line));
  }

  Result<std::vector<Case>> read() {
    while (at_ < lines_.size() && error_.empty()) read_line();
    if (!error_.empty()) return Error{Errc::invalid_argument, error_};
    return std::move(cases_);
  }

 private:
  void fail(std::size_t line, std::string_view why) {
    if (error_.empty()) error_ = fmt::format("{}.wire:{}: {}", file_, line + 1, why);
  }

  void read_line() {
    const std::size_t line = at_;
    LineReader reader(lines_[line]);
    if (reader.at_end()) {
      ++at_;
      return;
    }
    const std::string verb = reader.word();
    if (verb == "case") {
      ++at_;
      begin_case(line, reader);
    } else if (cases_.empty()) {
      fail(line, "a file begins with a case");
    } else if (verb == "rules") {
      ++at_;
      while (!reader.at_end()) cases_.back().rules.push_back(static_cast<int>(reader.number()));
    } else if (verb == "slow") {
      ++at_;
      cases_.back().slow = true;
    } else {
      read_steps(cases_.back().steps, {});
    }
    if (!reader.error().empty()) fail(line, reader.error());
  }

  void begin_case(std::size_t line, LineReader& reader) {
    Case next;
    next.file = file_;
    next.name = reader.word();
    next.line = static_cast<int>(line) + 1;
    const auto same = [&next](const Case& one) { return one.name == next.name; };
    if (std::any_of(cases_.begin(), cases_.end(), same)) fail(line, "the name is taken");
    cases_.push_back(std::move(next));
  }

  // The step or the block that begins at at_.
  void read_steps(std::vector<Step>& out, const Variables& counters) {
    const std::size_t line = at_++;
    LineReader reader(lines_[line]);
    if (reader.at_end()) return;
    const std::string verb = reader.word();
    if (verb == "repeat") {
      const std::uint64_t rounds = reader.number();
      if (rounds == 0 || rounds > kRepeatMax) fail(line, "that often it cannot be repeated");
      read_repeat(line, rounds, out, counters);
    } else if (verb == "together") {
      Step step;
      step.verb = Verb::together;
      step.line = static_cast<int>(line) + 1;
      step.text = "together";
      read_block(line, step.steps, counters);
      out.push_back(std::move(step));
    } else {
      out.push_back(read_step(line, verb, reader));
      out.back().counters = counters;
    }
    if (!reader.error().empty()) fail(line, reader.error());
  }

  void read_repeat(std::size_t line, std::uint64_t rounds, std::vector<Step>& out,
                   Variables counters) {
    const std::size_t begin = at_;
    for (std::uint64_t n = 1; n <= rounds && error_.empty(); ++n) {
      counters["n"] = std::to_string(n);
      at_ = begin;
      read_block(line, out, counters);
    }
  }

  void read_block(std::size_t line, std::vector<Step>& out, const Variables& counters) {
    while (error_.empty()) {
      if (at_ >= lines_.size()) return fail(line, "the block has no 'done'");
      LineReader reader(lines_[at_]);
      if (!reader.at_end() && reader.word() == "done") {
        ++at_;
        return;
      }
      read_steps(out, counters);
    }
  }

  Step read_step(std::size_t line, const std::string& verb, LineReader& reader) {
    Step step;
    step.line = static_cast<int>(line) + 1;
    step.text = lines_[line].substr(lines_[line].find_first_not_of(" \t"));
    const auto known = std::find_if(kVerbs.begin(), kVerbs.end(),
                                    [&](const auto& one) { return one.name == verb; });
    if (known == kVerbs.end()) {
      fail(line, fmt::format("unknown verb '{}'", verb));
      return step;
    }
    step.verb = known->verb;
    read_operands(step, reader);
    if (!reader.at_end()) reader.fail("this is too much");
    return step;
  }

  static void read_operands(Step& step, LineReader& reader) {
    switch (step.verb) {
      case Verb::restart:
      case Verb::crash:
      case Verb::together:
        return;
      case Verb::wait:
        step.duration = reader.duration();
        return;
      case Verb::raw:
        reader.target(step);
        step.bytes = reader.bytes();
        return;
      case Verb::frame:
        reader.target(step);
        step.what = reader.word();
        step.bytes = reader.bytes();
        return;
      case Verb::send:
      case Verb::call:
      case Verb::expect:
        reader.target(step);
        step.what = reader.word();
        break;
      case Verb::open:
      case Verb::connect:
      case Verb::publish:
      case Verb::get:
      case Verb::refused:
      case Verb::dropped:
      case Verb::confirms:
      case Verb::bye:
      case Verb::cut:
      case Verb::sync:
        reader.target(step);
        break;
    }
    if (!reader.arguments(step.arguments)) return;
    if (step.verb != Verb::call && step.verb != Verb::get) {
      return reader.fail("only call and get have an answer");
    }
    if (reader.arguments(step.answer)) reader.fail("one answer is enough");
  }

  std::string file_;
  std::vector<std::string> lines_;
  std::size_t at_ = 0;
  std::vector<Case> cases_;
  std::string error_;
};

}  // namespace

bool Case::restarts() const {
  return std::any_of(steps.begin(), steps.end(), [](const Step& step) {
    return step.verb == Verb::restart || step.verb == Verb::crash;
  });
}

Result<std::vector<Case>> read_cases(std::string_view text, const std::string& file) {
  return FileReader(text, file).read();
}

Result<std::vector<Case>> load_cases(const std::string& directory) {
  namespace fs = std::filesystem;
  std::error_code failed;
  std::vector<fs::path> paths;
  for (const auto& entry : fs::recursive_directory_iterator(directory, failed)) {
    if (entry.path().extension() == ".wire") paths.push_back(entry.path());
  }
  if (failed) return Error{Errc::io_error, fmt::format("cannot read '{}'", directory)};
  std::sort(paths.begin(), paths.end());
  std::vector<Case> cases;
  for (const fs::path& path : paths) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    const fs::path name = fs::relative(path, directory).replace_extension();
    auto read = read_cases(text.str(), name.generic_string());
    if (!read.ok()) return read.error();
    for (Case& one : *read) cases.push_back(std::move(one));
  }
  return cases;
}

}  // namespace warren::conformance
