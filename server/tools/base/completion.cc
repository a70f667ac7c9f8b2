// SPDX-License-Identifier: Apache-2.0
#include "server/tools/base/completion.h"

#include <algorithm>
#include <cstdio>
#include <set>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace warren::tools {
namespace {

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

std::string long_options(const CLI::App& app) {
  std::string out;
  for (const CLI::Option* const option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) out += " --" + name;
  }
  return out;
}

// Long options of the command, names and options of those below it.
std::string words(const CLI::App& app) {
  std::string out = long_options(app);
  for (const CLI::App* const below : commands_of(app)) {
    out += " " + below->get_name() + words(*below);
  }
  return out;
}

// Every spelling of the options whose value is a file.
void add_file_options(const CLI::App& app, std::set<std::string>& out) {
  for (const CLI::Option* const option : app.get_options()) {
    const std::string type = option->get_type_name();
    if (option->get_positional() || (type != "FILE" && type != "DIR")) continue;
    for (const std::string& name : option->get_lnames()) out.insert("--" + name);
    for (const std::string& name : option->get_snames()) out.insert("-" + name);
  }
  for (const CLI::App* const below : commands_of(app)) add_file_options(*below, out);
}

// The cases of what follows an option, by the option.
std::string value_cases(const CLI::App& app, const Choices& choices) {
  std::string out;
  std::set<std::string> files;
  add_file_options(app, files);
  if (!files.empty()) {
    out += fmt::format("    {}) COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n",
                       fmt::join(files, "|"));
  }
  for (const auto& [option, values] : choices) {
    out += fmt::format("    {}) COMPREPLY=($(compgen -W '{}' -- \"$word\")); return ;;\n", option,
                       values);
  }
  return out;
}

}  // namespace

std::string bash_completion(const CLI::App& app, const Choices& choices) {
  const std::string& name = app.get_name();
  std::string function = "_" + name;
  std::replace(function.begin(), function.end(), '-', '_');
  std::string commands;
  std::string cases;
  for (const CLI::App* const command : commands_of(app)) {
    commands += " " + command->get_name();
    cases += fmt::format("    {}) words+='{}' ;;\n", command->get_name(), words(*command));
  }
  return fmt::format(
      R"(# bash completion for {0}: source <({0} completion)
{1}() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} command= each
  for each in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case "{2} " in *" $each "*) command=$each; break ;; esac
  done
  case $before in
{3}  esac
  local words='{4}'
  case $command in
    '') words+='{2}' ;;
{5}  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
  if [ ${{#COMPREPLY[@]}} -eq 0 ]; then COMPREPLY=($(compgen -f -- "$word")); fi
}}
complete -o filenames -F {1} {0}
)",
      name, function, commands, value_cases(app, choices), long_options(app), cases);
}

void add_completion(CLI::App& app, std::function<int()>& chosen, const Choices& choices) {
  app.add_subcommand(
         "completion",
         fmt::format("Prints the bash completion: source <({} completion)", app.get_name()))
      ->callback([&app, &chosen, choices] {
        chosen = [&app, choices] {
          std::fputs(bash_completion(app, choices).c_str(), stdout);
          return std::fflush(stdout) == 0 ? 0 : 1;
        };
      });
}

}  // namespace warren::tools
