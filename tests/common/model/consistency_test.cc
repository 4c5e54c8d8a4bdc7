#include "common/model/consistency.h"

#include <limits>
#include <string>

#include "tests/support/catch.h"
#include "tests/support/consistency.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

v1::Consistency BoundedBy(uint32_t delay) {
  v1::Consistency consistency;
  consistency.set_mode(v1::CONSISTENCY_BOUNDED);
  consistency.set_delay(delay);
  return consistency;
}

v1::JobSpec Spec(uint32_t push_every, int snapshot, int test_interval) {
  v1::JobSpec spec;
  spec.mutable_consistency()->set_push_every(push_every);
  spec.mutable_solver()->set_max_iter(1000);
  spec.mutable_solver()->set_snapshot(snapshot);
  spec.mutable_solver()->set_test_interval(test_interval);
  spec.add_test_nets();
  spec.mutable_train_data()->set_batch_size(12);
  return spec;
}

void CheckRefused(const v1::JobSpec& spec, const std::string& text) {
  REQUIRE_STATUS(CheckConsistency(spec), absl::StatusCode::kInvalidArgument, text);
}

void CheckRefused(const v1::Consistency& consistency, const std::string& text) {
  REQUIRE_STATUS(CheckConsistency(consistency, caffe::SolverParameter()), absl::StatusCode::kInvalidArgument, text);
}

TEST_CASE("iterations are applied in order in sync mode, and one after the other with a delay of 0") {
  CHECK(PartsOf(SyncIn(8)) == 8);
  CHECK(InOrder(SyncIn(1)));
  CHECK(PartsOf(BoundedBy(0)) == 1);
  CHECK(InOrder(BoundedBy(0)));
  CHECK_FALSE(InOrder(BoundedBy(1)));
  CHECK_FALSE(InOrder(SyncIn(0)));
  // In other modes its number means nothing.
  v1::Consistency async;
  async.set_parts(4);
  CHECK(PartsOf(async) == 0);
}

TEST_CASE("an iteration is computed from weights that hold as many iterations as its mode asks for") {
  CHECK_FALSE(WatermarkFor(v1::Consistency(), 10).has_value());
  CHECK(WatermarkFor(BoundedBy(4), 10) == 6u);
  CHECK(WatermarkFor(BoundedBy(4), 3) == 0u);
  CHECK(WatermarkFor(BoundedBy(0), 10) == 10u);
  CHECK(WatermarkFor(SyncIn(2), 10) == 10u);
}

TEST_CASE("servers clip where no worker has all parts of a gradient") {
  caffe::SolverParameter solver;
  CHECK_FALSE(ServersClip(SyncIn(2), solver));
  solver.set_clip_gradients(1);
  CHECK(ServersClip(SyncIn(2), solver));
  CHECK_FALSE(ServersClip(SyncIn(1), solver));
  CHECK_FALSE(ServersClip(BoundedBy(0), solver));
  CHECK_FALSE(ServersClip(v1::Consistency(), solver));
}

TEST_CASE("servers go back together where chunks may not be far apart") {
  CHECK_FALSE(GoesBackTogether(v1::Consistency()));
  CHECK(GoesBackTogether(BoundedBy(8)));
  CHECK(GoesBackTogether(SyncIn(1)));
}

TEST_CASE("fields that do not go together are refused, wherever they come from") {
  CHECK(CheckConsistency(v1::Consistency(), caffe::SolverParameter()).ok());
  CHECK(CheckConsistency(SyncIn(kMaxParts), caffe::SolverParameter()).ok());
  CHECK(CheckConsistency(BoundedBy(kMaxDelay), caffe::SolverParameter()).ok());
  CheckRefused(SyncIn(kMaxParts + 1), "parts must be at most 65536, not 65537");
  CheckRefused(BoundedBy(kMaxDelay + 1), "delay must be at most 1000000, not 1000001");
  v1::Consistency wrong = SyncIn(2);
  wrong.set_delay(1);
  CheckRefused(wrong, "delay is for the mode CONSISTENCY_BOUNDED only");
  wrong = SyncIn(2);
  wrong.set_mode(v1::CONSISTENCY_ASYNC);
  CheckRefused(wrong, "parts must be at least 1 in the mode CONSISTENCY_SYNC, and 0 in others");
  wrong = SyncIn(2);
  wrong.set_staleness_scaling(v1::STALENESS_SCALING_NONE);
  CheckRefused(wrong, "gradients that come late, and in this mode none does");
  wrong = BoundedBy(1);
  wrong.set_staleness_scaling(v1::STALENESS_SCALING_NONE);
  CHECK(CheckConsistency(wrong, caffe::SolverParameter()).ok());
  for (const float lambda : {-1.0f, std::numeric_limits<float>::infinity()}) {
    wrong.set_delay_compensation(lambda);
    CheckRefused(wrong, "delay_compensation must be at least 0");
  }
  wrong = SyncIn(2);
  wrong.set_encoding(v1::ENCODING_SPARSE);
  CheckRefused(wrong, "topk_ratio must be above 0 and at most 1");
  wrong.set_topk_ratio(0.5);
  CheckRefused(wrong, "the mode sync promises that it does not; take the mode async or bounded");
}

TEST_CASE("a value that this version does not know is refused by its number") {
  v1::Consistency unknown;
  unknown.set_mode(static_cast<v1::ConsistencyMode>(7));
  CheckRefused(unknown, "mode is 7, which");
  unknown = v1::Consistency();
  unknown.set_encoding(static_cast<v1::Encoding>(8));
  CheckRefused(unknown, "encoding is 8, which");
  unknown = v1::Consistency();
  unknown.set_staleness_scaling(static_cast<v1::StalenessScaling>(9));
  CheckRefused(unknown, "staleness_scaling is 9, which");
  unknown = v1::Consistency();
  unknown.set_on_numeric_failure(static_cast<v1::NumericFailurePolicy>(6));
  CheckRefused(unknown, "on_numeric_failure is 6, which");
}

TEST_CASE("each data layer's batch can be cut into the parts") {
  v1::JobSpec spec = Spec(1, 0, 0);
  *spec.mutable_consistency() = SyncIn(4);
  CHECK(CheckConsistency(spec).ok());
  spec.mutable_train_data()->add_further()->set_batch_size(6);
  CheckRefused(spec, "parts 4 must divide the batch");
  *spec.mutable_consistency() = SyncIn(3);
  CHECK(CheckConsistency(spec).ok());
}

TEST_CASE("snapshots and tests fall between units, or it is said what to write") {
  CHECK(CheckConsistency(Spec(8, 400, 200)).ok());
  CHECK(CheckConsistency(Spec(1, 7, 5)).ok());
  CHECK(CheckConsistency(Spec(8, 0, 0)).ok());
  CheckRefused(Spec(8, 0, 500), "write test_interval: 504 in the solver, or choose push_every 5 or 10");
  CheckRefused(Spec(8, 5000, 500), "test_interval 500");
  CheckRefused(Spec(8, 100, 200), "snapshot 100, which would fall between two pushes: write snapshot: 104");
  CheckRefused(Spec(8, 7, 0), "choose push_every 7");
  v1::JobSpec untested = Spec(8, 400, 5);
  untested.clear_test_nets();
  CHECK(CheckConsistency(untested).ok());
}

TEST_CASE("units are for async and bounded mode, plain solvers, and gradients as they are") {
  v1::JobSpec spec = Spec(8, 0, 0);
  v1::Consistency& consistency = *spec.mutable_consistency();
  spec.mutable_solver()->set_momentum(0.9f);
  spec.mutable_solver()->set_clip_gradients(1);
  spec.mutable_solver()->set_iter_size(2);
  CHECK(CheckConsistency(spec).ok());
  consistency.set_mode(v1::CONSISTENCY_BOUNDED);
  consistency.set_delay(8);
  CHECK(CheckConsistency(spec).ok());
  consistency.set_delay(7);
  CheckRefused(spec, "bounded with a delay of at least 8");
  consistency.MergeFrom(SyncIn(2));
  consistency.clear_delay();
  CheckRefused(spec, "take the mode async");
  consistency = v1::Consistency();
  consistency.set_push_every(8);
  consistency.set_delay_compensation(0.04f);
  CheckRefused(spec, "leave one of them out");
  consistency.clear_delay_compensation();
  consistency.set_on_numeric_failure(v1::NUMERIC_FAILURE_SKIP);
  CheckRefused(spec, "an iteration is skipped before it is pushed");
  consistency.clear_on_numeric_failure();
  for (const char* type : {"Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"}) {
    spec.mutable_solver()->set_type(type);
    CheckRefused(spec, "write type: \"SGD\"");
  }
  spec.mutable_solver()->set_type("SGD");
  consistency.set_push_every(kMaxPushEvery + 1);
  CheckRefused(spec, "at most 1000, not 1001");
}

TEST_CASE("the longest unit goes with a delay that is as long") {
  v1::Consistency consistency = BoundedBy(kMaxPushEvery);
  consistency.set_push_every(kMaxPushEvery);
  CHECK(CheckConsistency(consistency, caffe::SolverParameter()).ok());
}

TEST_CASE("a consistency is told to people with what is not usual of it") {
  CHECK(ConsistencyText(v1::Consistency()) == "async");
  CHECK(ConsistencyText(BoundedBy(4)) == "bounded, delay 4");
  CHECK(ConsistencyText(SyncIn(1)) == "sync in 1 part");
  v1::Consistency consistency = SyncIn(8);
  consistency.set_encoding(v1::ENCODING_BFLOAT16);
  CHECK(ConsistencyText(consistency) == "sync in 8 parts, bfloat16");
  consistency = v1::Consistency();
  consistency.set_push_every(8);
  consistency.set_staleness_scaling(v1::STALENESS_SCALING_NONE);
  consistency.set_delay_compensation(0.04f);
  consistency.set_encoding(v1::ENCODING_SPARSE);
  consistency.set_topk_ratio(0.01);
  CHECK(ConsistencyText(consistency) ==
        "async, a push every 8 iterations, staleness none, compensation 0.04, topk 0.01");
}

TEST_CASE("an asynchronous job can use as many workers as leave each 250 rounds, other jobs any number") {
  v1::Consistency consistency;
  CHECK(WorkersWithoutLoss(consistency, 2000) == 8);
  CHECK(WorkersWithoutLoss(consistency, 100) == 1);
  CHECK(TooManyWorkersText(consistency, 2000, 8).empty());
  CHECK(TooManyWorkersText(consistency, 2000, 9) ==
        "in async mode 9 workers cost accuracy: 2000 iterations are enough for 8 workers; use no more, or --mode "
        "bounded or --mode sync, where all of them can help");
  CHECK(TooManyWorkersText(consistency, 999, 100).empty());
  consistency.set_push_every(4);
  CHECK(WorkersWithoutLoss(consistency, 2000) == 2);
  CHECK_FALSE(WorkersWithoutLoss(BoundedBy(4), 2000).has_value());
  CHECK(TooManyWorkersText(SyncIn(8), 2000, 100).empty());
}

TEST_CASE("values have names for users, and each name its value") {
  CHECK(ModeNames() == std::vector<std::string>{"async", "bounded", "sync"});
  CHECK(EncodingNames() == std::vector<std::string>{"float32", "bfloat16", "float16", "int8", "topk"});
  CHECK(StalenessScalingNames() == std::vector<std::string>{"stretched", "none"});
  CHECK(NumericFailureNames() == std::vector<std::string>{"fail", "skip"});
  for (const std::string& name : ModeNames()) CHECK(ModeName(ModeOf(name)) == name);
  for (const std::string& name : EncodingNames()) CHECK(EncodingName(EncodingOf(name)) == name);
  for (const std::string& name : StalenessScalingNames()) CHECK(StalenessScalingName(StalenessScalingOf(name)) == name);
  for (const std::string& name : NumericFailureNames()) CHECK(NumericFailureName(NumericFailureOf(name)) == name);
  CHECK(EncodingOf("int8") == v1::ENCODING_INT8_BLOCKS);
  CHECK(EncodingOf("") == v1::ENCODING_FLOAT32);
  CHECK(EncodingName(static_cast<v1::Encoding>(9)) == "unknown");
  CHECK(ModeName(static_cast<v1::ConsistencyMode>(-1)) == "unknown");
}

}  // namespace
}  // namespace samovar
