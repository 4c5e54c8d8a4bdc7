#include "cli/run/run_directory.h"

#include <filesystem>
#include <fstream>

#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

RunRecord Record() {
  RunRecord record;
  record.solver = "a dir/solver: one.prototxt";
  record.servers = 2;
  record.seed = 18446744073709551615u;
  record.consistency.set_mode(v1::CONSISTENCY_SYNC);
  record.consistency.set_parts(8);
  record.consistency.set_encoding(v1::ENCODING_BFLOAT16);
  record.consistency.set_topk_ratio(0.125);
  record.consistency.set_staleness_scaling(v1::STALENESS_SCALING_NONE);
  record.consistency.set_delay_compensation(0.04f);
  record.consistency.set_push_every(8);
  record.consistency.set_on_numeric_failure(v1::NUMERIC_FAILURE_SKIP);
  record.state_flags = " --stage a,b --level 2";
  record.solver_type = "Adam";
  record.snapshot = 500;
  return record;
}

void WriteFile(const std::string& path) { std::ofstream(path) << "x"; }

}  // namespace

TEST_CASE("a run's record is there for the next run") {
  const TempDir dir;
  const std::string path = dir.File("deep/lenet_state");
  {
    const auto first = RunDirectory::Open(path);
    REQUIRE_OK(first);
    CHECK_FALSE((*first)->record().has_value());
    REQUIRE_OK((*first)->Save(Record()));
  }
  const auto second = RunDirectory::Open(path);
  REQUIRE_OK(second);
  REQUIRE((*second)->record().has_value());
  CHECK((*second)->record()->solver == Record().solver);
  CHECK((*second)->record()->servers == 2);
  CHECK((*second)->record()->seed == Record().seed);
  CHECK((*second)->record()->consistency.SerializeAsString() == Record().consistency.SerializeAsString());
  CHECK((*second)->record()->solver_type == "Adam");
  CHECK((*second)->record()->snapshot == 500);
  CHECK_FALSE((*second)->record()->finished);
}

TEST_CASE("a record of the version before, which has the mode in lines of its own, is read") {
  const auto read = ParseRecord(
      "format: 1\nservers: 2\nseed: 7\nmode: bounded\ndelay: 9\nparts: \nencoding: topk\ntopk_ratio: 0.25\n"
      "staleness_scaling: none\ndelay_compensation: 0.04\npush_every: 3\non_numeric_failure: skip\nstate_flags:\n"
      "solver_type: SGD\nsnapshot: 500\nfinished: no\nsolver: a dir/solver: one.prototxt\n");
  REQUIRE_OK(read);
  v1::Consistency expected;
  expected.set_mode(v1::CONSISTENCY_BOUNDED);
  expected.set_delay(9);
  expected.set_encoding(v1::ENCODING_SPARSE);
  expected.set_topk_ratio(0.25);
  expected.set_staleness_scaling(v1::STALENESS_SCALING_NONE);
  expected.set_delay_compensation(0.04f);
  expected.set_push_every(3);
  expected.set_on_numeric_failure(v1::NUMERIC_FAILURE_SKIP);
  CHECK(read->consistency.SerializeAsString() == expected.SerializeAsString());
  CHECK(read->snapshot == 500);
  CHECK(read->solver == "a dir/solver: one.prototxt");
  // An even earlier one has no mode.
  const auto oldest = ParseRecord("format: 1\nservers: 1\nseed: 7\nsnapshot: 0\n");
  REQUIRE_OK(oldest);
  CHECK(oldest->consistency.mode() == v1::CONSISTENCY_ASYNC);
}

TEST_CASE("the parameters of a run's net are there for the next run, until the directory is cleared") {
  const TempDir dir;
  const std::string path = dir.File("state");
  v1::ParameterLayout net;
  net.add_blobs()->set_layer("ip1");
  net.mutable_blobs(0)->add_shape(7);
  {
    const auto first = RunDirectory::Open(path);
    REQUIRE_OK(first);
    const auto none = (*first)->ReadNet();
    REQUIRE_OK(none);
    CHECK_FALSE(none->has_value());
    REQUIRE_OK((*first)->SaveNet(net));
  }
  const auto second = RunDirectory::Open(path);
  REQUIRE_OK(second);
  const auto read = (*second)->ReadNet();
  REQUIRE_OK(read);
  REQUIRE(read->has_value());
  CHECK((*read)->SerializeAsString() == net.SerializeAsString());
  WriteFile(path + "/net");
  REQUIRE_STATUS((*second)->ReadNet(), absl::StatusCode::kDataLoss,
                 path + "/net is damaged (remove " + path + " to begin anew)");
  REQUIRE_OK((*second)->Clear());
  CHECK_FALSE(fs::exists(path + "/net"));
}

TEST_CASE("a second run in the same directory is refused while the first goes on") {
  const TempDir dir;
  auto first = RunDirectory::Open(dir.File("state"));
  REQUIRE_OK(first);
  REQUIRE_STATUS(RunDirectory::Open(dir.File("state")), absl::StatusCode::kFailedPrecondition,
                 "another run (pid " + std::to_string(getpid()) + " on ");
  REQUIRE_STATUS(RunDirectory::Open(dir.File("state")), absl::StatusCode::kFailedPrecondition,
                 ") is using " + dir.File("state"));
  first->reset();
  REQUIRE_OK(RunDirectory::Open(dir.File("state")));
}

TEST_CASE("a directory with files of somebody else is refused, and nothing is put there") {
  const TempDir dir;
  WriteFile(dir.File("thesis.tex"));
  REQUIRE_STATUS(RunDirectory::Open(dir.path()), absl::StatusCode::kInvalidArgument, "thesis.tex");
  CHECK(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()) == 1);
}

TEST_CASE("a file in the place of the directory is an error that names it") {
  const TempDir dir;
  WriteFile(dir.File("state"));
  CHECK_FALSE(RunDirectory::Open(dir.File("state")).ok());
}

TEST_CASE("clearing removes snapshots, logs and record, and keeps the lock") {
  const TempDir dir;
  const std::string path = dir.File("state");
  const auto directory = RunDirectory::Open(path);
  REQUIRE_OK(directory);
  REQUIRE_OK((*directory)->Save(Record()));
  REQUIRE_OK((*directory)->MakeLogs());
  fs::create_directories(RunDirectory::ServerDir(path, 1) + "/snapshots");
  WriteFile(RunDirectory::LogPath(path, "server-1"));
  REQUIRE_OK((*directory)->Clear());
  CHECK_FALSE((*directory)->record().has_value());
  CHECK_FALSE(fs::exists(RunDirectory::ServerDir(path, 1)));
  CHECK_FALSE(fs::exists(path + "/logs"));
  CHECK_FALSE(RunDirectory::Open(path).ok());
}

TEST_CASE("a damaged record is refused by name") {
  const TempDir dir;
  for (const char* text : {"", "garbage", "format: 3\n", "format: 1\nservers: many\n",
                           "format: 1\nservers: 2\nseed: -1\n", "format: 1\nservers: 2\nseed: 1\n",
                           "format: 2\nservers: 2\nseed: 1\nsnapshot: 0\nconsistency: {\"mode\":\"LATE\"}\n"}) {
    INFO(text);
    CHECK(absl::IsDataLoss(ParseRecord(text).status()));
    std::ofstream(dir.File("run")) << text;
    REQUIRE_STATUS(RunDirectory::Open(dir.path()), absl::StatusCode::kDataLoss, dir.File("run") + " is damaged");
  }
}

TEST_CASE("a fresh run begins where there was none, or a finished one, or one without snapshots") {
  CHECK(*ChooseStart(std::nullopt, 2, false, false) == RunStart::kFresh);
  RunRecord record = Record();
  record.finished = true;
  CHECK(*ChooseStart(record, 2, false, false) == RunStart::kFresh);
  record.finished = false;
  record.snapshot = 0;
  CHECK(*ChooseStart(record, 2, false, false) == RunStart::kFresh);
}

TEST_CASE("an unfinished run with snapshots is continued or given up, but not without being asked") {
  REQUIRE_STATUS(ChooseStart(Record(), 2, false, false), absl::StatusCode::kFailedPrecondition,
                 "did not finish; its last snapshot is of iteration 500. Continue it with --resume, or begin anew");
  CHECK(*ChooseStart(Record(), 2, true, false) == RunStart::kResume);
  CHECK(*ChooseStart(Record(), 2, false, true) == RunStart::kFresh);
}

TEST_CASE("a run is resumed with its own number of servers only, and from a snapshot only") {
  REQUIRE_STATUS(ChooseStart(Record(), 3, true, false), absl::StatusCode::kFailedPrecondition, "--servers 2");
  REQUIRE_STATUS(ChooseStart(std::nullopt, 2, true, false), absl::StatusCode::kFailedPrecondition,
                 "start without --resume");
  RunRecord record = Record();
  record.snapshot = 0;
  REQUIRE_STATUS(ChooseStart(record, 2, true, false), absl::StatusCode::kFailedPrecondition,
                 "the earlier run wrote none");
}

TEST_CASE("a finished run may be resumed, for a larger max_iter") {
  RunRecord record = Record();
  record.finished = true;
  CHECK(*ChooseStart(record, 2, true, false) == RunStart::kResume);
}

}  // namespace samovar
