// The chaos test's calls of a cluster, as commands:
//   chaos_client submit COORDINATOR SOLVER MODE SERVERS    the job of a solver file; MODE: async, bounded or sync
//   chaos_client status COORDINATOR JOB                    the job's status, as JSON
//   chaos_client model COORDINATOR SOLVER MODE JOB FILE    writes the final model of a job that has ended
// Exit codes: 0 done, 1 refused or not reached, with the reason on stderr; 2 wrong arguments.

#include <google/protobuf/util/json_util.h>
#include <grpcpp/grpcpp.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/check/check_job.h"
#include "cli/check/mode.h"
#include "cli/run/model_export.h"
#include "common/base/status_macros.h"
#include "common/base/stopper.h"
#include "common/rpc/deadlines.h"
#include "common/rpc/dialer.h"
#include "common/rpc/status.h"
#include "samovar/v1/job.grpc.pb.h"

namespace samovar {
namespace {

constexpr absl::Duration kDeadline = absl::Seconds(10);
constexpr uint64_t kSeed = 7;

absl::StatusOr<v1::JobSpec> SpecOf(const std::string& solver, const std::string& mode) {
  SAMOVAR_ASSIGN_OR_RETURN(CheckedJob job, CheckJob(solver));
  ModeChoice choice;
  choice.mode = mode;
  SAMOVAR_RETURN_IF_ERROR(ApplyMode(choice, solver, &job.spec));
  job.spec.set_seed(kSeed);
  return job.spec;
}

absl::Status Submit(v1::JobService::Stub* jobs, const std::vector<std::string>& words) {
  v1::SubmitRequest request;
  SAMOVAR_ASSIGN_OR_RETURN(*request.mutable_spec(), SpecOf(words[1], words[2]));
  request.mutable_spec()->set_servers(static_cast<uint32_t>(std::atoi(words[3].c_str())));
  grpc::ClientContext context;
  SetDeadline(&context, kDeadline);
  v1::SubmitResponse response;
  SAMOVAR_RETURN_IF_ERROR(FromGrpcStatus(jobs->Submit(&context, request, &response)));
  std::printf("%s\n", response.job_id().c_str());
  return absl::OkStatus();
}

absl::StatusOr<v1::JobStatus> Get(v1::JobService::Stub* jobs, const std::string& job) {
  grpc::ClientContext context;
  SetDeadline(&context, kDeadline);
  v1::GetJobStatusRequest request;
  request.set_job_id(job);
  v1::JobStatus status;
  SAMOVAR_RETURN_IF_ERROR(FromGrpcStatus(jobs->Get(&context, request, &status)));
  return status;
}

absl::Status PrintStatus(v1::JobService::Stub* jobs, const std::vector<std::string>& words) {
  SAMOVAR_ASSIGN_OR_RETURN(const v1::JobStatus status, Get(jobs, words[1]));
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto printed = google::protobuf::util::MessageToJsonString(status, &json, options);
  if (!printed.ok()) return absl::InternalError("the status cannot be written as JSON");
  std::printf("%s\n", json.c_str());
  return absl::OkStatus();
}

absl::Status WriteModel(v1::JobService::Stub* jobs, const std::vector<std::string>& words) {
  SAMOVAR_ASSIGN_OR_RETURN(const v1::JobSpec spec, SpecOf(words[1], words[2]));
  SAMOVAR_ASSIGN_OR_RETURN(const v1::JobStatus status, Get(jobs, words[3]));
  return ExportModel(spec, status, status.max_iter(), words[4], Dialer(RpcOptions()), StorageTable(), Stopper());
}

int Run(const std::vector<std::string>& words) {
  const std::string command = words.empty() ? "" : words[0];
  const std::vector<std::string> rest(words.begin() + (words.empty() ? 0 : 1), words.end());
  absl::Status (*run)(v1::JobService::Stub*, const std::vector<std::string>&) = nullptr;
  if (command == "submit" && rest.size() == 4) run = Submit;
  if (command == "status" && rest.size() == 2) run = PrintStatus;
  if (command == "model" && rest.size() == 5) run = WriteModel;
  if (run == nullptr) {
    std::fprintf(stderr, "chaos_client: wrong arguments; its source says which there are\n");
    return 2;
  }
  const auto jobs = v1::JobService::NewStub(Dialer(RpcOptions()).Dial(rest[0]));
  const absl::Status status = run(jobs.get(), rest);
  if (status.ok()) return 0;
  std::fprintf(stderr, "chaos_client: %s\n", std::string(status.message()).c_str());
  return 1;
}

}  // namespace
}  // namespace samovar

int main(int argc, char** argv) { return samovar::Run({argv + 1, argv + argc}); }
