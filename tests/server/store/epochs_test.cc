// Epochs outlive the server's process.
#include "common/model/epochs.h"

#include <string>

#include "server/snapshot/snapshot_store.h"
#include "tests/server/store/test_server.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

v1::OpenJobRequest MakeJobIn(uint64_t epoch) {
  v1::OpenJobRequest job = MakeJob();
  job.set_epoch(epoch);
  return job;
}

uint64_t NotedIn(const TempDir& directory) {
  const auto store = SnapshotStore::Open(directory.path() + "/snapshots");
  REQUIRE_OK(store);
  const auto epoch = (*store)->Epoch();
  REQUIRE_OK(epoch);
  return *epoch;
}

TEST_CASE("a server that is restarted refuses a coordinator that was replaced before") {
  const TempDir directory;
  const auto code = absl::StatusCode::kFailedPrecondition;
  {
    TestServer server(directory.path());
    TestClient client(server);
    REQUIRE_OK(client.Open(MakeJobIn(5)));
    // The new coordinator has something done, whatever it is.
    REQUIRE_OK(client.Close(6));
  }
  TestServer server(directory.path());
  TestClient client(server);
  REQUIRE_STATUS(client.Open(MakeJobIn(5)), code, "epoch 5 is older than 6");
  REQUIRE_STATUS(client.Freeze(0, 5), code, "write 6 into coordinator/epoch");
  REQUIRE_STATUS(client.Close(5), code, "epoch 5 is older than 6");
  REQUIRE_OK(client.Open(MakeJobIn(6)));
  v1::ExchangeRequest push = MakePush(0, 1);
  push.set_epoch(5);
  REQUIRE_STATUS(client.AskForError(push), code, "epoch 5 is older than 6");
}

TEST_CASE("only what a coordinator calls with is noted on the disk") {
  const TempDir directory;
  {
    TestServer server(directory.path());
    TestClient client(server);
    REQUIRE_OK(client.Open(MakeJobIn(5)));
    v1::ExchangeRequest push = MakePush(0, 1);
    push.set_epoch(UINT64_MAX);
    REQUIRE_STATUS(client.AskForError(push), absl::StatusCode::kFailedPrecondition, "is newer than 5");
    push.set_epoch(6);
    REQUIRE_STATUS(client.AskForError(push), absl::StatusCode::kFailedPrecondition, "is newer than 5");
    REQUIRE_OK(client.Open(MakeJobIn(5)));
  }
  CHECK(NotedIn(directory) == 5);
}

TEST_CASE("a call that is refused shuts no coordinator out, whatever epoch it names") {
  const TempDir directory;
  const uint64_t strange =
      GENERATE(uint64_t{6}, kMaxEpochStep + 7, kMaxEpoch, kMaxEpoch + 1, uint64_t{1} << 62, UINT64_MAX);
  {
    TestServer server(directory.path());
    TestClient client(server);
    REQUIRE_OK(client.Open(MakeJobIn(5)));
    v1::OpenJobRequest job = MakeJobIn(strange);
    job.set_seed(99);
    CHECK_FALSE(client.Open(job).ok());
    job.set_job_id("");
    CHECK_FALSE(client.Open(job).ok());
    job.set_job_id("other");
    job.mutable_layout()->set_elements(1);
    CHECK_FALSE(client.Open(job).ok());
    job = MakeJobIn(5);
    job.set_opening(UINT64_MAX);
    REQUIRE_STATUS(client.Open(job), absl::StatusCode::kInvalidArgument, "none of a coordinator in epoch 5");
    CHECK_FALSE(client.Persist(7, strange).ok());
    v1::ExchangeRequest push = MakePush(0, 1);
    push.set_epoch(strange);
    CHECK_FALSE(client.AskForError(push).ok());
    // There is no such job: nothing is to be closed.
    client.Close(strange, 0, "other").IgnoreError();
    if (strange > 6) {
      REQUIRE_STATUS(client.Freeze(0, strange), absl::StatusCode::kInvalidArgument, "no coordinator has come to epoch");
      REQUIRE_STATUS(client.Close(strange), absl::StatusCode::kInvalidArgument, "no coordinator has come to epoch");
    }
    REQUIRE_OK(client.Freeze(0, 5));
  }
  CHECK(NotedIn(directory) == 5);
}

TEST_CASE("an epoch that was noted and is none of a coordinator's is passed over") {
  const TempDir directory;
  {
    const auto store = SnapshotStore::Open(directory.path() + "/snapshots");
    REQUIRE_OK(store);
    REQUIRE_OK((*store)->NoteEpoch(UINT64_MAX));
  }
  {
    TestServer server(directory.path());
    TestClient client(server);
    REQUIRE_OK(client.Open(MakeJobIn(5)));
  }
  CHECK(NotedIn(directory) == 5);
}

TEST_CASE("a call to close a job that comes late does not close what was opened since") {
  const TempDir directory;
  TestServer server(directory.path());
  TestClient client(server);
  v1::OpenJobRequest job = MakeJobIn(5);
  job.set_opening(8);
  REQUIRE_OK(client.Open(job));
  REQUIRE_OK(client.Close(5, 7));
  client.AskOk(MakePull());
  REQUIRE_OK(client.Close(5, 9));
  CHECK(client.AskForError(MakePull()).code() == absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace samovar
