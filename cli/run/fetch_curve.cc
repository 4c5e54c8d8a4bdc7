#include "cli/run/fetch_curve.h"

#include <vector>

#include "common/rpc/deadlines.h"
#include "samovar/v1/job.grpc.pb.h"
#include "samovar/v1/status.grpc.pb.h"

namespace samovar {

grpc::Status FetchCurve(const std::shared_ptr<grpc::Channel>& channel, const std::string& job_id, const CurvePart& part,
                        absl::Duration deadline, Curve* curve) {
  const auto jobs = v1::JobService::NewStub(channel);
  v1::GetSpecRequest spec_request;
  spec_request.set_job_id(job_id);
  v1::JobSpec spec;
  grpc::ClientContext spec_context;
  SetDeadline(&spec_context, deadline);
  if (grpc::Status status = jobs->GetSpec(&spec_context, spec_request, &spec); !status.ok()) return status;

  v1::GetHistoryRequest request;
  request.set_job_id(job_id);
  request.set_first_iteration(part.first_iteration);
  request.set_max_points(part.max_points);
  grpc::ClientContext context;
  SetDeadline(&context, deadline);
  const auto reader = v1::StatusService::NewStub(channel)->GetHistory(&context, request);
  std::vector<v1::HistoryBlock> blocks;
  for (v1::HistoryBlock block; reader->Read(&block);) blocks.push_back(std::move(block));
  if (grpc::Status status = reader->Finish(); !status.ok()) return status;

  // After the points: a test that they have come to is in it.
  v1::GetJobStatusRequest status_request;
  status_request.set_job_id(job_id);
  v1::JobStatus job;
  grpc::ClientContext status_context;
  SetDeadline(&status_context, deadline);
  if (grpc::Status status = jobs->Get(&status_context, status_request, &job); !status.ok()) return status;
  *curve = CurveOf(blocks, {job.tests().begin(), job.tests().end()}, part.all_tests ? 0 : part.first_iteration);
  curve->started_unix_ms = job.started_unix_ms();
  SetRates(static_cast<uint64_t>(spec.solver().iter_size()) * spec.train_data().batch_size(), curve);
  return grpc::Status::OK;
}

}  // namespace samovar
