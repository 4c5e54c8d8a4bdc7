// The help of all commands and programs.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "config/help_formatter.h"
#include "tests/cli/parsed_line.h"

namespace samovar {
namespace {

std::string HelpOf(const std::string& command) {
  const std::string line = absl::StrCat(command, " --help");
  if (absl::StartsWith(command, "samovar-server")) return Run(ParseServer, line).out;
  if (absl::StartsWith(command, "samovar-worker")) return Run(ParseWorker, line).out;
  return Cli(line).out;
}

// A group of the help: its title, and its entries' lines.
struct Section {
  std::string title;
  std::vector<std::string> lines;
};

std::vector<Section> SectionsOf(const std::string& help) {
  std::vector<Section> sections;
  bool is_open = false;
  for (const absl::string_view line : absl::StrSplit(help, '\n')) {
    if (line.empty()) {
      is_open = false;
    } else if (absl::EndsWith(line, ":") && !absl::StartsWith(line, " ") && !absl::StartsWith(line, "Example")) {
      sections.push_back({std::string(line.substr(0, line.size() - 1)), {}});
      is_open = true;
    } else if (is_open) {
      sections.back().lines.emplace_back(line);
    }
  }
  return sections;
}

// The command and those below it, as its help lists them.
void AddCommands(const std::string& command, std::vector<std::string>* commands) {
  commands->push_back(command);
  const std::string help = HelpOf(command);
  if (!absl::StrContains(help, " COMMAND [FLAGS]")) return;
  for (const Section& section : SectionsOf(help)) {
    // Behind it stand examples.
    if (section.title == "Other flags") break;
    for (const std::string& line : section.lines) {
      // "  train    Trains a net"; flags begin with dashes, and further lines of a description further right.
      if (!absl::StartsWith(line, "  ") || line[2] == ' ' || line[2] == '-') continue;
      const std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
      AddCommands(absl::StrCat(command, " ", words.front()), commands);
    }
  }
}

std::vector<std::string> AllCommands() {
  std::vector<std::string> commands;
  AddCommands("samovar", &commands);
  commands.emplace_back("samovar-server");
  commands.emplace_back("samovar-worker");
  return commands;
}

TEST_CASE("the help of each command is within 100 columns, and its flags are in groups") {
  const std::vector<std::string> commands = AllCommands();
  CHECK(commands.size() > 45);
  for (const char* command : {"samovar data import idx", "samovar yarn train", "samovar fs cp", "samovar plot"})
    CHECK(std::count(commands.begin(), commands.end(), command) == 1);
  for (const std::string& command : commands) {
    INFO(command);
    const std::string help = HelpOf(command);
    CHECK(absl::StrContains(help, absl::StrCat("Usage: ", command)));
    for (const absl::string_view line : absl::StrSplit(help, '\n')) {
      INFO(line);
      CHECK(line.size() <= 100);
    }
    for (const Section& section : SectionsOf(help)) {
      if (section.title != "Other flags") continue;
      for (const std::string& line : section.lines) {
        INFO(line);
        CHECK((absl::StartsWith(line, "  -h, --help ") || absl::StartsWith(line, "  --version ") || line[2] == ' '));
      }
    }
  }
}

TEST_CASE("help marks what a command cannot do without, and shows it in the usage") {
  const std::string train = HelpOf("samovar train");
  CHECK(absl::StrContains(train, "Usage: samovar train SOLVER [FLAGS]"));
  CHECK(
      absl::StrContains(train, "  SOLVER, --solver SOLVER     Reads the solver from this prototxt file (required)\n"));
  CHECK(absl::StrContains(train, "\nWhere training begins:\n"));
  CHECK(absl::StrContains(train, "\nMonitoring:\n"));
  CHECK(absl::StrContains(HelpOf("samovar plot"), "Usage: samovar plot RUN... --output FILE [FLAGS]"));
  CHECK(absl::StrContains(HelpOf("samovar watch"), "Usage: samovar watch [JOB] [ADDRESS] [FLAGS]"));
  CHECK(absl::StrContains(HelpOf("samovar submit"), "--solver SOLVER "));
  CHECK(absl::StrContains(HelpOf("samovar-worker"), "\nCluster:\n"));
  CHECK(absl::StrContains(HelpOf("samovar-server"), "\nSecurity:\n"));
  CHECK(absl::StrContains(HelpOf("samovar"), "\nJobs of a cluster:\n"));
  // Those that only scripts use.
  CHECK_FALSE(absl::StrContains(HelpOf("samovar plot"), "user-coordinator"));
  CHECK_FALSE(absl::StrContains(HelpOf("samovar completion"), "line"));
}

TEST_CASE("prose is joined and wrapped, and a command that is too long goes on behind a backslash") {
  CHECK(WrapText("one\ntwo\nExamples:\n  samovar x") == "one two\nExamples:\n  samovar x\n");
  const std::string prose = WrapText(std::string(60, 'a') + " " + std::string(39, 'b') + " c");
  CHECK(prose == std::string(60, 'a') + " " + std::string(39, 'b') + "\nc\n");
  const std::string command =
      WrapText("  samovar " + std::string(60, 'a') + " --flag \\\n      " + std::string(30, 'b'));
  CHECK(command == "  samovar " + std::string(60, 'a') + " --flag \\\n      " + std::string(30, 'b') + "\n");
}

}  // namespace
}  // namespace samovar
