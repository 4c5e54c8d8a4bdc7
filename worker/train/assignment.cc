#include "worker/train/assignment.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/model/job_data.h"
#include "common/model/layout.h"
#include "common/model/learning_rate.h"

namespace samovar {
namespace {

// Statistics, as ranges of the flat vector.
std::vector<FloatRange> StatisticsOf(const v1::ParameterLayout& layout) {
  std::vector<FloatRange> ranges;
  for (const v1::ParameterBlob& blob : layout.blobs()) {
    if (blob.rule() == v1::UPDATE_RULE_MOVING_AVERAGE)
      ranges.push_back({blob.offset(), blob.offset() + BlobElements(blob)});
  }
  return ranges;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Assignment>> Assignment::Create(const v1::GetAssignmentResponse& message,
                                                               const Means& means) {
  auto assignment = std::unique_ptr<Assignment>(new Assignment(message, means));
  SAMOVAR_RETURN_IF_ERROR(assignment->Open());
  return assignment;
}

absl::Status Assignment::Open() {
  v1::DatasetSpec part = spec().train_data();
  SAMOVAR_RETURN_IF_ERROR(DivideBatches(parts(), &part));
  SAMOVAR_ASSIGN_OR_RETURN(FedNet trained, OpenFedNet(spec().train_net(), caffe::TRAIN, part, spec().train_outputs(),
                                                      spec().seed(), MeansOfNets(), passes() * parts(),
                                                      parts() > 1 ? static_cast<int>(part.batch_size()) : 0, parts()));
  SAMOVAR_RETURN_IF_ERROR(CheckNetFiles(spec().train_net(), spec(), means_.storage));
  SAMOVAR_RETURN_IF_ERROR(CheckSameLayout(trained.net->layout(), spec().layout()));
  net_ = std::move(trained.net);
  if (passes() > 1) sum_ = std::make_unique<GradientSum>(net_->layout());
  // The job's layout, as at the servers: with iter_size its statistics keep less at a push than the net's at a pass.
  if (parts() > 1) subtree_sum_ = std::make_unique<SubtreeSum>(spec().layout());
  SAMOVAR_RETURN_IF_ERROR(CheckConsistency(spec()));
  if (PushEvery(spec().consistency()) > 1) {
    SAMOVAR_RETURN_IF_ERROR(CheckLearningRate(spec().solver()));
    local_steps_ = std::make_unique<LocalSteps>(spec().solver(), spec().layout());
  }
  batches_ = std::make_unique<BatchPrefetcher>(std::move(trained.feed));
  means_.clock->ForgetPushes();

  ParameterClient::Options options;
  options.job_id = spec().job_id();
  options.elements = net_->layout().elements();
  options.chunk_elements = message_.chunk_elements();
  options.servers = servers_;
  options.opening = opening();
  options.channels = means_.channels;
  options.encoding = spec().consistency().encoding();
  options.seed = spec().seed();
  options.topk_ratio = spec().consistency().topk_ratio();
  options.whole = StatisticsOf(net_->layout());
  SAMOVAR_ASSIGN_OR_RETURN(parameters_, ParameterClient::Create(options, means_.dialer));
  tests_.resize(static_cast<size_t>(spec().test_nets_size()));
  return absl::OkStatus();
}

void Assignment::AdoptKept(Kept kept) {
  const v1::GetAssignmentResponse& before = kept.assignment;
  const int servers = message_.servers_size();
  const bool same = message_.opening() != 0 && before.opening() == message_.opening() &&
                    before.chunk_elements() == message_.chunk_elements() && before.servers_size() == servers &&
                    before.spec().SerializeAsString() == spec().SerializeAsString();
  const bool known = before.incarnations_size() == servers && message_.incarnations_size() == servers;
  if (kept.residual == nullptr || !same || !known) return;
  const uint32_t chunks = parameters_->chunks();
  for (uint32_t chunk = 0; chunk < chunks; ++chunk) {
    const int server = static_cast<int>(chunk % static_cast<uint32_t>(servers));
    if (before.incarnations(server) != message_.incarnations(server)) kept.residual->Forget(chunk);
  }
  parameters_->AdoptResidual(std::move(kept.residual));
}

bool Assignment::IsFor(const v1::GetAssignmentResponse& message) const {
  // Both come from the same coordinator, so that equal assignments have equal bytes; if not, it is only opened anew.
  return message.epoch() == epoch() && message.SerializeAsString() == message_.SerializeAsString();
}

absl::StatusOr<Evaluator*> Assignment::TestNet(uint32_t number, uint64_t iteration, const WaitLimit& limit) {
  if (number >= tests_.size()) return absl::InvalidArgumentError(absl::StrCat("the job has no test net ", number));
  if (!frozen_.has_value() || frozen_->iteration != iteration) {
    Frozen pulled{iteration, std::vector<float>(parameters_->elements())};
    SAMOVAR_RETURN_IF_ERROR(parameters_->PullFrozen(iteration, pulled.weights, limit));
    frozen_ = std::move(pulled);
    for (Test& test : tests_) test.iteration.reset();
  }
  Test& test = tests_[number];
  if (test.evaluator == nullptr) {
    SAMOVAR_ASSIGN_OR_RETURN(test.evaluator, Evaluator::Create(spec(), number, MeansOfNets()));
  }
  if (test.iteration != iteration) {
    test.evaluator->SetWeights(frozen_->weights);
    test.iteration = iteration;
  }
  return test.evaluator.get();
}

}  // namespace samovar
