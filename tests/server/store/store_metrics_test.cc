#include "server/store/store_metrics.h"

#include <memory>
#include <string>

#include "tests/server/store/test_server.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

struct Fixture {
  double Pushes(const std::string& outcome) const {
    return server.metrics().Value("samovar_server_pushes_total", {{"outcome", outcome}});
  }
  double Refused(const std::string& reason) const {
    return server.metrics().Value("samovar_server_refused_total", {{"reason", reason}});
  }

  TempDir directory;
  TestServer server{directory.path()};
  TestClient client{server};
};

TEST_CASE_METHOD(Fixture, "pushes are counted chunk by chunk, by what became of them") {
  REQUIRE_OK(client.Open());
  client.AskOk(MakePush(0, 1));
  client.AskOk(MakePush(1, 1));
  CHECK(Pushes("applied") == 2 * kChunks);
  client.AskOk(MakePush(1, 1));
  CHECK(Pushes("duplicate") == kChunks);
  CHECK(Pushes("applied") == 2 * kChunks);
  // An iteration that is none.
  REQUIRE_STATUS(client.AskForError(MakePush(1000, 1)), absl::StatusCode::kInvalidArgument, "max_iter");
  CHECK(Pushes("rejected") == kChunks);
  REQUIRE_OK(client.Skip(2));
  CHECK(Pushes("skipped") == kChunks);
  client.AskOk(MakePull());
  CHECK(server.metrics().Value("samovar_server_pulls_total") == kChunks);
  CHECK(server.metrics().Value("samovar_server_refused_total") == 0);
}

TEST_CASE_METHOD(Fixture, "bytes on streams are those of the messages, either way") {
  REQUIRE_OK(client.Open());
  const double received = server.metrics().Value("samovar_server_received_bytes_total");
  v1::ExchangeRequest push = MakePush(0, 1);
  // As Ask numbers it.
  push.set_sequence(1);
  const auto pushed_bytes = static_cast<double>(push.ByteSizeLong());
  client.AskOk(MakePush(0, 1));
  CHECK(server.metrics().Value("samovar_server_received_bytes_total") - received == pushed_bytes);
  const double sent = server.metrics().Value("samovar_server_sent_bytes_total");
  const v1::ExchangeResponse pulled = client.AskOk(MakePull());
  CHECK(server.metrics().Value("samovar_server_sent_bytes_total") - sent == static_cast<double>(pulled.ByteSizeLong()));
}

TEST_CASE_METHOD(Fixture, "refusals are counted by their reason") {
  v1::OpenJobRequest job = MakeJob();
  job.set_epoch(2);
  job.set_opening(5);
  REQUIRE_OK(client.Open(job));
  SECTION("an older epoch") {
    CHECK_FALSE(client.AskForError(MakePush(0, 1)).ok());
    CHECK(Refused("epoch") == 1);
    CHECK_FALSE(client.Freeze(0, /*epoch=*/1).ok());
    CHECK(Refused("epoch") == 2);
  }
  SECTION("another opening") {
    v1::ExchangeRequest push = MakePush(0, 1);
    push.set_epoch(2);
    push.set_opening(4);
    CHECK_FALSE(client.AskForError(push).ok());
    CHECK(Refused("opening") == 1);
  }
  CHECK(Pushes("applied") == 0);
}

TEST_CASE("what does not fit into the memory is counted as refused") {
  const TempDir directory;
  TestServer server(directory.path(), /*max_parameter_bytes=*/kElements);
  TestClient client(server);
  REQUIRE_STATUS(client.Open().status(), absl::StatusCode::kResourceExhausted, "bytes are needed");
  CHECK(server.metrics().Value("samovar_server_refused_total", {{"reason", "memory"}}) == 1);
}

TEST_CASE("a stream too many is counted as refused") {
  const TempDir directory;
  TestServer server(directory.path(), [](ParameterService::Options* options) { options->max_streams = 1; });
  TestClient first(server);
  REQUIRE_OK(first.Open());
  first.AskOk(MakePull());
  TestClient second(server);
  v1::ExchangeResponse response;
  CHECK_FALSE(second.Receive(&response));
  CHECK(second.Finish().code() == absl::StatusCode::kResourceExhausted);
  CHECK(server.metrics().Value("samovar_server_refused_total", {{"reason", "streams"}}) == 1);
}

TEST_CASE_METHOD(Fixture, "a snapshot is counted when it is written, with its time") {
  REQUIRE_OK(client.Open());
  client.AskOk(MakePush(0, 1));
  REQUIRE_OK(client.Freeze(1));
  CHECK(server.metrics().Value("samovar_server_last_snapshot_timestamp_seconds") == 0);
  REQUIRE_OK(client.Persist(1));
  CHECK(server.metrics().Value("samovar_server_snapshot_seconds_count") == 1);
  CHECK(server.metrics().Value("samovar_server_last_snapshot_timestamp_seconds") > 1.5e9);
  CHECK(server.metrics().Value("samovar_server_failed_snapshots_total") == 0);
}

}  // namespace
}  // namespace samovar
