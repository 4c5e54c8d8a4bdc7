#include "worker/train/sent_spans.h"

#include <string>
#include <vector>

#include "google/protobuf/text_format.h"
#include "tests/worker/train/small_cluster.h"

namespace samovar {
namespace {

using Seen = FakeCoordinator::Seen;

TEST_CASE("what is written while it is being sent is found, and named by its place") {
  std::vector<float> floats = {1, 2, 3, 4};
  SentSpans sent(/*enabled=*/true);
  sent.Add(10, std::span<const float>(floats).first(2));
  sent.Add(12, std::span<const float>(floats).last(2));
  REQUIRE_OK(sent.Check());
  sent.Add(10, std::span<const float>(floats).first(2));
  sent.Add(12, std::span<const float>(floats).last(2));
  floats[3] = 5;
  const absl::Status written = sent.Check();
  CHECK(written.code() == absl::StatusCode::kInternal);
  CHECK(written.message() == "gradients 12 to 13 were written while they were being sent");
  // All notes are forgotten.
  REQUIRE_OK(sent.Check());
}

TEST_CASE("spans that are not sent any more may be written, and without the check any may") {
  std::vector<float> floats = {1, 2};
  SentSpans abandoned(/*enabled=*/true);
  abandoned.Add(0, floats);
  abandoned.Clear();
  SentSpans disabled(/*enabled=*/false);
  disabled.Add(0, floats);
  floats[0] = 3;
  REQUIRE_OK(abandoned.Check());
  REQUIRE_OK(disabled.Check());
}

// Iterations in two parts, of a net that measures statistics: each part is pushed while the next one is computed.
void NormaliseInParts(v1::JobSpec* spec) {
  caffe::NetParameter net = spec->train_net();
  caffe::LayerParameter* const norm = net.add_layer();
  REQUIRE(google::protobuf::TextFormat::ParseFromString(R"(name: "norm" type: "BatchNorm" bottom: "data" top: "norm")",
                                                        norm));
  for (int i = net.layer_size() - 1; i > 1; --i) net.mutable_layer()->SwapElements(i, i - 1);
  net.mutable_layer(2)->set_bottom(0, "norm");
  *spec->mutable_train_net() = net;
  *spec->mutable_layout() = BuildNet(net, caffe::TRAIN)->layout();
  spec->clear_test_nets();
  spec->clear_test_data();
  spec->clear_test_outputs();
  spec->mutable_consistency()->set_mode(v1::CONSISTENCY_SYNC);
  spec->mutable_consistency()->set_parts(2);
}

TEST_CASE("a worker writes none of a part's gradients while they are being sent, statistics neither") {
  SmallCluster cluster(NormaliseInParts);
  cluster.coordinator().QueueParts(0, 40, {0, 1});
  RunningWorker worker(cluster.coordinator().address());
  const Seen seen =
      cluster.coordinator().Await([](const Seen& s) { return s.parts.size() == 80 || !s.failures.empty(); });
  worker.Stop();
  if (!seen.failures.empty()) FAIL(seen.failures[0].message());
}

}  // namespace
}  // namespace samovar
