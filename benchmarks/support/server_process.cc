#include "benchmarks/support/server_process.h"

#include <sched.h>
#include <signal.h>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/model/chunk_plan.h"
#include "common/rpc/deadlines.h"
#include "common/rpc/dialer.h"
#include "common/rpc/status.h"
#include "samovar/v1/parameter.grpc.pb.h"

namespace samovar {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(60);

template <typename Request, typename Response>
absl::Status Call(const std::string& address,
                  grpc::Status (v1::ParameterService::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                  const Request& request) {
  const std::unique_ptr<v1::ParameterService::Stub> stub =
      v1::ParameterService::NewStub(Dialer(RpcOptions()).Dial(address));
  grpc::ClientContext context;
  SetDeadline(&context, kPatience);
  Response response;
  return FromGrpcStatus((stub.get()->*method)(&context, request, &response));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ServerProcess>> ServerProcess::Start(const std::string& program,
                                                                    const std::string& directory,
                                                                    std::optional<int> processor,
                                                                    const std::string& join) {
  std::unique_ptr<ServerProcess> server(new ServerProcess());
  ChildProcess::Options child;
  child.name = "server";
  child.program = program;
  child.arguments = {"--listen",         "127.0.0.1:0", "--state",     absl::StrCat(directory, "/state"),
                     "--apply-threads",  "1",           "--log-level", "warning",
                     "--die-with-parent"};
  if (join.empty()) {
    child.arguments.push_back("--coordinator");
  } else {
    child.arguments.insert(child.arguments.end(), {"--join", join});
  }
  child.reports_ready = true;
  child.log_path = absl::StrCat(directory, "/server.log");
  child.waker = &server->waker_;
  // A child begins on its parent's processors.
  cpu_set_t all;
  CPU_ZERO(&all);
  if (sched_getaffinity(0, sizeof(all), &all) != 0) return absl::ErrnoToStatus(errno, "sched_getaffinity");
  if (processor.has_value()) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<size_t>(*processor), &one);
    if (sched_setaffinity(0, sizeof(one), &one) != 0)
      return absl::ErrnoToStatus(errno, absl::StrCat("processor ", *processor));
  }
  auto started = ChildProcess::Start(child);
  if (sched_setaffinity(0, sizeof(all), &all) != 0) return absl::ErrnoToStatus(errno, "sched_setaffinity");
  SAMOVAR_ASSIGN_OR_RETURN(server->process_, std::move(started));
  SAMOVAR_ASSIGN_OR_RETURN(server->address_,
                           server->process_->AwaitReady(SteadyNow() + kPatience, [] { return false; }));
  return server;
}

std::unique_ptr<ServerProcess> ServerProcess::At(const std::string& address) {
  std::unique_ptr<ServerProcess> server(new ServerProcess());
  server->address_ = address;
  return server;
}

ServerProcess::~ServerProcess() {
  if (process_ == nullptr) return;
  process_->Signal(SIGTERM);
  const absl::Time deadline = SteadyNow() + absl::Seconds(10);
  while (!process_->ended() && SteadyNow() < deadline) waker_.Wait(deadline);
}

absl::StatusOr<uint32_t> ServerProcess::Open(const std::string& job_id, const v1::ParameterLayout& layout,
                                             const caffe::SolverParameter& solver) {
  v1::OpenJobRequest job;
  job.set_job_id(job_id);
  job.set_epoch(kEpoch);
  job.set_servers(1);
  job.set_chunk_elements(ChunkPlan::ChooseChunkElements(layout.elements(), /*apply_threads=*/1));
  *job.mutable_layout() = layout;
  *job.mutable_solver() = solver;
  for (uint32_t chunk = 0; uint64_t{chunk} * job.chunk_elements() < layout.elements(); ++chunk) job.add_chunks(chunk);
  SAMOVAR_RETURN_IF_ERROR(Call(address_, &v1::ParameterService::Stub::OpenJob, job));
  return job.chunk_elements();
}

absl::Status ServerProcess::Close(const std::string& job_id) {
  v1::CloseJobRequest request;
  request.set_job_id(job_id);
  request.set_epoch(kEpoch);
  return Call(address_, &v1::ParameterService::Stub::CloseJob, request);
}

}  // namespace samovar
