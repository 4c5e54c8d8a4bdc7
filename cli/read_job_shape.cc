#include "cli/read_job_shape.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/check/check_net.h"
#include "cli/made_up_records.h"
#include "cli/open_model.h"
#include "cli/plan/measure_job.h"
#include "common/base/status_macros.h"
#include "common/caffe/solver_bundle.h"
#include "common/model/solver_history.h"
#include "worker/feed/open_reader.h"
#include "worker/nn/peak_flops.h"

namespace samovar {
namespace {

// The net that is trained, with its records or with made-up ones.
absl::StatusOr<OpenModel> Open(const JobShapeOptions& options, SolverBundle* bundle) {
  OpenModel model;
  model.phase = caffe::TRAIN;
  model.storage = options.storage;
  model.param = bundle->train_net;
  model.origin = bundle->train_origin;
  if (!options.shape.empty()) {
    SAMOVAR_ASSIGN_OR_RETURN(model.data, MadeUpRecords(model.param, options.shape));
    SAMOVAR_ASSIGN_OR_RETURN(const auto layers, FindFedLayers(model.param));
    SAMOVAR_ASSIGN_OR_RETURN(const uint32_t batch, FeedBatchSize(*layers.front()));
    model.data.set_batch_size(batch);
    return model;
  }
  NetToCheck net = {model.param, caffe::TRAIN, /*parts=*/1, options.solver};
  net.origin = &model.origin;
  net.storage = options.storage;
  absl::StatusOr<CheckedNet> checked = CheckNet(net);
  if (!checked.ok()) {
    return absl::Status(checked.status().code(), absl::StrCat(checked.status().message(),
                                                              "; without data a job is planned with --shape "
                                                              "CHANNELSxHEIGHTxWIDTH and --records N"));
  }
  model.data = std::move(checked->data);
  return model;
}

}  // namespace

absl::StatusOr<JobShape> ReadJobShape(const JobShapeOptions& options) {
  SAMOVAR_ASSIGN_OR_RETURN(SolverBundle bundle, LoadSolver(options.solver, options.state, nullptr, options.storage));
  SAMOVAR_ASSIGN_OR_RETURN(const OpenModel model, Open(options, &bundle));
  ThreadPool pool(1);
  const NetMaker make = [&](int images) -> absl::StatusOr<std::unique_ptr<Net>> {
    SAMOVAR_ASSIGN_OR_RETURN(std::unique_ptr<Net> net, BuildNetOf(model, images, &pool));
    FillMadeUpWeights(net.get());
    FillMadeUpInputs(model.data, net.get());
    return net;
  };
  SAMOVAR_ASSIGN_OR_RETURN(JobShape job, MeasureJob(make, static_cast<int>(model.data.batch_size())));
  if (options.images_per_second > 0) {
    ScaleSeconds(static_cast<double>(job.images()) / options.images_per_second / job.IterationSeconds(), &job);
  } else if (options.peak_flops > 0) {
    ScaleSeconds(MeasurePeakFlops(&pool) / options.peak_flops, &job);
  }
  const caffe::SolverParameter& solver = bundle.solver;
  job.name = model.param.name();
  job.passes = static_cast<uint32_t>(std::max(1, solver.iter_size()));
  job.max_iter = static_cast<uint64_t>(std::max(0, solver.max_iter()));
  // Those of made-up data are not known.
  job.records = options.records > 0 || !options.shape.empty() ? options.records : model.data.records();
  job.final_as_whole = job.passes > 1 || solver.clip_gradients() >= 0;
  SAMOVAR_ASSIGN_OR_RETURN(const int vectors, HistoryVectors(solver));
  job.history_vectors = static_cast<uint32_t>(vectors);
  if (job.parameters() == 0)
    return absl::InvalidArgumentError("the net has no parameters, so there is nothing to train");
  job.takes_units = solver.type() == "SGD";
  return job;
}

}  // namespace samovar
