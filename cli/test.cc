// `samovar test`: a model's outputs on all records of its data, on average.
#include <algorithm>
#include <cmath>
#include <iostream>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/commands.h"
#include "cli/open_model.h"
#include "cli/report/exit_codes.h"
#include "cli/report/json_line.h"
#include "cli/report/record_progress.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/model/test_plan.h"

namespace samovar {
namespace {

struct TestResult {
  uint64_t records = 0;
  double seconds = 0;
  v1::NetOutputs outputs;
  // One entry a value of the outputs.
  std::vector<double> means;
};

absl::StatusOr<TestResult> Test(const TestOptions& options) {
  SAMOVAR_ASSIGN_OR_RETURN(const OpenModel model, OpenModelFiles(options.files, caffe::TEST));
  if (model.data.records() == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.files.model, ": the net has no data layer in phase TEST, so there is ",
                     "nothing to test it on; name a net as it is trained, with a Data layer"));
  }
  ThreadPool pool(options.threads);
  SAMOVAR_ASSIGN_OR_RETURN(std::unique_ptr<Net> net, BuildNetOf(model, /*batch_size=*/0, &pool));
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<NetFeed> feed, OpenFeedOf(model, options.threads));
  TestResult result;
  result.outputs = model.outputs;
  result.means.assign(static_cast<size_t>(result.outputs.outputs_size()), 0);
  const uint64_t all = WholeTest(model.data);
  const auto progress = RecordProgress();
  const absl::Time start = SteadyNow();
  while (result.records < all) {
    const uint64_t batch = std::min(all - result.records, static_cast<uint64_t>(net->batch_size()));
    if (batch < static_cast<uint64_t>(net->batch_size())) {
      SAMOVAR_ASSIGN_OR_RETURN(net, BuildNetOf(model, static_cast<int>(batch), &pool));
    }
    SAMOVAR_RETURN_IF_ERROR(FitToRecord(result.records, feed.get(), net.get()));
    SAMOVAR_RETURN_IF_ERROR(feed->FillRange(result.records, result.records + batch, FedTops(model, *net)));
    SAMOVAR_RETURN_IF_ERROR(net->Forward(0, /*seed=*/1, /*first_record=*/result.records));
    // A net reports means over a batch's records; batches may differ in size.
    net->AddOutputs(result.outputs, static_cast<double>(batch), &result.means);
    result.records += batch;
    if (progress) progress(result.records, all);
  }
  for (double& mean : result.means) mean /= static_cast<double>(all);
  result.seconds = absl::ToDoubleSeconds(SteadyNow() - start);
  return result;
}

void Print(const TestResult& result) {
  for (int i = 0; i < result.outputs.outputs_size(); ++i) {
    const v1::OutputSpec& output = result.outputs.outputs(i);
    const double mean = result.means[static_cast<size_t>(i)];
    std::cout << absl::StrFormat("%s = %.6g", output.name(), mean);
    if (output.mean_of() != 0) std::cout << absl::StrFormat(" (mean of %d values)", output.mean_of());
    if (output.loss_weight() != 0) {
      std::cout << absl::StrFormat(" (* %.6g = %.6g loss)", output.loss_weight(), output.loss_weight() * mean);
    }
    std::cout << "\n";
  }
  std::cout << absl::StrFormat("%d records in %.1f s, %.0f images/s\n", result.records, result.seconds,
                               static_cast<double>(result.records) / result.seconds);
}

void PrintJson(const TestOptions& options, const TestResult& result) {
  JsonLine outputs;
  for (int i = 0; i < result.outputs.outputs_size(); ++i) {
    outputs.Number(result.outputs.outputs(i).name(), result.means[static_cast<size_t>(i)]);
  }
  JsonLine line;
  line.Text("model", options.files.model).Text("weights", options.files.weights).Integer("records", result.records);
  line.Raw("outputs", outputs.Finish())
      .Number("images_per_second", static_cast<double>(result.records) / result.seconds);
  std::cout << line.Finish() << "\n";
}

// OK if all outputs are numbers.
absl::Status CheckFinite(const TestOptions& options, const TestResult& result) {
  for (int i = 0; i < result.outputs.outputs_size(); ++i) {
    const double mean = result.means[static_cast<size_t>(i)];
    if (std::isfinite(mean)) continue;
    return absl::OutOfRangeError(absl::StrCat("output \"", result.outputs.outputs(i).name(), "\" is ", mean, " over ",
                                              result.records, " records; look at the weights of ",
                                              options.files.weights,
                                              ", whose training may have diverged, and at the data"));
  }
  return absl::OkStatus();
}

}  // namespace

int RunTest(const TestOptions& options) {
  const absl::StatusOr<TestResult> result = Test(options);
  if (!result.ok()) {
    PrintError(result.status().message());
    return kExitUsage;
  }
  if (options.json) {
    PrintJson(options, *result);
  } else {
    Print(*result);
  }
  const absl::Status finite = CheckFinite(options, *result);
  if (finite.ok()) return kExitOk;
  PrintError(finite.message());
  return kExitFailed;
}

}  // namespace samovar
