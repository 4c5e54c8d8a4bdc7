// The coordinator that a user need not type.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/cli/parsed_line.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

// An environment of its own while this lives: no variable, and a directory of configurations.
class UserEnvironment {
 public:
  UserEnvironment() {
    unsetenv("SAMOVAR_COORDINATOR");
    setenv("XDG_CONFIG_HOME", dir_.path().c_str(), /*overwrite=*/1);
  }
  ~UserEnvironment() {
    unsetenv("SAMOVAR_COORDINATOR");
    unsetenv("XDG_CONFIG_HOME");
  }

  std::string path() const { return dir_.File("samovar/samovar.toml"); }
  void Write(const std::string& text) const {
    std::filesystem::create_directories(dir_.File("samovar"));
    std::ofstream(path()) << text;
  }

 private:
  const TempDir dir_;
};

StatusOptions Status(const std::string& line) {
  const auto outcome = Cli(line);
  INFO(outcome.err);
  REQUIRE_FALSE(outcome.parsed.exit_code.has_value());
  return std::get<StatusOptions>(outcome.parsed.flags);
}

TEST_CASE("the command line goes before SAMOVAR_COORDINATOR, and that before the user's file") {
  const UserEnvironment user;
  CheckRefused(Cli("samovar status"), "SAMOVAR_COORDINATOR");
  CheckRefused(Cli("samovar status"), user.path());
  user.Write("# mine\ncoordinator = \"file:7100\"\n");
  CHECK(Status("samovar status").coordinator == "file:7100");
  CHECK(Status("samovar status").coordinator_source == user.path());
  setenv("SAMOVAR_COORDINATOR", "variable:7100", 1);
  CHECK(Status("samovar status").coordinator == "variable:7100");
  CHECK(Status("samovar status").coordinator_source == "SAMOVAR_COORDINATOR");
  for (const char* line : {"samovar status word:7100", "samovar status --coordinator word:7100"}) {
    CHECK(Status(line).coordinator == "word:7100");
    CHECK(Status(line).coordinator_source.empty());
  }
  // An empty variable is none.
  setenv("SAMOVAR_COORDINATOR", "", 1);
  CHECK(Status("samovar status").coordinator == "file:7100");
}

TEST_CASE("each command of a cluster takes the user's coordinator") {
  const UserEnvironment user;
  setenv("SAMOVAR_COORDINATOR", "h:1", 1);
  CHECK(std::get<WatchOptions>(Cli("samovar watch lenet").parsed.flags).coordinator == "h:1");
  CHECK(std::get<WatchOptions>(Cli("samovar watch lenet").parsed.flags).job == "lenet");
  CHECK(std::get<SubmitOptions>(Cli("samovar submit --solver s").parsed.flags).coordinator == "h:1");
  CHECK(std::get<JobsOptions>(Cli("samovar jobs").parsed.flags).coordinator == "h:1");
  CHECK(std::get<HistoryOptions>(Cli("samovar history lenet").parsed.flags).coordinator == "h:1");
  CHECK(std::get<ModelExportOptions>(Cli("samovar model export lenet --output f").parsed.flags).coordinator == "h:1");
  const auto plot = std::get<PlotOptions>(Cli("samovar plot lenet -o x.svg").parsed.flags);
  CHECK(plot.coordinator.empty());
  CHECK(plot.user_coordinator == "h:1");
  CHECK(plot.user_coordinator_source == "SAMOVAR_COORDINATOR");
  // Those that ask nobody need none.
  CHECK_FALSE(Cli("samovar check s").parsed.exit_code.has_value());
}

TEST_CASE("a wrong coordinator of the user's is named with where it stands") {
  const UserEnvironment user;
  setenv("SAMOVAR_COORDINATOR", "nowhere", 1);
  CheckRefused(Cli("samovar status"), R"(SAMOVAR_COORDINATOR: "nowhere" is not HOST:PORT)");
  unsetenv("SAMOVAR_COORDINATOR");
  user.Write("coordinator = \"h:0\"\n");
  CheckRefused(Cli("samovar jobs"), absl::StrCat(user.path(), ": \"h:0\": there is no port 0"));
  user.Write("\ncordinator = \"h:1\"\n");
  CheckRefused(Cli("samovar jobs"),
               absl::StrCat(user.path(), ":2: unknown key \"cordinator\"; did you mean \"coordinator\"?"));
  user.Write(std::string("\x01\xff") + std::string(5000, 'x'));
  const auto garbage = Cli("samovar jobs");
  CheckRefused(garbage, absl::StrCat(user.path(), R"(:1: "\x01\xffxxx)"));
  CHECK(garbage.err.size() < 1000);
  // It is read by commands that need it.
  CHECK(Status("samovar status h:1").coordinator == "h:1");
}

}  // namespace
}  // namespace samovar
