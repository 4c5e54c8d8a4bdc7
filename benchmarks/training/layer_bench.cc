// How near the layers that compute little come to the speed of memory: each by itself, on a blob larger than the
// caches, in turns with a triad.
//
//     layer_bench [--goal 0.7] [--rounds 9] [--only ReLU]
//
// Counted are the bytes that any implementation has to move: what it reads, and twice what it writes, since a line of
// the cache is read before part of it is written (support/triad.h). Exit code 1, and words that say which: a layer
// reaches less of the triad's rate than the goal.
#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/substitute.h"
#include "benchmarks/support/triad.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "google/protobuf/text_format.h"
#include "worker/nn/net.h"

ABSL_FLAG(double, goal, 0.7, "the part of the triad's rate that each layer has to reach");
ABSL_FLAG(int, rounds, 9, "passes of each layer, each beside a triad; the median counts");
ABSL_FLAG(std::string, only, "", "measures the cases alone whose names begin so");

namespace samovar {
namespace {

// The blob: [kRecords, kChannels, kSize, kSize].
constexpr int64_t kRecords = 64, kChannels = 32, kSize = 64;
constexpr int64_t kElements = kRecords * kChannels * kSize * kSize;

// What a pass moves, in blobs: those that it reads, and those that it writes.
struct Moved {
  double reads;
  double writes;
  double bytes() const { return (reads + 2 * writes) * sizeof(float) * static_cast<double>(kElements); }
};

struct Case {
  const char* name;
  // The layer without its name, bottoms and tops.
  const char* layer;
  Moved forward;
  Moved backward;
  int bottoms = 1;
  int tops = 1;
};

constexpr Moved kMap = {1, 1}, kFromTwo = {2, 1}, kFromThree = {3, 1};
constexpr double kPooled = 0.25;

const Case kCases[] = {
    {"ReLU", "type: 'ReLU'", kMap, kFromTwo},
    {"ReLU with a slope", "type: 'ReLU' relu_param { negative_slope: 0.1 }", kMap, kFromTwo},
    {"PReLU", "type: 'PReLU'", kMap, kFromTwo},
    {"ELU", "type: 'ELU'", kMap, kFromTwo},
    {"Clip", "type: 'Clip' clip_param { min: -1 max: 1 }", kMap, kFromTwo},
    {"Sigmoid", "type: 'Sigmoid'", kMap, kFromTwo},
    {"TanH", "type: 'TanH'", kMap, kFromTwo},
    {"Swish", "type: 'Swish'", kMap, kFromThree},
    {"BNLL", "type: 'BNLL'", kMap, kFromTwo},
    {"AbsVal", "type: 'AbsVal'", kMap, kFromTwo},
    {"Power", "type: 'Power' power_param { power: 2 scale: 0.5 shift: 3 }", kMap, kFromTwo},
    {"Exp", "type: 'Exp'", kMap, kFromTwo},
    {"Log", "type: 'Log' log_param { shift: 3 }", kMap, kFromTwo},
    {"Dropout", "type: 'Dropout'", kMap, kMap},
    {"Bias", "type: 'Bias'", kMap, kMap},
    {"Scale", "type: 'Scale' scale_param { bias_term: true }", kMap, kFromTwo},
    {"BatchNorm", "type: 'BatchNorm'", {2, 1}, {4, 1}},
    {"Eltwise SUM", "type: 'Eltwise'", kFromTwo, {1, 2}, 2},
    {"Eltwise PROD", "type: 'Eltwise' eltwise_param { operation: PROD }", kFromTwo, {3, 2}, 2},
    {"Eltwise MAX", "type: 'Eltwise' eltwise_param { operation: MAX }", kFromTwo, {3, 2}, 2},
    {"Concat", "type: 'Concat'", {2, 2}, {2, 2}, 2},
    {"Slice", "type: 'Slice'", kMap, kMap, 1, 2},
    {"Softmax", "type: 'Softmax'", kMap, kFromTwo},
    {"LRN", "type: 'LRN'", kMap, kFromTwo},
    {"MVN", "type: 'MVN'", {2, 1}, {4, 1}},
    {"Pooling MAX 2x2", "type: 'Pooling' pooling_param { kernel_size: 2 stride: 2 }", {1, kPooled}, {kPooled, 1}},
    {"Pooling MAX 3x3", "type: 'Pooling' pooling_param { kernel_size: 3 stride: 2 }", {1, kPooled}, {kPooled, 1}},
    {"Pooling AVE 3x3",
     "type: 'Pooling' pooling_param { pool: AVE kernel_size: 3 stride: 2 }",
     {1, kPooled},
     {kPooled, 1}},
};

// "bottom: 'x0' bottom: 'x1'"
std::string Blobs(const char* field, const char* name, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) absl::StrAppend(&text, " ", field, ": '", name, i, "'");
  return text;
}

// Each bottom comes from a layer that learns, so that its gradient is wanted; each top goes into the loss.
std::string NetOf(const Case& measured) {
  std::string text = absl::Substitute(
      "layer { name: 'in' type: 'Input' top: 'in' input_param { shape { dim: $0 dim: $1 dim: $2 dim: $2 } } } ",
      kRecords, kChannels, kSize);
  for (int i = 0; i < measured.bottoms; ++i)
    absl::StrAppend(&text, "layer { name: 'below", i, "' type: 'Bias' bottom: 'in' top: 'x", i, "' } ");
  absl::StrAppend(&text, "layer { name: 'measured' ", measured.layer, Blobs("bottom", "x", measured.bottoms),
                  Blobs("top", "y", measured.tops), " } ");
  for (int i = 0; i < measured.tops; ++i) {
    absl::StrAppend(&text, "layer { name: 'loss", i, "' type: 'Reduction' bottom: 'y", i, "' top: 'loss", i,
                    "' loss_weight: 1 } ");
  }
  return text;
}

absl::StatusOr<std::unique_ptr<Net>> MakeNet(const Case& measured) {
  caffe::NetParameter param;
  if (!google::protobuf::TextFormat::ParseFromString(NetOf(measured), &param))
    return absl::InternalError(absl::StrCat("the text of ", measured.name, " is wrong"));
  SAMOVAR_ASSIGN_OR_RETURN(std::unique_ptr<Net> net, Net::Create(param, NetOptions()));
  std::fill(net->weights().begin(), net->weights().end(), 0.5f);
  const std::span<float> values = net->inputs()[0].tops[0];
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(Philox(1, 0, i)[0] % 4096) / 1024.0f - 2.5f;
  return net;
}

double Median(std::vector<double>* values) {
  std::nth_element(values->begin(), values->begin() + static_cast<ptrdiff_t>(values->size() / 2), values->end());
  return (*values)[values->size() / 2];
}

struct Rates {
  // Parts of the triad's rate, a round each.
  std::vector<double> forward;
  std::vector<double> backward;
};

absl::StatusOr<Rates> Measure(const Case& measured) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<Net> net, MakeNet(measured));
  Triad triad(3 * kElements);
  const size_t layer = static_cast<size_t>(measured.bottoms) + (measured.bottoms > 1 ? 2 : 1);
  Rates rates;
  double forward = 0, backward = 0;
  absl::Time last;
  net->SetObserver([&](size_t number, bool is_forward) {
    const absl::Time now = SteadyNow();
    if (number == layer) (is_forward ? forward : backward) = absl::ToDoubleSeconds(now - last);
    last = now;
  });
  for (int round = -1; round < absl::GetFlag(FLAGS_rounds); ++round) {
    last = SteadyNow();
    SAMOVAR_RETURN_IF_ERROR(net->Forward(0, /*seed=*/1));
    last = SteadyNow();
    SAMOVAR_RETURN_IF_ERROR(net->Backward([](uint64_t, uint64_t) {}));
    const absl::Time begun = SteadyNow();
    triad.Run();
    const double rate = triad.bytes() / absl::ToDoubleSeconds(SteadyNow() - begun);
    // Memory is touched by the first.
    if (round < 0) continue;
    rates.forward.push_back(measured.forward.bytes() / forward / rate);
    rates.backward.push_back(measured.backward.bytes() / backward / rate);
  }
  return rates;
}

int Run() {
  const double goal = absl::GetFlag(FLAGS_goal);
  std::vector<std::string> slow;
  std::cout << absl::StrFormat("%-22s %10s %10s\n", "layer", "forward", "backward");
  for (const Case& measured : kCases) {
    if (!absl::StartsWith(measured.name, absl::GetFlag(FLAGS_only))) continue;
    absl::StatusOr<Rates> rates = Measure(measured);
    if (!rates.ok()) {
      std::cerr << measured.name << ": " << rates.status().message() << std::endl;
      return 2;
    }
    const double forward = Median(&rates->forward), backward = Median(&rates->backward);
    std::cout << absl::StrFormat("%-22s %9.0f%% %9.0f%%", measured.name, 100 * forward, 100 * backward) << std::endl;
    if (forward < goal) slow.push_back(absl::StrFormat("%s forward (%.0f%%)", measured.name, 100 * forward));
    if (backward < goal) slow.push_back(absl::StrFormat("%s backward (%.0f%%)", measured.name, 100 * backward));
  }
  if (slow.empty()) return 0;
  std::cout << absl::StrFormat("below %.0f%% of the triad: ", 100 * goal) << absl::StrJoin(slow, ", ") << std::endl;
  return 1;
}

}  // namespace
}  // namespace samovar

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  return samovar::Run();
}
