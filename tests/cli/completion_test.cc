// What shells offer while a command line is typed.
#include "config/completion.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/cli/script.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

using Words = std::vector<std::string>;

// A cluster at h:1, which has two jobs.
Words JobsAt(const std::string& coordinator) { return coordinator == "h:1" ? Words{"lenet", "lenet-sync"} : Words(); }

Completion Offered(const std::string& line) {
  unsetenv("SAMOVAR_COORDINATOR");
  setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
  return Complete(line, JobsAt);
}

bool Has(const Completion& completion, const std::string& word) {
  return std::find(completion.words.begin(), completion.words.end(), word) != completion.words.end();
}

TEST_CASE("commands are completed at each depth") {
  CHECK(Offered("samovar tr").words == Words{"train"});
  CHECK(Offered("samovar pl").words == Words{"plan", "plot"});
  CHECK(Offered("./bin/samovar data import cif").words == Words{"cifar10"});
  CHECK(Offered("samovar data import ").words == Words{"idx", "cifar10", "leveldb", "images"});
  CHECK_FALSE(Offered("samovar ").files);
}

TEST_CASE("flags are completed behind positional words and values of other flags") {
  CHECK(Offered("samovar submit h:1 --solver s --wei").words == Words{"--weights", "--weight"});
  CHECK(Offered("samovar data import idx --im").words == Words{"--images"});
  CHECK(Offered("samovar watch lenet h:1 --js").words == Words{"--json"});
  // Behind all arguments there are only flags.
  CHECK(Has(Offered("samovar check s.prototxt "), "--test-all"));
  CHECK_FALSE(Has(Offered("samovar train s --mode sync --"), "--mode"));
  CHECK(Offered("samovar plot --us").words.empty());
}

TEST_CASE("values are completed: choices, files, names of jobs") {
  CHECK(Offered("samovar train s --mode ").words == Words{"async", "bounded", "sync"});
  CHECK(Offered("samovar train s --mode=b").words == Words{"--mode=bounded"});
  CHECK(Offered("samovar submit h:1 --solver s --encoding f").words == Words{"float32", "float16"});
  CHECK(Offered("samovar time --model m --phase ").words == Words{"TRAIN", "TEST"});
  CHECK(Offered("samovar plan s --mode b").words == Words{"bounded"});
  CHECK(Offered("samovar plan ").files);
  CHECK(Offered("samovar completion ").words == Words{"bash", "zsh"});
  CHECK(Offered("samovar train ").files);
  CHECK(Offered("samovar train --solver ").files);
  CHECK(Offered("samovar train s --state ").files);
  CHECK_FALSE(Offered("samovar train s --workers ").files);
  CHECK(Offered("samovar watch --coordinator h:1 ").words == Words{"lenet", "lenet-sync"});
  CHECK(Offered("samovar cancel --coordinator=h:1 lenet-").words == Words{"lenet-sync"});
  CHECK(Offered("samovar watch --coordinator h:2 ").words.empty());
  const Completion plot = Offered("samovar plot --coordinator h:1 lenet l");
  CHECK(plot.words == Words{"lenet", "lenet-sync"});
  CHECK(plot.files);
}

TEST_CASE("the user's coordinator is asked for jobs, and offered as an address") {
  setenv("SAMOVAR_COORDINATOR", "h:1", 1);
  CHECK(Complete("samovar logs ", JobsAt).words == Words{"lenet", "lenet-sync"});
  CHECK(Complete("samovar logs lenet ", JobsAt).words == Words{"h:1"});
  CHECK(Complete("samovar-worker --coordinator ", JobsAt).words == Words{"h:1"});
  unsetenv("SAMOVAR_COORDINATOR");
}

TEST_CASE("servers' and workers' flags are completed") {
  CHECK(Offered("samovar-server --coord").words == Words{"--coordinator"});
  CHECK(Offered("/usr/bin/samovar-server --coordinator --log-format ").words == Words{"text", "json"});
  CHECK(Offered("samovar-worker --thr").words == Words{"--threads"});
  CHECK(Offered("samovar-server --state ").files);
}

TEST_CASE("quotes, backslashes and what is unknown do no harm") {
  CHECK(Offered("samovar check 'a b' --test").words == Words{"--test-all"});
  CHECK(Offered("samovar check a\\ b --test").words == Words{"--test-all"});
  CHECK(Offered("samovar check \"a b").files);
  CHECK_FALSE(Has(Offered("samovar frobnicate --x "), "train"));
  CHECK(Offered("").words.empty());
  CHECK(Offered("samovar").words.empty());
}

// What bash offers for the line, by the script, with a program `samovar` that answers as ours does; a line each.
std::string OfferedByBash(const std::string& line, const std::string& words) {
  const TempDir dir;
  std::ofstream(dir.File("complete.sh")) << CompletionScript("bash");
  std::ofstream(dir.File("answer")) << CompletionText(Offered(line));
  WriteScript(dir.File("samovar"), absl::StrCat("[ \"$1 $2 $3 $4\" = 'completion bash --line ", line, "' ] && cat ",
                                                dir.File("answer"), "\n"));
  std::ofstream(dir.File("test.sh")) << "PATH=" << dir.path() << ":$PATH\nsource " << dir.File("complete.sh")
                                     << "\nCOMP_LINE='" << line << "'; COMP_POINT=${#COMP_LINE}; COMP_WORDS=(" << words
                                     << "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n"
                                     << "_samovar; printf '%s\\n' \"${COMPREPLY[@]}\"; complete -p samovar-worker\n";
  std::FILE* bash = popen(absl::StrCat("bash --norc ", dir.File("test.sh"), " 2>&1").c_str(), "r");
  REQUIRE(bash != nullptr);
  char answer[4096] = {};
  const size_t length = std::fread(answer, 1, sizeof answer - 1, bash);
  CHECK(pclose(bash) == 0);
  return {answer, length};
}

TEST_CASE("the script for bash offers what the program says") {
  const std::string end = "complete -o bashdefault -o default -F _samovar samovar-worker\n";
  CHECK(OfferedByBash("samovar tr", "samovar tr") == "train\n" + end);
  CHECK(OfferedByBash("samovar train s --mode ", "samovar train s --mode ''") == "async\nbounded\nsync\n" + end);
  // bash takes the words apart at = and :, and replaces the last part.
  CHECK(OfferedByBash("samovar train s --mode=b", "samovar train s --mode = b") == "bounded\n" + end);
  CHECK(OfferedByBash("samovar-server --log-f", "samovar-server --log-f") == "--log-format\n" + end);
  CHECK(OfferedByBash("samovar watch --coordinator h:1 ", "samovar watch --coordinator h : 1 ''") ==
        "lenet\nlenet-sync\n" + end);
  CHECK(absl::StartsWith(CompletionScript("zsh"), "#compdef samovar samovar-server samovar-worker\n"));
}

}  // namespace
}  // namespace samovar
