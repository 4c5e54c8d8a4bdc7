// Openings: a push from before servers went back is told by the opening that it names.
#include "common/rpc/deadlines.h"
#include "common/rpc/dialer.h"
#include "tests/server/store/test_server.h"
#include "tests/support/consistency.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

constexpr auto kRefused = absl::StatusCode::kFailedPrecondition;

v1::OpenJobRequest MakeJobAs(uint64_t opening) {
  v1::OpenJobRequest job = MakeJob();
  job.set_opening(opening);
  return job;
}

template <typename Request>
Request OfOpening(uint64_t opening, Request request) {
  request.set_opening(opening);
  return request;
}

struct Fixture {
  uint64_t Watermark() {
    auto ledgers = client.Ledgers();
    REQUIRE_OK(ledgers);
    return ledgers->ledgers(0).ledger().watermark();
  }

  TempDir directory;
  TestServer server{directory.path()};
  TestClient client{server};
};

TEST_CASE_METHOD(Fixture, "a push of another opening is refused, lower or higher, and a pull is not asked") {
  REQUIRE_OK(client.Open(MakeJobAs(5)));
  REQUIRE_STATUS(client.AskForError(OfOpening(4, MakePush(0, 1))), kRefused,
                 "opening 4 of job \"job\", which is open here as 5");
  REQUIRE_STATUS(client.AskForError(OfOpening(6, MakePush(0, 1))), kRefused,
                 "opening 6 of job \"job\", which is open here as 5");
  CHECK(Watermark() == 0);
  client.AskOk(OfOpening(4, MakePull()));
  client.AskOk(OfOpening(5, MakePush(0, 1)));
  CHECK(Watermark() == 1);
  // Not even an iteration that the ledger holds already: the worker must learn that it has no lease any more.
  REQUIRE_STATUS(client.AskForError(OfOpening(4, MakePush(0, 1))), kRefused, "opening 4");
}

TEST_CASE_METHOD(Fixture, "a skip of another opening is refused") {
  REQUIRE_OK(client.Open(MakeJobAs(5)));
  REQUIRE_STATUS(client.Skip(0, 0, 4), kRefused, "opening 4");
  CHECK(Watermark() == 0);
  REQUIRE_OK(client.Skip(0, 0, 5));
  CHECK(Watermark() == 1);
}

TEST_CASE_METHOD(Fixture, "the norm of a gradient of another opening is refused") {
  v1::OpenJobRequest job = MakeJobAs(5);
  *job.mutable_consistency() = SyncIn(2);
  job.mutable_solver()->set_clip_gradients(50);
  REQUIRE_OK(client.Open(job));
  for (const uint32_t part : {0, 1}) {
    v1::ExchangeRequest push = OfOpening(5, MakePush(0, 1));
    push.set_part(part);
    client.AskOk(push);
  }
  v1::ExchangeRequest apply = MakeWaitingPull(1);
  apply.set_epoch(1);
  apply.set_apply(true);
  apply.set_norm(100);
  REQUIRE_STATUS(client.AskForError(OfOpening(4, apply)), kRefused, "opening 4");
  CHECK(Watermark() == 0);
  client.AskOk(OfOpening(5, apply));
  CHECK(Watermark() == 1);
}

// A coordinator's call about opening 4 of job "job", at iteration 0.
template <typename Request, typename Response>
absl::Status Late(const TestServer& server,
                  grpc::Status (v1::ParameterService::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                  Request request, uint64_t opening = 4) {
  const auto stub = v1::ParameterService::NewStub(Dialer(RpcOptions()).Dial(server.address()));
  grpc::ClientContext context;
  SetDeadline(&context, absl::Seconds(30));
  context.set_wait_for_ready(true);
  request.set_job_id("job");
  request.set_epoch(1);
  request.set_opening(opening);
  Response response;
  return FromGrpcStatus((*stub.*method)(&context, request, &response));
}

TEST_CASE_METHOD(Fixture, "a coordinator's call that comes late does nothing to what was opened since") {
  using Stub = v1::ParameterService::Stub;
  REQUIRE_OK(client.Open(MakeJobAs(5)));
  REQUIRE_STATUS(Late(server, &Stub::Freeze, v1::FreezeRequest()), kRefused,
                 "opening 4 of job \"job\", which is open here as 5");
  CHECK(client.Persist(0).status().code() == absl::StatusCode::kNotFound);
  REQUIRE_OK(Late(server, &Stub::Freeze, v1::FreezeRequest(), 5));
  REQUIRE_STATUS(Late(server, &Stub::Persist, v1::PersistRequest()), kRefused, "opening 4");
  CHECK(client.Snapshots()->snapshots().empty());
  v1::ExportRequest to;
  to.set_directory(directory.File("exported"));
  REQUIRE_STATUS(Late(server, &Stub::Export, to), kRefused, "opening 4");
  REQUIRE_STATUS(Late(server, &Stub::Thaw, v1::ThawRequest()), kRefused, "opening 4");
  REQUIRE_OK(Late(server, &Stub::Persist, v1::PersistRequest(), 5));
  v1::RetainSnapshotsRequest others;
  others.add_keep()->set_run(7);
  REQUIRE_STATUS(Late(server, &Stub::RetainSnapshots, others), kRefused, "opening 4");
  CHECK(client.Snapshots()->snapshots_size() == 1);
  REQUIRE_OK(Late(server, &Stub::RetainSnapshots, others, 5));
  CHECK(client.Snapshots()->snapshots().empty());
}

TEST_CASE_METHOD(Fixture, "where one side names no opening a push is taken") {
  REQUIRE_OK(client.Open(MakeJobAs(5)));
  client.AskOk(OfOpening(0, MakePush(0, 1)));
  REQUIRE_OK(client.Close());
  REQUIRE_OK(client.Open(MakeJobAs(0)));
  client.AskOk(OfOpening(4, MakePush(0, 1)));
  CHECK(Watermark() == 1);
}

TEST_CASE_METHOD(Fixture, "of an open job a higher opening replaces the lower one, and a lower one is refused") {
  REQUIRE_OK(client.Open(MakeJobAs(5)));
  client.AskOk(OfOpening(5, MakePush(0, 1)));
  REQUIRE_OK(client.Open(MakeJobAs(5)));
  REQUIRE_OK(client.Open(MakeJobAs(7)));
  // The former state is there.
  CHECK(Watermark() == 1);
  REQUIRE_STATUS(client.AskForError(OfOpening(5, MakePush(1, 1))), kRefused, "opening 5");
  REQUIRE_STATUS(client.Open(MakeJobAs(6)), kRefused, "open here as opening 7, which is newer than 6");
  client.AskOk(OfOpening(7, MakePush(1, 1)));
  CHECK(Watermark() == 2);
}

}  // namespace
}  // namespace samovar
