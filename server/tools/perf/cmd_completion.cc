// SPDX-License-Identifier: Apache-2.0
// completion: the bash completion script, made from what the program knows of itself.
#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "server/tools/perf/commands.h"

namespace warren::perf {
namespace {

// Long options of the command, names and options of those below it.
std::string words(const CLI::App& app) {
  std::string out;
  for (const CLI::Option* const option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) out += " --" + name;
  }
  for (const CLI::App* const below : app.get_subcommands([](const CLI::App*) { return true; })) {
    out += " " + below->get_name() + words(*below);
  }
  return out;
}

std::string script(const CLI::App& app) {
  std::string commands;
  std::string cases;
  for (const CLI::App* const command : app.get_subcommands([](const CLI::App*) { return true; })) {
    commands += " " + command->get_name();
    cases += fmt::format("      {}) words=\"{}\" ;;\n", command->get_name(), words(*command));
  }
  return fmt::format(
      R"(# bash completion for warren-perf: source <(warren-perf completion)
_warren_perf() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}
  local command=${{COMP_WORDS[1]}} words='--help --version{0}'
  case $before in
    --csv|--output|--data-dir|--log) COMPREPLY=($(compgen -f -- "$word")); return ;;
    --exchange-type) COMPREPLY=($(compgen -W 'direct fanout topic headers' -- "$word")); return ;;
  esac
  if [ "$COMP_CWORD" -gt 1 ]; then
    case $command in
{1}    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
  if [ ${{#COMPREPLY[@]}} -eq 0 ]; then COMPREPLY=($(compgen -f -- "$word")); fi
}}
complete -o filenames -F _warren_perf warren-perf
)",
      commands, cases);
}

}  // namespace

void add_completion(CLI::App& app, Chosen& chosen) {
  app.add_subcommand("completion", "Prints the bash completion: source <(warren-perf completion)")
      ->callback([&app, &chosen] {
        chosen = [&app] {
          print(script(app));
          return kExitFine;
        };
      });
}

}  // namespace warren::perf
