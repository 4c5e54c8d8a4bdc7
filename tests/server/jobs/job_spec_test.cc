#include "server/jobs/job_spec.h"

#include <cmath>

#include "tests/server/jobs/test_job.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

TEST_CASE("digests of a job's data and files are digests, or the job is refused") {
  v1::JobSpec spec = SpecOf(20);
  spec.mutable_train_data()->set_digest(std::string(64, 'a'));
  v1::NetFile* const file = spec.add_net_files();
  file->set_path("/mean.binaryproto");
  file->set_digest(std::string(64, '0'));
  REQUIRE_OK(CheckJobSpec(spec));
  const auto refused = [&spec](auto change, const std::string& words) {
    v1::JobSpec changed = spec;
    change(&changed);
    REQUIRE_STATUS(CheckJobSpec(changed), absl::StatusCode::kInvalidArgument, words);
  };
  refused([](v1::JobSpec* job) { job->mutable_train_data()->set_digest("abc"); }, "train_data: digest");
  refused([](v1::JobSpec* job) { job->mutable_train_data()->set_digest(std::string(64, 'g')); }, "train_data: digest");
  refused([](v1::JobSpec* job) { job->mutable_net_files(0)->clear_digest(); }, "net_files: digest");
  refused([](v1::JobSpec* job) { job->mutable_net_files(0)->set_path("a\nb"); }, "net_files: path");
}

TEST_CASE("data layers beside the first one must keep together with it, or all be read in order") {
  v1::JobSpec spec = SpecOf(20);
  v1::DatasetSpec* const further = spec.mutable_train_data()->add_further();
  *further = SpecOf(20).train_data();
  further->set_layer("label");
  REQUIRE_OK(CheckJobSpec(spec));
  using absl::StatusCode;
  const auto refused = [&spec](auto change) {
    v1::JobSpec changed = spec;
    change(&changed, changed.mutable_train_data()->mutable_further(0));
    REQUIRE_STATUS(CheckJobSpec(changed), StatusCode::kInvalidArgument, "train_data: further 0");
  };
  refused([](v1::JobSpec*, v1::DatasetSpec* data) { data->set_records(99); });
  refused([](v1::JobSpec*, v1::DatasetSpec* data) { data->set_batch_size(kBatch + 1); });
  refused([](v1::JobSpec*, v1::DatasetSpec* data) { data->set_batch_size(0); });
  refused([](v1::JobSpec*, v1::DatasetSpec* data) { data->set_partitions(2); });
  refused([](v1::JobSpec*, v1::DatasetSpec* data) { data->set_in_order(true); });
  refused([](v1::JobSpec*, v1::DatasetSpec* data) { *data->add_further() = SpecOf(20).train_data(); });
  refused([](v1::JobSpec*, v1::DatasetSpec* data) { data->set_uri("a\nb"); });
  refused([](v1::JobSpec*, v1::DatasetSpec* data) { data->set_digest("abc"); });
  spec.mutable_train_data()->set_in_order(true);
  further->set_in_order(true);
  further->set_records(33);
  further->set_batch_size(15);
  REQUIRE_OK(CheckJobSpec(spec));
  REQUIRE_OK(CheckJobSpec([&] {
    v1::JobSpec parts = spec;
    parts.mutable_consistency()->set_mode(v1::CONSISTENCY_SYNC);
    parts.mutable_consistency()->set_parts(5);
    return parts;
  }()));
  spec.mutable_consistency()->set_mode(v1::CONSISTENCY_SYNC);
  spec.mutable_consistency()->set_parts(2);
  REQUIRE_STATUS(CheckJobSpec(spec), StatusCode::kInvalidArgument, "parts 2 must divide the batch");
}

TEST_CASE("numbers of a data set beyond their bounds are refused by name, in training, tests and further layers") {
  v1::JobSpec spec = WithTest(SpecOf(20), 5);
  for (v1::DatasetSpec* data : {spec.mutable_train_data(), spec.mutable_test_data(0)}) {
    data->set_in_order(true);
    v1::DatasetSpec further = *data;
    further.set_layer("label");
    *data->add_further() = further;
  }
  REQUIRE_OK(CheckJobSpec(spec));
  const auto refused = [](const v1::JobSpec& changed, const std::string& words) {
    REQUIRE_STATUS(CheckJobSpec(changed), absl::StatusCode::kInvalidArgument, words);
  };
  for (const bool test : {false, true}) {
    for (const bool further : {false, true}) {
      v1::JobSpec changed = spec;
      v1::DatasetSpec* const first = test ? changed.mutable_test_data(0) : changed.mutable_train_data();
      v1::DatasetSpec* const data = further ? first->mutable_further(0) : first;
      data->set_batch_size(2);
      data->set_records(UINT64_MAX);
      refused(changed, ": records");
      data->set_records((uint64_t{1} << 40) + 1);
      refused(changed, ": records");
      data->set_records(100);
      data->set_batch_size(UINT32_MAX);
      refused(changed, ": batch_size");
      data->set_batch_size(2);
      data->set_partitions(UINT32_MAX);
      refused(changed, ": partitions");
    }
  }
}

TEST_CASE("a job from outside is checked field by field") {
  CHECK(CheckJobSpec(SpecOf(10)).ok());
  v1::JobSpec spec = SpecOf(10);
  spec.set_job_id("a/b");
  REQUIRE_STATUS(CheckJobSpec(spec), absl::StatusCode::kInvalidArgument, "job id");
  spec = SpecOf(-1);
  REQUIRE_STATUS(CheckJobSpec(spec), absl::StatusCode::kInvalidArgument, "max_iter");
  spec = SpecOf(10);
  spec.mutable_train_data()->set_batch_size(0);
  REQUIRE_STATUS(CheckJobSpec(spec), absl::StatusCode::kInvalidArgument, "train_data");
  spec = SpecOf(10);
  spec.mutable_train_data()->clear_uri();
  REQUIRE_STATUS(CheckJobSpec(spec), absl::StatusCode::kInvalidArgument, "both of uri and records or neither");
  spec = SpecOf(10);
  spec.mutable_train_data()->set_partitions(101);
  REQUIRE_STATUS(CheckJobSpec(spec), absl::StatusCode::kInvalidArgument,
                 "train_data: partitions must be at most records, 100");
  spec.mutable_train_data()->set_partitions(100);
  spec.mutable_train_data()->set_block(1 << 17);
  REQUIRE_STATUS(CheckJobSpec(spec), absl::StatusCode::kInvalidArgument, "and block at most 65536");
  spec = SpecOf(10);
  spec.mutable_solver()->set_iter_size(0);
  REQUIRE_STATUS(CheckJobSpec(spec), absl::StatusCode::kInvalidArgument, "iter_size");
  spec = SpecOf(10);
  spec.mutable_layout()->set_elements(9);
  CHECK_FALSE(CheckJobSpec(spec).ok());
  spec = SpecOf(10);
  spec.add_test_nets();
  REQUIRE_STATUS(CheckJobSpec(spec), absl::StatusCode::kInvalidArgument, "test_nets");
}

TEST_CASE("a mode that a job cannot have is refused") {
  v1::JobSpec spec = SpecOf(100);
  REQUIRE_OK(CheckJobSpec(InParts(spec, kBatch)));
  REQUIRE_STATUS(CheckJobSpec(InParts(spec, 3)), absl::StatusCode::kInvalidArgument,
                 "parts 3 must divide the batch of 10 records");
  REQUIRE_STATUS(CheckJobSpec(InParts(spec, 0)), absl::StatusCode::kInvalidArgument, "parts must be at least 1");
  for (const uint32_t parts : {0, 1, 2}) {
    v1::JobSpec late = parts == 0 ? spec : InParts(spec, parts);
    late.mutable_consistency()->set_delay_compensation(0.5f);
    if (parts == 0) REQUIRE_OK(CheckJobSpec(late));
    if (parts > 0)
      REQUIRE_STATUS(CheckJobSpec(late), absl::StatusCode::kInvalidArgument,
                     "gradients that come late, and in this mode none does");
    late.mutable_consistency()->set_delay_compensation(-1);
    REQUIRE_STATUS(CheckJobSpec(late), absl::StatusCode::kInvalidArgument,
                   "delay_compensation must be at least 0, not -1");
    late.mutable_consistency()->set_staleness_scaling(static_cast<v1::StalenessScaling>(9));
    REQUIRE_STATUS(CheckJobSpec(late), absl::StatusCode::kInvalidArgument, "staleness_scaling is 9, which");
  }
  spec.mutable_consistency()->set_delay(1);
  REQUIRE_STATUS(CheckJobSpec(spec), absl::StatusCode::kInvalidArgument, "delay is for the mode CONSISTENCY_BOUNDED");
  spec.mutable_consistency()->set_delay(0);
  spec.mutable_consistency()->set_topk_ratio(0.01);
  REQUIRE_STATUS(CheckJobSpec(spec), absl::StatusCode::kInvalidArgument, "topk_ratio must be above 0");
  spec.mutable_consistency()->set_encoding(v1::ENCODING_SPARSE);
  REQUIRE_OK(CheckJobSpec(spec));
  for (const double ratio : {0.0, -1.0, 1.5, std::nan("")}) {
    spec.mutable_consistency()->set_topk_ratio(ratio);
    REQUIRE_STATUS(CheckJobSpec(spec), absl::StatusCode::kInvalidArgument, "topk_ratio must be above 0");
  }
  spec = InParts(spec, 1);
  spec.mutable_consistency()->set_topk_ratio(0.01);
  REQUIRE_STATUS(CheckJobSpec(spec), absl::StatusCode::kInvalidArgument, "the mode sync promises");
  spec.mutable_consistency()->set_mode(static_cast<v1::ConsistencyMode>(7));
  REQUIRE_STATUS(CheckJobSpec(spec), absl::StatusCode::kInvalidArgument, "mode is 7, which");
}

}  // namespace
}  // namespace samovar
