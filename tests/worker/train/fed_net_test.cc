#include "worker/train/fed_net.h"

#include "tests/support/temp_dir.h"
#include "tests/worker/train/small_job.h"
#include "worker/train/evaluator.h"

namespace samovar {
namespace {

absl::StatusOr<FedNet> Open(const v1::JobSpec& spec) {
  return OpenFedNet(spec.train_net(), caffe::TRAIN, spec.train_data(), spec.train_outputs(), spec.seed(), NetMeans());
}

TEST_CASE("a net is built for the records of its data set") {
  TempDir dir;
  const v1::JobSpec spec = MakeJob(dir.path());
  const auto fed = Open(spec);
  REQUIRE_OK(fed);
  REQUIRE(TopsOf(*fed->net, spec.train_data()).size() == 2);
  REQUIRE(TopsOf(*fed->net, spec.train_data())[0].size() == kBatch * kSide * kSide);
  REQUIRE(TopsOf(*fed->net, spec.train_data())[1].size() == kBatch);
  REQUIRE_OK(CheckSameLayout(fed->net->layout(), spec.layout()));
  REQUIRE(spec.layout().elements() == kElements);
}

TEST_CASE("a net that is not the one that was submitted is refused") {
  TempDir dir;
  v1::JobSpec spec = MakeJob(dir.path());
  SECTION("another batch") {
    spec.mutable_train_net()->mutable_layer(0)->mutable_data_param()->set_batch_size(11);
    REQUIRE_STATUS(Open(spec), absl::StatusCode::kInvalidArgument, "a batch of 11");
  }
  SECTION("more outputs") {
    spec.mutable_train_outputs()->add_outputs()->set_name("more");
    REQUIRE_STATUS(Open(spec), absl::StatusCode::kInvalidArgument, "reports 1 values here, but 2");
  }
  SECTION("another output") {
    spec.mutable_train_outputs()->mutable_outputs(0)->set_name("other");
    REQUIRE_STATUS(Open(spec), absl::StatusCode::kInvalidArgument, "output 0 is \"loss\" here, but \"other\"");
  }
  SECTION("no data layer") {
    spec.mutable_train_net()->mutable_layer(0)->set_type("Input");
    REQUIRE_STATUS(Open(spec), absl::StatusCode::kInvalidArgument,
                   "has 0 data layers (the first: none), but the job has records for 1");
  }
}

TEST_CASE("layouts differ where a blob is missing, moved or of another shape") {
  TempDir dir;
  const v1::ParameterLayout ours = MakeJob(dir.path()).layout();
  v1::ParameterLayout jobs = ours;
  SECTION("missing") {
    jobs.mutable_blobs()->RemoveLast();
    REQUIRE_STATUS(CheckSameLayout(ours, jobs), absl::StatusCode::kInvalidArgument,
                   "ip2[1] 4 at 6900 here, nothing there");
  }
  SECTION("of another layer") {
    jobs.mutable_blobs(1)->set_layer("ip9");
    REQUIRE_STATUS(CheckSameLayout(ours, jobs), absl::StatusCode::kInvalidArgument, "ip1[1] 100 at 6400 here, ip9[1]");
  }
  SECTION("of another total") {
    jobs.set_elements(1);
    REQUIRE_STATUS(CheckSameLayout(ours, jobs), absl::StatusCode::kInvalidArgument, "6904 parameters here, but 1");
  }
  SECTION("fillers and rates do not matter") {
    jobs.mutable_blobs(0)->set_lr_mult(17);
    REQUIRE_OK(CheckSameLayout(ours, jobs));
  }
}

TEST_CASE("a test net takes its weights by layer, wherever they lie") {
  TempDir dir;
  v1::JobSpec spec = MakeJob(dir.path());
  const auto same = Evaluator::Create(spec, 0, NetMeans());
  REQUIRE_OK(same);
  std::vector<float> weights(kElements);
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = 0.001f * static_cast<float>(i % 17);
  (*same)->SetWeights(weights);
  const auto expected = (*same)->Sums(0, kTestRecords, 0, Stopper());
  REQUIRE_OK(expected);

  // The trained net has ip2 before ip1.
  v1::ParameterLayout* layout = spec.mutable_layout();
  layout->mutable_blobs(2)->set_offset(0);
  layout->mutable_blobs(3)->set_offset(400);
  layout->mutable_blobs(0)->set_offset(404);
  layout->mutable_blobs(1)->set_offset(6804);
  const auto moved = Evaluator::Create(spec, 0, NetMeans());
  REQUIRE_OK(moved);
  std::vector<float> moved_weights(weights.begin() + 6500, weights.end());
  moved_weights.insert(moved_weights.end(), weights.begin(), weights.begin() + 6500);
  (*moved)->SetWeights(moved_weights);
  const auto sums = (*moved)->Sums(0, kTestRecords, 0, Stopper());
  REQUIRE_OK(sums);
  REQUIRE(*sums == *expected);
}

TEST_CASE("a test net with parameters that are not trained is refused") {
  TempDir dir;
  v1::JobSpec spec = MakeJob(dir.path());
  spec.mutable_layout()->mutable_blobs(2)->set_layer("other");
  REQUIRE_STATUS(Evaluator::Create(spec, 0, NetMeans()), absl::StatusCode::kInvalidArgument, "layer \"ip2\"");
  REQUIRE_STATUS(Evaluator::Create(spec, 1, NetMeans()), absl::StatusCode::kInvalidArgument, "no test net 1");
}

TEST_CASE("a test stops when its lease has ended") {
  TempDir dir;
  const auto evaluator = Evaluator::Create(MakeJob(dir.path()), 0, NetMeans());
  REQUIRE_OK(evaluator);
  Stopper ended;
  ended.Stop();
  REQUIRE_STATUS((*evaluator)->Sums(0, 10, 0, ended), absl::StatusCode::kCancelled, "lease");
  REQUIRE_STATUS((*evaluator)->Sums(0, kTestRecords + 1, 0, Stopper()), absl::StatusCode::kOutOfRange, "records");
}

}  // namespace
}  // namespace samovar
