// SPDX-License-Identifier: Apache-2.0
// completion: the bash completion script, made from what the program knows of itself.
#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "server/tools/dump/commands.h"

namespace warren::dump {
namespace {

std::string long_options(const CLI::App& app) {
  std::string out;
  for (const CLI::Option* const option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) out += " --" + name;
  }
  return out;
}

std::string script(const CLI::App& app) {
  std::string commands;
  std::string cases;
  for (const CLI::App* const command : app.get_subcommands([](const CLI::App*) { return true; })) {
    commands += " " + command->get_name();
    cases +=
        fmt::format("      {}) words+=\"{}\" ;;\n", command->get_name(), long_options(*command));
  }
  return fmt::format(
      R"(# bash completion for warren-dump: source <(warren-dump completion)
_warren_dump() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} command= each
  for each in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case " {1} " in *" $each "*) command=$each ;; esac
  done
  case $before in
    --data-dir|--output|--input|--quarantine) COMPREPLY=($(compgen -f -- "$word")); return ;;
    --format) COMPREPLY=($(compgen -W 'table json raw hex' -- "$word")); return ;;
  esac
  local words='{0}'
  if [ -z "$command" ]; then
    words+='{1}'
  else
    case $command in
{2}    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
  if [ ${{#COMPREPLY[@]}} -eq 0 ]; then COMPREPLY=($(compgen -f -- "$word")); fi
}}
complete -o filenames -F _warren_dump warren-dump)",
      long_options(app), commands, cases);
}

}  // namespace

void add_completion(CLI::App& app, Chosen& chosen) {
  app.add_subcommand("completion", "Prints the bash completion: source <(warren-dump completion)")
      ->callback([&app, &chosen] {
        chosen = [&app] {
          print_line(script(app));
          return kExitFine;
        };
      });
}

}  // namespace warren::dump
