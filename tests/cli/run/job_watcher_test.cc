#include "cli/run/job_watcher.h"

#include <grpcpp/support/client_interceptor.h>

#include <atomic>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/base/clock.h"
#include "common/rpc/listener.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(60);

// There is no memory for so many calls.
struct Shortage {
  explicit Shortage(int calls) : left(calls) {}
  std::atomic<int> left;
  absl::Notification met;
};

class NoMemory final : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  explicit NoMemory(Shortage* shortage) : shortage_(*shortage) {}
  grpc::experimental::Interceptor* CreateClientInterceptor(grpc::experimental::ClientRpcInfo*) override {
    if (shortage_.left.load() <= 0) return nullptr;
    if (!shortage_.met.HasBeenNotified()) shortage_.met.Notify();
    --shortage_.left;
    throw std::bad_alloc();
  }

 private:
  Shortage& shortage_;
};

// Tells each watcher that its job has succeeded.
class EndedJob final : public v1::JobService::Service {
 public:
  EndedJob() {
    Listener listener({.address = "127.0.0.1:0"});
    listener.builder()->RegisterService(this);
    auto started = listener.Start();
    REQUIRE_OK(started);
    server_ = *std::move(started);
  }
  ~EndedJob() override { server_->Shutdown(absl::ToChronoTime(absl::Now())); }

  // A channel to it for whose calls there is no memory at first.
  std::shared_ptr<grpc::Channel> ChannelWith(Shortage* shortage) {
    std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>> interceptors;
    interceptors.push_back(std::make_unique<NoMemory>(shortage));
    return server_->experimental().InProcessChannelWithInterceptors(grpc::ChannelArguments(), std::move(interceptors));
  }

  grpc::Status Watch(grpc::ServerContext*, const v1::WatchRequest* request,
                     grpc::ServerWriter<v1::JobStatus>* writer) override {
    v1::JobStatus status;
    status.set_job_id(request->job_id());
    status.set_state(v1::JOB_STATE_SUCCEEDED);
    writer->Write(status);
    return grpc::Status::OK;
  }

 private:
  std::unique_ptr<grpc::Server> server_;
};

TEST_CASE("a watch whose calls find no memory says so, and calls again until one is made") {
  EndedJob job;
  Shortage shortage(2);
  Waker waker;
  JobWatcher watcher(std::make_shared<CoordinatorChannel>(job.ChannelWith(&shortage)), "lenet", absl::Milliseconds(50),
                     &waker);
  const absl::Time deadline = SteadyNow() + kPatience;
  bool failed = false;
  std::optional<v1::JobStatus> status;
  while (!status.has_value() && SteadyNow() < deadline) {
    waker.Wait(deadline);
    if (watcher.Failure(absl::ZeroDuration()).error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED) failed = true;
    status = watcher.Take();
  }
  CHECK(failed);
  REQUIRE(status.has_value());
  CHECK(status->job_id() == "lenet");
  CHECK(watcher.Failure(absl::ZeroDuration()).ok());
}

TEST_CASE("a watch that never finds memory for a call ends when it is told to") {
  EndedJob job;
  Shortage shortage(1'000'000);
  Waker waker;
  {
    JobWatcher watcher(std::make_shared<CoordinatorChannel>(job.ChannelWith(&shortage)), "lenet",
                       absl::Milliseconds(50), &waker);
    REQUIRE(shortage.met.WaitForNotificationWithTimeout(kPatience));
    CHECK_FALSE(watcher.Take().has_value());
    const absl::Duration silence = watcher.Silence();
    CHECK(silence > absl::ZeroDuration());
    CHECK(watcher.Silence() > silence);
  }
  CHECK(shortage.left < 1'000'000);
}

}  // namespace
}  // namespace samovar
