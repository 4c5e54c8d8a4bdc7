// Epochs outlive the server's process.
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
    client.AskOk(push);
    REQUIRE_STATUS(client.Open(MakeJobIn(6)), absl::StatusCode::kFailedPrecondition, "is older than");
  }
  CHECK(NotedIn(directory) == 5);
}

}  // namespace
}  // namespace samovar
