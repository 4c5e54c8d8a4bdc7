#include "config/completion.h"

#include <algorithm>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "config/command_tree.h"
#include "config/server_flags.h"
#include "config/user_config.h"
#include "config/worker_flags.h"

namespace samovar {
namespace {

// The words as a shell would split them, without quotes and backslashes; the last is the one under the cursor, and may
// be empty.
std::vector<std::string> SplitLine(absl::string_view line) {
  std::vector<std::string> words(1);
  char quote = 0;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quote != 0) {
      if (c == quote) {
        quote = 0;
      } else {
        words.back().push_back(c);
      }
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '\\' && i + 1 < line.size()) {
      words.back().push_back(line[++i]);
    } else if (c != ' ' && c != '\t') {
      words.back().push_back(c);
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  return words;
}

bool TakesValue(const CLI::Option& option) { return option.get_type_size() != 0 && option.get_expected_max() > 0; }

// Completer goes over the words before the cursor, and offers what may follow them.
class Completer {
 public:
  Completer(CLI::App* program, const std::function<std::vector<std::string>(const std::string&)>& jobs)
      : command_(program), jobs_(jobs) {}

  // A word that is complete.
  void Take(const std::string& word) {
    if (value_of_ != nullptr) {
      Note(value_of_, word);
      value_of_ = nullptr;
    } else if (!only_arguments_ && word == "--") {
      only_arguments_ = true;
    } else if (!only_arguments_ && absl::StartsWith(word, "-") && word.size() > 1) {
      TakeFlag(word);
    } else if (CLI::App* const below = Below(word)) {
      command_ = below;
    } else {
      if (CLI::Option* const argument = NextArgument()) Note(argument, word);
      ++arguments_;
    }
  }

  Completion Offer(const std::string& word) {
    Completion completion;
    if (value_of_ != nullptr) {
      OfferValues(value_of_, "", &completion);
    } else if (const size_t equals = word.find('='); absl::StartsWith(word, "--") && equals != std::string::npos) {
      CLI::Option* const option = command_->get_option_no_throw(word.substr(0, equals));
      if (option != nullptr) OfferValues(option, word.substr(0, equals + 1), &completion);
    } else {
      OfferWords(word, &completion);
    }
    std::erase_if(completion.words, [&](const std::string& offered) { return !absl::StartsWith(offered, word); });
    return completion;
  }

 private:
  void TakeFlag(const std::string& word) {
    const std::string name = word.substr(0, word.find('='));
    CLI::Option* const option = command_->get_option_no_throw(name);
    if (option == nullptr) return;
    given_.push_back(option);
    if (name.size() < word.size()) {
      Note(option, word.substr(name.size() + 1));
    } else if (TakesValue(*option)) {
      value_of_ = option;
    }
  }

  // The command of that name below this one; null: there is none.
  CLI::App* Below(const std::string& name) const {
    if (arguments_ > 0) return nullptr;
    for (CLI::App* below : command_->get_subcommands([](CLI::App*) { return true; })) {
      if (below->get_name() == name) return below;
    }
    return nullptr;
  }

  // The argument that the next word without dashes is; null: none.
  CLI::Option* NextArgument() const {
    int number = 0;
    for (CLI::Option* option : command_->get_options()) {
      const bool is_shown = !option->get_group().empty();
      const bool was_flag = std::find(given_.begin(), given_.end(), option) != given_.end();
      if (!is_shown || !option->get_positional() || was_flag) continue;
      if (option->get_expected_max() >= CLI::detail::expected_max_vector_size || number == arguments_) return option;
      ++number;
    }
    return nullptr;
  }

  void Note(const CLI::Option* option, const std::string& value) {
    if (option->check_lname("coordinator")) coordinator_ = value;
  }

  void OfferWords(const std::string& word, Completion* completion) const {
    if (!only_arguments_ && arguments_ == 0) {
      for (const CLI::App* below : command_->get_subcommands([](const CLI::App*) { return true; }))
        completion->words.push_back(below->get_name());
    }
    CLI::Option* const argument = NextArgument();
    if (argument != nullptr && !absl::StartsWith(word, "-")) OfferValues(argument, "", completion);
    // Flags are many: they are offered to those that ask, or where there is nothing else.
    if (only_arguments_ || (!absl::StartsWith(word, "-") && (argument != nullptr || !completion->words.empty())))
      return;
    for (const CLI::Option* option : command_->get_options()) {
      if (option->get_group().empty() || std::find(given_.begin(), given_.end(), option) != given_.end()) continue;
      for (const std::string& name : option->get_lnames()) completion->words.push_back(absl::StrCat("--", name));
    }
  }

  void OfferValues(CLI::Option* option, const std::string& before, Completion* completion) const {
    const std::string type = option->get_type_name();
    const std::vector<std::string> choices = ChoicesOf(option);
    for (const std::string& choice : choices) completion->words.push_back(absl::StrCat(before, choice));
    if (!choices.empty()) return;
    if (type == "JOB" || type == "RUN") {
      for (const std::string& job : jobs_(Coordinator())) completion->words.push_back(absl::StrCat(before, job));
    }
    const bool is_address = option->check_lname("coordinator") || option->check_lname("join");
    const std::optional<UserSetting> user = is_address ? FindUserCoordinator().value_or(std::nullopt) : std::nullopt;
    if (user.has_value()) completion->words.push_back(absl::StrCat(before, user->value));
    static constexpr const char* kFiles[] = {"FILE", "DIR", "PATH", "SOLVER", "RUN", "SOURCE", "DEST", "URI", "HOME"};
    completion->files |= std::any_of(std::begin(kFiles), std::end(kFiles),
                                     [&](const char* kind) { return absl::StrContains(type, kind); }) &&
                         before.empty();
  }

  // Empty: none is known.
  std::string Coordinator() const {
    if (!coordinator_.empty()) return coordinator_;
    const std::optional<UserSetting> user = FindUserCoordinator().value_or(std::nullopt);
    return user.has_value() ? user->value : "";
  }

  CLI::App* command_;
  const std::function<std::vector<std::string>(const std::string&)>& jobs_;
  // Words without dashes so far, of this command.
  int arguments_ = 0;
  bool only_arguments_ = false;
  // Its value is the next word; null: none is.
  CLI::Option* value_of_ = nullptr;
  std::vector<const CLI::Option*> given_;
  std::string coordinator_;
};

// bash ends words at ':' and '=' as well, and puts what is offered into the place of the last such part.
constexpr char kBash[] = R"(_samovar() {
  local line="${COMP_LINE:0:COMP_POINT}" program="${COMP_WORDS[0]}" answer=() word before
  program="${program%-server}"
  program="${program%-worker}"
  type "$program" &> /dev/null || program=samovar
  mapfile -t answer < <("$program" completion bash --line "$line" 2> /dev/null)
  COMPREPLY=()
  word="${line##*[[:space:]]}"
  before="${word%"${word##*[=:]}"}"
  [[ "$COMP_WORDBREAKS" == *:* ]] || before="${word%"${word##*=}"}"
  for word in "${answer[@]:1}"; do COMPREPLY+=("${word#"$before"}"); done
  [[ "${answer[0]}" == files ]] || compopt +o default +o bashdefault 2> /dev/null
  return 0
}
complete -o default -o bashdefault -F _samovar samovar samovar-server samovar-worker
)";

constexpr char kZsh[] = R"(#compdef samovar samovar-server samovar-worker
_samovar() {
  local program="${words[1]}"
  local -a answer
  program="${program%-server}"
  program="${program%-worker}"
  (( $+commands[$program] )) || [[ -x "$program" ]] || program=samovar
  answer=("${(@f)$("$program" completion zsh --line "${(j: :)words[1,CURRENT]}" 2> /dev/null)}")
  (( $#answer > 1 )) && compadd -- "${(@)answer[2,-1]}"
  [[ "${answer[1]}" == files ]] && _files
}
if [[ "${funcstack[1]}" == _samovar ]]; then
  _samovar "$@"
else
  compdef _samovar samovar samovar-server samovar-worker
fi
)";

}  // namespace

Completion Complete(absl::string_view line,
                    const std::function<std::vector<std::string>(const std::string& coordinator)>& jobs) {
  std::vector<std::string> words = SplitLine(line);
  const std::string word = words.back();
  words.pop_back();
  if (words.empty()) return {};
  const std::string program = words.front().substr(words.front().rfind('/') + 1);
  // Names of flags only: nothing is read.
  const StorageTable none;
  CommandTree cli(none);
  CommandLine line_of_process(program, "");
  ServerFlags server;
  WorkerFlags worker;
  CLI::App* app = line_of_process.app();
  if (program == "samovar-server") {
    AddServerFlags(none, &line_of_process, &server);
  } else if (program == "samovar-worker") {
    AddWorkerFlags(none, &line_of_process, &worker);
  } else {
    app = cli.line.app();
  }
  Completer completer(app, jobs);
  for (size_t i = 1; i < words.size(); ++i) completer.Take(words[i]);
  return completer.Offer(word);
}

std::string CompletionText(const Completion& completion) {
  std::string text = completion.files ? "files\n" : "words\n";
  for (const std::string& word : completion.words) absl::StrAppend(&text, word, "\n");
  return text;
}

std::string CompletionScript(const std::string& shell) { return shell == "zsh" ? kZsh : kBash; }

}  // namespace samovar
