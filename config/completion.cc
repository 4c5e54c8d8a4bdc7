#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "config/cli_flags.h"
#include "config/command_tree.h"

namespace samovar {
namespace {

// The words that may follow a command, as one case of the script: the command's words on the left, its subcommands and
// flags on the right.
void AddCases(const CLI::App& app, const std::string& path, std::string* cases) {
  std::vector<std::string> words;
  const auto commands = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* command : commands) words.push_back(command->get_name());
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) words.push_back(absl::StrCat("--", name));
    // The choices of a positional argument stand in its type: "bash|zsh".
    if (option->get_positional() && option->get_type_name().find('|') != std::string::npos) {
      words.push_back(absl::StrReplaceAll(option->get_type_name(), {{"|", " "}}));
    }
  }
  absl::StrAppend(cases, "    \"", path, "\") words=\"", absl::StrJoin(words, " "), "\" ;;\n");
  for (const CLI::App* command : commands) {
    AddCases(*command, absl::StrCat(path, path.empty() ? "" : " ", command->get_name()), cases);
  }
}

// The command's words are those before the first flag. After a flag that takes a value, and where nothing matches, file
// names are offered.
constexpr char kBash[] = R"(_samovar() {
  local current="${COMP_WORDS[COMP_CWORD]}" path="" words="" i
  for ((i = 1; i < COMP_CWORD; ++i)); do
    [[ "${COMP_WORDS[i]}" == -* ]] && break
    path="${path:+$path }${COMP_WORDS[i]}"
  done
  case "$path" in
$CASES  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -o bashdefault -F _samovar samovar
)";
constexpr char kZshBegin[] = "#compdef samovar\nautoload -U +X bashcompinit && bashcompinit\n";

}  // namespace

std::string CompletionScript(const std::string& shell) {
  // Names of flags only: nothing is read.
  const StorageTable none;
  CommandTree cli(none);
  std::string cases;
  AddCases(*cli.line.app(), "", &cases);
  const std::string script = absl::StrReplaceAll(kBash, {{"$CASES", cases}});
  return shell == "zsh" ? absl::StrCat(kZshBegin, script) : script;
}

}  // namespace samovar
