// The command lines and configuration files of samovar-server and samovar-worker.
#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/cli/parsed_line.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

TEST_CASE("a server is either coordinator or joins one") {
  const auto coordinator = Run(ParseServer,
                               "samovar-server --coordinator --state d --listen 127.0.0.1:7100 --apply-threads 8 "
                               "--parameter-memory 512 --ready-fd 3 "
                               "--die-with-parent --allow-plaintext --advertise hn0:7100");
  REQUIRE_FALSE(coordinator.parsed.exit_code.has_value());
  CHECK(coordinator.parsed.flags.coordinator);
  CHECK(coordinator.parsed.flags.state == "d");
  CHECK(coordinator.parsed.flags.listen == "127.0.0.1:7100");
  CHECK(coordinator.parsed.flags.advertise == "hn0:7100");
  CHECK(coordinator.parsed.flags.apply_threads == 8);
  CHECK(coordinator.parsed.flags.parameter_memory == 512);
  CHECK(coordinator.parsed.flags.ready_fd == 3);
  CHECK(coordinator.parsed.flags.die_with_parent);
  CHECK(coordinator.parsed.flags.allow_plaintext);

  const auto member = Run(ParseServer, "samovar-server --join 127.0.0.1:7100 --state d");
  REQUIRE_FALSE(member.parsed.exit_code.has_value());
  CHECK_FALSE(member.parsed.flags.coordinator);
  CHECK(member.parsed.flags.join == "127.0.0.1:7100");
  CHECK(member.parsed.flags.listen == "127.0.0.1:0");
  CHECK(member.parsed.flags.advertise.empty());
  CHECK(member.parsed.flags.ready_fd == -1);

  CheckRefused(Run(ParseServer, "samovar-server --state d"), "either --coordinator or --join HOST:PORT must be given");
  CheckRefused(Run(ParseServer, "samovar-server --coordinator --join h:1 --state d"), "exclude each other");
  CheckRefused(Run(ParseServer, "samovar-server --join h:1 --home /h --state d"), "--home is the coordinator's");
  CheckRefused(Run(ParseServer, "samovar-server --coordinator --home s3://b/h --state d"), "is not offered");
  CHECK(Run(ParseServer, "samovar-server --join /shared/home --state d").parsed.flags.join == "/shared/home");
  CHECK(absl::EndsWith(Run(ParseServer, "samovar-server --coordinator --home ./h --state d").parsed.flags.home, "/h"));
  CheckRefused(Run(ParseServer, "samovar-server --join h:1 --snapshots /s --state d"),
               "--snapshots is the coordinator's");
  CHECK(Run(ParseServer, "samovar-server --coordinator --snapshots /s --state d").parsed.flags.snapshots == "/s");
  CheckRefused(Run(ParseServer, "samovar-server --coordinator"), "--state is missing");
  CheckRefused(Run(ParseServer, "samovar-server --join h:1 --state d --advertise h:0"), "there is no port 0");
  CheckRefused(Run(ParseServer, "samovar-server --cordinator --state d"), R"(did you mean "--coordinator"?)");
  CheckRefused(Run(ParseServer, "samovar-server --coordinator --state d --ready-fd -2"), "--ready-fd");
}

TEST_CASE("a worker needs its coordinator") {
  const auto worker =
      Run(ParseWorker, "samovar-worker --coordinator h:1 --name w --threads 4 --channels 2 --ready-fd 5");
  REQUIRE_FALSE(worker.parsed.exit_code.has_value());
  CHECK(worker.parsed.flags.coordinator == "h:1");
  CHECK(worker.parsed.flags.name == "w");
  CHECK(worker.parsed.flags.threads == 4);
  CHECK(worker.parsed.flags.channels == 2);
  CHECK(worker.parsed.flags.ready_fd == 5);
  CHECK_FALSE(worker.parsed.flags.die_with_parent);
  CHECK(worker.parsed.flags.log_format == "text");
  CHECK(Run(ParseWorker, "samovar-worker --coordinator h:1 --log-format json").parsed.flags.log_format == "json");
  CheckRefused(Run(ParseWorker, "samovar-worker --coordinator h:1 --log-format xml"), "is none of text, json");
  CheckRefused(Run(ParseWorker, "samovar-worker"), "samovar-worker: error: --coordinator is missing");
  CheckRefused(Run(ParseWorker, "samovar-worker --coordinator h:70000"), "there is no port 70000");
  const auto cached =
      Run(ParseWorker, "samovar-worker --coordinator h:1 --cache d --cache-bytes 20000000000").parsed.flags;
  CHECK(cached.cache == "d");
  CHECK(cached.cache_bytes == 20'000'000'000);
  CheckRefused(Run(ParseWorker, "samovar-worker --coordinator h:1 --cache d"),
               "--cache DIR and --cache-bytes N go together");
  CheckRefused(Run(ParseWorker, "samovar-worker --coordinator h:1 --cache-bytes 5"),
               "--cache DIR and --cache-bytes N go together");
}

// A configuration file for one test.
class ConfigFile {
 public:
  explicit ConfigFile(const std::string& text) : path_(dir_.File("server.toml")) { std::ofstream(path_) << text; }
  const std::string& path() const { return path_; }

 private:
  const TempDir dir_;
  const std::string path_;
};

Outcome<ServerFlags> Configured(const ConfigFile& file, const std::string& more = "") {
  return Run(ParseServer, absl::StrCat("samovar-server --config ", file.path(), " ", more));
}

// The text is refused, with the file, the line and these words.
void CheckConfigRefused(const std::string& text, int line, const std::string& words) {
  INFO(text);
  const ConfigFile file(text);
  CheckRefused(Configured(file), absl::StrCat("samovar-server: error: ", file.path(), ":", line, ": ", words));
}

TEST_CASE("a configuration file says what flags say") {
  const ConfigFile file(
      "# A server.\n"
      "listen = \"127.0.0.1:7401\"   # here\n"
      "\n"
      "  join = '127.0.0.1:7400'\n"
      "state = \"/var/lib/sam ovar\"\r\n"
      "apply-threads = 8\n"
      "allow-plaintext = true\n"
      "log-level = \"debug\"\n"
      "log-format = \"json\"");
  const auto outcome = Configured(file);
  INFO(outcome.err);
  REQUIRE_FALSE(outcome.parsed.exit_code.has_value());
  const ServerFlags& flags = outcome.parsed.flags;
  CHECK(flags.listen == "127.0.0.1:7401");
  CHECK(flags.join == "127.0.0.1:7400");
  CHECK_FALSE(flags.coordinator);
  CHECK(flags.state == "/var/lib/sam ovar");
  CHECK(flags.apply_threads == 8);
  CHECK(flags.allow_plaintext);
  CHECK(flags.log_level == "debug");
  CHECK(flags.log_format == "json");

  const ConfigFile worker("coordinator = \"h:7400\"\nthreads = 4\nchannels = 3\nname = \"rack 1, left\"\n");
  const auto configured = Run(ParseWorker, absl::StrCat("samovar-worker --config ", worker.path()));
  REQUIRE_FALSE(configured.parsed.exit_code.has_value());
  CHECK(configured.parsed.flags.coordinator == "h:7400");
  CHECK(configured.parsed.flags.threads == 4);
  CHECK(configured.parsed.flags.channels == 3);
  CHECK(configured.parsed.flags.name == "rack 1, left");
}

TEST_CASE("flags win over the configuration file") {
  const ConfigFile file("coordinator = true\nstate = \"a\"\napply-threads = 8\nallow-plaintext = true\n");
  const auto outcome = Configured(file, "--state b --apply-threads 3 --allow-plaintext=false");
  REQUIRE_FALSE(outcome.parsed.exit_code.has_value());
  CHECK(outcome.parsed.flags.coordinator);
  CHECK(outcome.parsed.flags.state == "b");
  CHECK(outcome.parsed.flags.apply_threads == 3);
  CHECK_FALSE(outcome.parsed.flags.allow_plaintext);
}

TEST_CASE("a mistake in a configuration file is named with its line") {
  CheckConfigRefused("state = \"a\"\nlisen = \"127.0.0.1:1\"\n", 2, R"(unknown key "lisen"; did you mean "listen"?)");
  CheckConfigRefused("apply_threads = 2\n", 1, R"(unknown key "apply_threads"; did you mean "apply-threads"?)");
  CheckConfigRefused("\napply-threads = 0\n", 2, R"(apply-threads: "0" is not a whole number from 1 to 256)");
  CheckConfigRefused("listen = \"nowhere\"\n", 1, R"(listen: "nowhere" is not HOST:PORT)");
  CheckConfigRefused("log-level = \"inof\"\n", 1, R"(log-level: "inof" is none of trace, debug)");
  CheckConfigRefused("coordinator = yes\n", 1, R"(coordinator: is true or false, not "yes")");
  CheckConfigRefused("coordinator\n", 1, R"("coordinator" is not KEY = VALUE)");
  CheckConfigRefused("state = [\"a\", \"b\"]\n", 1, "state: takes one value");
  CheckConfigRefused("state = a b\n", 1, "state: takes one value");
  CheckConfigRefused("state = \"a#b\"\n", 1, "state: has a quote too many or too few");
  CheckConfigRefused("state = \"a\"\nstate = \"b\"\n", 2, "state comes twice");
  CheckConfigRefused("[server]\nstate = \"a\"\n", 1, "[server]: there are no sections here");
  CheckConfigRefused("server.state = \"a\"\n", 1, R"(unknown key "server.state")");
  for (const char* const own : {"config", "help", "version", "ready-fd", "die-with-parent"}) {
    CheckConfigRefused(absl::StrCat(own, " = 1\n"), 1, absl::StrCat(own, " is for the command line only"));
  }
}

TEST_CASE("what neither flags nor the configuration file say is missing") {
  CheckRefused(Configured(ConfigFile("coordinator = true\n")), "--state is missing");
  CheckRefused(Configured(ConfigFile("state = \"a\"\n")), "either --coordinator or --join HOST:PORT must be given");
}

TEST_CASE("a configuration file that cannot be read is named") {
  CheckRefused(Run(ParseServer, "samovar-server --config /nonexistent/server.toml"),
               "/nonexistent/server.toml: No such file");
  CheckRefused(Run(ParseServer, "samovar-server --config /"), "/ is a directory");
}

TEST_CASE("the help of the services shows a configuration file") {
  CHECK(absl::StrContains(Run(ParseServer, "samovar-server --help").out, "apply-threads = 4"));
  CHECK(absl::StrContains(Run(ParseWorker, "samovar-worker --help").out, "threads = 4"));
}

}  // namespace
}  // namespace samovar
