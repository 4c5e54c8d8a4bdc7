#include "cli/run/cluster_poller.h"

#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "common/rpc/deadlines.h"
#include "common/rpc/status.h"
#include "common/telemetry/guarded_turn.h"
#include "samovar/v1/job.grpc.pb.h"
#include "samovar/v1/status.grpc.pb.h"

namespace samovar {
namespace {

constexpr absl::Duration kDeadline = absl::Seconds(5);
// A curve may have some megabytes.
constexpr absl::Duration kCurveDeadline = absl::Seconds(20);
// It is asked for this often, and not while nothing moves.
constexpr absl::Duration kCurveInterval = absl::Seconds(2);
// The newest events are enough.
constexpr size_t kMaxEvents = 200;

}  // namespace

ClusterPoller::ClusterPoller(std::shared_ptr<CoordinatorChannel> coordinator, Options options, Waker* waker)
    : coordinator_(std::move(coordinator)), options_(std::move(options)), waker_(waker), thread_([this] { Run(); }) {}

ClusterPoller::~ClusterPoller() {
  stopper_.Stop();
  {
    absl::MutexLock lock(&mu_);
    if (call_ != nullptr) call_->TryCancel();
  }
  thread_.join();
}

std::optional<ClusterPoller::News> ClusterPoller::Take() {
  absl::MutexLock lock(&mu_);
  return std::exchange(newest_, std::nullopt);
}

absl::Duration ClusterPoller::Silence() const {
  absl::MutexLock lock(&mu_);
  return SteadyNow() - heard_;
}

grpc::Status ClusterPoller::Failure() const {
  absl::MutexLock lock(&mu_);
  return failure_;
}

template <typename Body>
bool ClusterPoller::Call(absl::Duration deadline, const Body& body) {
  grpc::ClientContext context;
  SetDeadline(&context, deadline);
  {
    absl::MutexLock lock(&mu_);
    if (stopper_.stopped()) return false;
    call_ = &context;
  }
  // Also if something is thrown: the destructor must not find what is gone.
  const absl::Cleanup forget = [&] {
    absl::MutexLock lock(&mu_);
    call_ = nullptr;
  };
  body(&context);
  return true;
}

void ClusterPoller::FetchCurve(const std::shared_ptr<grpc::Channel>& channel, const v1::ClusterStatus& cluster) {
  const auto job = std::find_if(cluster.jobs().begin(), cluster.jobs().end(),
                                [&](const v1::JobStatus& status) { return status.job_id() == options_.job_id; });
  const bool same = job == cluster.jobs().end() || job->completed_iterations() == curve_of_;
  if (same || SteadyNow() - curve_at_ < kCurveInterval) return;
  v1::GetHistoryRequest request;
  request.set_job_id(options_.job_id);
  request.set_max_points(options_.max_points);
  std::vector<CurvePoint> points;
  grpc::Status status;
  Call(kCurveDeadline, [&](grpc::ClientContext* context) {
    const auto reader = v1::StatusService::NewStub(channel)->GetHistory(context, request);
    for (v1::HistoryBlock block; reader->Read(&block);) {
      const int count = std::min(block.iterations_size(), block.losses_size());
      for (int i = 0; i < count; ++i) points.push_back({static_cast<double>(block.iterations(i)), block.losses(i)});
    }
    status = reader->Finish();
  });
  curve_at_ = SteadyNow();
  // The one before stays.
  if (!status.ok()) return;
  curve_of_ = job->completed_iterations();
  curve_ = std::move(points);
}

void ClusterPoller::FetchEvents(const std::shared_ptr<grpc::Channel>& channel) {
  v1::LogsRequest request;
  request.set_job_id(options_.job_id);
  std::vector<v1::JobEvent> events;
  grpc::Status status;
  Call(kDeadline, [&](grpc::ClientContext* context) {
    const auto reader = v1::JobService::NewStub(channel)->Logs(context, request);
    for (v1::JobEvent event; reader->Read(&event);) events.push_back(std::move(event));
    status = reader->Finish();
  });
  if (!status.ok()) return;
  if (events.size() > kMaxEvents) events.erase(events.begin(), events.end() - kMaxEvents);
  events_ = std::move(events);
}

void ClusterPoller::Poll() {
  const absl::StatusOr<std::shared_ptr<grpc::Channel>> channel = coordinator_->Get();
  News news;
  grpc::Status status = channel.ok()
                            ? grpc::Status::OK
                            : grpc::Status(grpc::StatusCode::UNAVAILABLE, std::string(channel.status().message()));
  if (channel.ok()) {
    const bool called = Call(kDeadline, [&](grpc::ClientContext* context) {
      status = v1::StatusService::NewStub(*channel)->GetStatus(context, v1::GetStatusRequest(), &news.cluster);
    });
    if (!called) return;
    coordinator_->Note(FromGrpcStatus(status));
  }
  if (status.ok() && !options_.job_id.empty()) {
    FetchCurve(*channel, news.cluster);
    FetchEvents(*channel);
    news.curve = curve_;
    news.events = events_;
  }
  {
    absl::MutexLock lock(&mu_);
    failure_ = status;
    if (status.ok()) heard_ = SteadyNow();
    if (status.ok()) newest_ = std::move(news);
  }
  waker_->Notify();
}

void ClusterPoller::Run() {
  do {
    // A turn that fails for want of memory is made up for by the next one.
    RunTurn("the look at the cluster", [&] { Poll(); });
  } while (!stopper_.WaitFor(options_.interval));
}

}  // namespace samovar
