// The services' configurations that `samovar doctor` looks at, as their programs would take them.
#include <fstream>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/match.h"
#include "config/cli_flags.h"
#include "tests/cli/captured_output.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

Parsed<CliFlags> Doctor(const std::vector<const char*>& flags) {
  std::vector<const char*> words = {"samovar", "doctor"};
  words.insert(words.end(), flags.begin(), flags.end());
  return ParseCliFlags(static_cast<int>(words.size()), words.data(), StorageTable());
}

TEST_CASE("doctor takes each service's configuration as the service would") {
  const TempDir dir;
  std::ofstream(dir.File("coordinator.toml"))
      << "coordinator = true\nlisten = \"10.0.0.4:7400\"\nadvertise = \"hn0:7400\"\nstate = \"/s/c\"\nhome = \"/h\"\n"
         "snapshots = \"/h/snapshots\"\nparameter-memory = 512\n";
  std::ofstream(dir.File("worker.toml")) << "coordinator = \"hn0:7400\"\ncache = \"/c\"\ncache-bytes = 5\n";
  std::ofstream(dir.File("notes.toml")) << "nothing\n";
  const Parsed<CliFlags> parsed = Doctor({"--config", dir.path().c_str(), "--json", "--user", "me"});
  REQUIRE_FALSE(parsed.exit_code.has_value());
  const DoctorOptions& options = std::get<DoctorOptions>(parsed.flags);
  CHECK(options.json);
  CHECK(options.user == "me");
  REQUIRE(options.roles.size() == 2);
  const NodeRole& coordinator = options.roles[0];
  CHECK(coordinator.role == "coordinator");
  CHECK(coordinator.file == dir.File("coordinator.toml"));
  CHECK(coordinator.error.empty());
  CHECK(coordinator.listen == "10.0.0.4:7400");
  CHECK(coordinator.coordinator == "hn0:7400");
  CHECK(coordinator.home == "/h");
  CHECK(coordinator.snapshots == "/h/snapshots");
  CHECK(coordinator.state == "/s/c");
  CHECK(coordinator.parameter_bytes == uint64_t{512} << 20);
  CHECK(options.roles[1].role == "worker");
  CHECK(options.roles[1].coordinator == "hn0:7400");
  CHECK(options.roles[1].cache == "/c");
  CHECK(options.roles[1].listen.empty());
}

TEST_CASE("a configuration that a service refuses is a finding, with the service's words, and no output") {
  const TempDir dir;
  std::ofstream(dir.File("server.toml")) << "join = \"hn0:7400\"\nstaet = \"/s\"\n";
  const CapturedOutput captured;
  const Parsed<CliFlags> parsed = Doctor({"--config", dir.path().c_str()});
  REQUIRE_FALSE(parsed.exit_code.has_value());
  CHECK(captured.err().empty());
  const DoctorOptions& options = std::get<DoctorOptions>(parsed.flags);
  REQUIRE(options.roles.size() == 1);
  CHECK(options.roles[0].error == dir.File("server.toml") + ":2: unknown key \"staet\"; did you mean \"state\"?");
}

TEST_CASE("a directory that was named and has no configuration is refused") {
  const TempDir dir;
  const CapturedOutput captured;
  CHECK(Doctor({"--config", dir.path().c_str()}).exit_code == 2);
  CHECK(absl::StrContains(captured.err(), "there is no coordinator.toml, server.toml or worker.toml in " + dir.path()));
}

TEST_CASE("only a coordinator may be told where all jobs' snapshots go") {
  const TempDir dir;
  std::ofstream(dir.File("server.toml")) << "join = \"h:1\"\nstate = \"/s\"\nsnapshots = \"/e\"\n";
  const DoctorOptions options = std::get<DoctorOptions>(Doctor({"--config", dir.path().c_str()}).flags);
  REQUIRE(options.roles.size() == 1);
  CHECK(absl::StrContains(options.roles[0].error, "--snapshots is the coordinator's: its jobs"));
}

}  // namespace
}  // namespace samovar
