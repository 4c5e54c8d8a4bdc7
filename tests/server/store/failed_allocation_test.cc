// Memory that is refused at any one moment.
#include <cstdint>
#include <functional>
#include <memory>

#include "absl/synchronization/notification.h"
#include "common/base/exceptions.h"
#include "common/base/status_macros.h"
#include "server/store/chunk_store.h"
#include "tests/server/store/exchange_call.h"
#include "tests/server/store/refused_memory.h"
#include "tests/server/store/test_job.h"
#include "tests/support/consistency.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

// Weights, and momentum.
constexpr uint64_t kJobBytes = 2 * kElements * sizeof(float);

class Fixture {
 public:
  Fixture() {
    auto opened = SnapshotStore::Open(dir_.path());
    REQUIRE_OK(opened);
    snapshots_ = *std::move(opened);
    ChunkStore::Options options;
    options.apply_threads = 2;
    // A job, its parts, and a copy of it; nothing that is left behind.
    options.max_parameter_bytes = 4 * kJobBytes;
    store_ = std::make_unique<ChunkStore>(options, snapshots_.get(), &counts_);
  }

  // Calls it with the first allocation refused, then with the second, until there are no more. `after` sees what came
  // of each.
  static void FailEach(const std::function<absl::Status()>& call,
                       const std::function<void(const absl::Status&)>& after) {
    for (int64_t number = 0;; ++number) {
      until_refusal = number;
      const absl::Status status = CatchExceptions(call);
      const bool refused = until_refusal.exchange(-1) < 0;
      INFO("allocation " << number << ": " << status);
      // One that nobody needed, or that others made.
      if (!status.ok()) CHECK(status.code() == absl::StatusCode::kResourceExhausted);
      after(status);
      if (!refused) {
        REQUIRE_OK(status);
        return;
      }
    }
  }

  absl::Status Open(const v1::OpenJobRequest& request = MakeJob()) {
    v1::OpenJobResponse response;
    return store_->OpenJob(request, &response);
  }
  absl::Status Close() {
    v1::CloseJobRequest request;
    request.set_job_id("job");
    request.set_epoch(1);
    return store_->CloseJob(request);
  }
  template <typename Request>
  static Request Of(uint64_t iteration) {
    Request request;
    request.set_job_id("job");
    request.set_epoch(1);
    request.set_iteration(iteration);
    return request;
  }
  // The answer to the call.
  absl::Status Exchange(const std::shared_ptr<ExchangeCall>& call) {
    absl::Notification answered;
    store_->Exchange(call, [&answered](const std::shared_ptr<ExchangeCall>&) { answered.Notify(); });
    // A request that is never answered would hold its stream for ever.
    REQUIRE(answered.WaitForNotificationWithTimeout(absl::Seconds(60)));
    return absl::Status(static_cast<absl::StatusCode>(call->response.code()), call->response.message());
  }
  // Pushes an iteration, or one part of it, until it is acknowledged, with one allocation refused at a time.
  void PushInSpite(uint64_t iteration, uint32_t part) {
    v1::ExchangeRequest push = MakePush(iteration, 1);
    push.set_part(part);
    const auto make = [&] { return MakeCall(push); };
    for (int64_t number = 0; number < 60; ++number) {
      const std::shared_ptr<ExchangeCall> call = make();
      until_refusal = number;
      const absl::Status status = CatchExceptions([&] { return Exchange(call); });
      until_refusal = -1;
      INFO("allocation " << number << " of iteration " << iteration << ": " << status);
      if (!status.ok()) CHECK(status.code() == absl::StatusCode::kResourceExhausted);
    }
    REQUIRE_OK(Exchange(make()));
  }
  float FirstWeight() {
    const std::shared_ptr<ExchangeCall> call = MakeCall(MakePull());
    REQUIRE_OK(Exchange(call));
    return FloatsIn(ResponseOf(*call).weights(0))[0];
  }

 protected:
  TempDir dir_;
  std::unique_ptr<SnapshotStore> snapshots_;
  Metrics metrics_;
  StoreMetrics counts_{&metrics_};
  std::unique_ptr<ChunkStore> store_;
};

TEST_CASE_METHOD(Fixture,
                 "wherever memory is refused while a job is opened, its name is free and nothing of it is left") {
  FailEach([this] { return Open(); },
           [this](const absl::Status&) {
             REQUIRE_OK(Open());
             REQUIRE_OK(Close());
           });
}

TEST_CASE_METHOD(
    Fixture, "wherever memory is refused while a job is frozen or written, it is frozen and written the next time") {
  REQUIRE_OK(Open());
  FailEach(
      [this] {
        SAMOVAR_RETURN_IF_ERROR(store_->Freeze(Of<v1::FreezeRequest>(7)));
        v1::PersistResponse response;
        return store_->Persist(Of<v1::PersistRequest>(7), &response);
      },
      [this](const absl::Status&) {
        REQUIRE_OK(store_->Freeze(Of<v1::FreezeRequest>(7)));
        v1::PersistResponse response;
        REQUIRE_OK(store_->Persist(Of<v1::PersistRequest>(7), &response));
        REQUIRE_OK(store_->Thaw(Of<v1::ThawRequest>(7)));
      });
}

TEST_CASE_METHOD(Fixture, "wherever memory is refused while gradients are applied, each is applied once") {
  v1::OpenJobRequest job = MakeJob();
  uint32_t parts = 1;
  SECTION("out of order") {}
  SECTION("in parts") {
    parts = 2;
    *job.mutable_consistency() = SyncIn(2);
  }
  REQUIRE_OK(Open(job));
  const std::vector<uint64_t> order =
      parts == 1 ? std::vector<uint64_t>{2, 0, 4, 1, 3} : std::vector<uint64_t>{0, 1, 2, 3, 4};
  for (const uint64_t iteration : order) {
    for (uint32_t part = 0; part < parts; ++part) PushInSpite(iteration, part);
  }
  CHECK(FirstWeight() == 0.5f - 5 * kRate);
  v1::GetLedgersRequest request;
  request.set_job_id("job");
  v1::GetLedgersResponse ledgers;
  REQUIRE_OK(store_->GetLedgers(request, &ledgers));
  for (const v1::ChunkLedger& chunk : ledgers.ledgers()) CHECK(chunk.ledger().watermark() == 5);
}

}  // namespace
}  // namespace samovar
