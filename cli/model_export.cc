#include "cli/model_export.h"

#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/caffe/insert_splits.h"
#include "common/caffe/model_file.h"
#include "common/model/model_blobs.h"
#include "common/parameters/parameter_client.h"

namespace samovar {
namespace {

// The servers are on this machine, and have the copy in memory or on the disk.
constexpr absl::Duration kPullTimeout = absl::Seconds(60);

}  // namespace

std::string ModelPath(const std::string& snapshot_prefix, uint64_t iteration) {
  return absl::StrCat(snapshot_prefix, "_iter_", iteration, ".caffemodel");
}

absl::Status ExportModel(const v1::JobSpec& spec, const v1::JobStatus& status, uint64_t iteration,
                         const std::string& path, const Stopper& stopper) {
  ParameterClient::Options options;
  options.job_id = spec.job_id();
  options.elements = spec.layout().elements();
  options.chunk_elements = status.chunk_elements();
  options.servers.assign(status.servers().begin(), status.servers().end());
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<ParameterClient> client, ParameterClient::Create(options));
  std::vector<float> weights(spec.layout().elements());
  SAMOVAR_RETURN_IF_ERROR(client->PullFrozen(iteration, weights, {SteadyNow() + kPullTimeout, &stopper}));
  SAMOVAR_ASSIGN_OR_RETURN(const caffe::NetParameter model,
                           MakeModel(InsertSplits(spec.train_net()), spec.layout(), weights));
  return WriteModel(path, model);
}

}  // namespace samovar
