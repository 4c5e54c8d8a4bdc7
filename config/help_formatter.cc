#include "config/help_formatter.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "config/flag_groups.h"

namespace samovar {
namespace {

constexpr size_t kColumns = 100;
// Where descriptions begin.
constexpr size_t kIndent = 30;
constexpr size_t kContinuedIndent = 6;

// Lines of these words; `first` is the column where the first begins, `indent` that of the others.
std::string Wrapped(absl::string_view text, size_t first, size_t indent, absl::string_view line_end = "") {
  std::string lines;
  size_t column = first;
  bool is_begin = true;
  for (const absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    if (!is_begin && column + 1 + word.size() + line_end.size() > kColumns) {
      absl::StrAppend(&lines, line_end, "\n", std::string(indent, ' '));
      column = indent;
      is_begin = true;
    }
    absl::StrAppend(&lines, is_begin ? "" : " ", word);
    column += word.size() + (is_begin ? 0 : 1);
    is_begin = false;
  }
  return lines;
}

// "  left", and the text from column kIndent on, in the same line if there is room.
std::string Entry(const std::string& left, absl::string_view text) {
  std::string entry = absl::StrCat("  ", left);
  if (entry.size() + 2 > kIndent) {
    absl::StrAppend(&entry, "\n", std::string(kIndent, ' '));
  } else {
    entry.resize(kIndent, ' ');
  }
  return absl::StrCat(entry, Wrapped(text, kIndent, kIndent), "\n");
}

bool IsList(const CLI::Option& option) { return option.get_expected_max() >= CLI::detail::expected_max_vector_size; }

bool IsShown(const CLI::Option& option) { return !option.get_group().empty(); }

}  // namespace

std::string WrapText(absl::string_view text) {
  std::string wrapped, paragraph;
  const auto end_paragraph = [&] {
    if (!paragraph.empty()) absl::StrAppend(&wrapped, Wrapped(paragraph, 0, 0), "\n");
    paragraph.clear();
  };
  std::string command;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (absl::StartsWith(line, "  ")) {
      end_paragraph();
      // One that goes on in the source is one command.
      absl::StrAppend(&command, command.empty() ? "" : " ", line);
      if (absl::EndsWith(command, "\\")) {
        command.pop_back();
        continue;
      }
      absl::StrAppend(&wrapped, "  ", Wrapped(command, 2, kContinuedIndent, " \\"), "\n");
      command.clear();
      continue;
    }
    if (line.empty() || absl::StartsWith(line, "Example")) end_paragraph();
    absl::StrAppend(&paragraph, paragraph.empty() ? "" : " ", line);
  }
  end_paragraph();
  return wrapped;
}

bool HelpFormatter::IsRequired(const CLI::Option* option) const {
  return std::any_of(required_.begin(), required_.end(), [&](const auto& entry) { return entry.second == option; });
}

std::string HelpFormatter::Usage(const CLI::App& app, const std::string& name) const {
  std::vector<std::string> words = {name.empty() ? app.get_name() : name};
  for (const CLI::Option* option : app.get_options()) {
    if (!IsShown(*option) || !option->get_positional()) continue;
    const std::string word = absl::StrCat(option->get_type_name(), IsList(*option) ? "..." : "");
    words.push_back(IsRequired(option) ? word : absl::StrCat("[", word, "]"));
  }
  for (const CLI::Option* option : app.get_options()) {
    if (!IsShown(*option) || option->get_positional() || !IsRequired(option)) continue;
    words.push_back(absl::StrCat("--", option->get_lnames().front(), " ", option->get_type_name()));
  }
  if (!app.get_subcommands([](const CLI::App*) { return true; }).empty()) words.push_back("COMMAND");
  words.push_back("[FLAGS]");
  return absl::StrCat("Usage: ", Wrapped(absl::StrJoin(words, " "), 7, kContinuedIndent + 4), "\n");
}

std::string HelpFormatter::OptionHelp(const CLI::Option& option) const {
  std::vector<std::string> names;
  if (option.get_positional()) names.push_back(option.get_type_name());
  for (const std::string& name : option.get_snames()) names.push_back(absl::StrCat("-", name));
  for (const std::string& name : option.get_lnames()) names.push_back(absl::StrCat("--", name));
  std::string left = absl::StrJoin(names, ", ");
  const bool takes_value = option.get_type_size() != 0 && option.get_expected_max() > 0;
  if (takes_value) {
    if (!option.get_lnames().empty()) absl::StrAppend(&left, " ", option.get_type_name());
    // That of a list is "[]".
    if (!option.get_default_str().empty() && !IsList(option)) absl::StrAppend(&left, "=", option.get_default_str());
    if (IsList(option)) absl::StrAppend(&left, " ...");
  }
  return Entry(left, absl::StrCat(option.get_description(), IsRequired(&option) ? " (required)" : ""));
}

std::string HelpFormatter::make_help(const CLI::App* app, std::string name, CLI::AppFormatMode) const {
  std::string help = absl::StrCat(WrapText(app->get_description()), "\n", Usage(*app, name));
  // Groups in the order in which they were made, each with what it has.
  std::vector<std::pair<std::string, std::string>> groups = {{"Arguments", ""}};
  const auto group = [&groups](const std::string& title) -> std::string& {
    const auto found = std::find_if(groups.begin(), groups.end(), [&](const auto& one) { return one.first == title; });
    if (found != groups.end()) return found->second;
    return groups.emplace_back(title, "").second;
  };
  std::string others;
  for (const CLI::Option* option : app->get_options()) {
    if (!IsShown(*option)) continue;
    std::string& text = option->get_positional()             ? group("Arguments")
                        : option->get_group() == kOtherFlags ? others
                                                             : group(option->get_group());
    text.append(OptionHelp(*option));
  }
  for (const CLI::App* command : app->get_subcommands([](const CLI::App*) { return true; }))
    group(command->get_group()).append(Entry(command->get_name(), command->get_description()));
  groups.emplace_back(kOtherFlags, others);
  for (const auto& [title, text] : groups) {
    if (!text.empty()) absl::StrAppend(&help, "\n", title, ":\n", text);
  }
  const std::string footer = WrapText(app->get_footer());
  return footer.empty() ? help : absl::StrCat(help, "\n", footer);
}

}  // namespace samovar
