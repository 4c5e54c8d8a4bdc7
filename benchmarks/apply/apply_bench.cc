// How near to the memory's own speed the server's solver rules come, and how fast floats are encoded, on one thread.
//
//     apply_bench [--rounds 7] [--elements 25000000] [--chunk_elements 65536] [--baseline] [--json]
//
// Rules run as they do in a server: Chunk::Push, with its ledger and its search for NaN. The yardstick, triad.h, and
// what is measured take turns; figures are medians over the rounds, ratios of the same round. README.md says how bytes
// are counted.
#include <time.h>

#include <algorithm>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "benchmarks/support/triad.h"
#include "common/base/process_tuning.h"
#include "common/base/status_macros.h"
#include "common/base/vector_level.h"
#include "common/model/chunk_plan.h"
#include "common/model/consistency.h"
#include "common/parameters/encoding.h"
#include "server/store/chunk.h"

ABSL_FLAG(int, rounds, 7, "turns of each rule and encoding");
ABSL_FLAG(uint64_t, elements, 25'000'000, "floats of the model");
ABSL_FLAG(uint32_t, chunk_elements, 0, "floats of a chunk; 0: what a server with one apply thread would have");
ABSL_FLAG(bool, baseline, false, "keeps to x86-64-v2, as on a CPU without AVX2; the triad too");
ABSL_FLAG(bool, json, false, "prints one JSON object instead of a table");

namespace samovar {
namespace {

// This thread's time, so that others that use the machine's processors do not count; those who use its memory meet the
// triad as well.
double ProcessorSeconds() {
  timespec now = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

struct Figures {
  std::string name;
  // Bytes a second, and those divided by the triad's, one a round.
  std::vector<double> rates;
  std::vector<double> shares;
};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

double RateOf(double bytes, const std::function<absl::Status()>& run, absl::Status* status) {
  const double start = ProcessorSeconds();
  *status = run();
  return bytes / (ProcessorSeconds() - start);
}

// Takes turns with a triad over the same amount of memory. `bytes`: what a run moves.
absl::StatusOr<Figures> Measure(const std::string& name, size_t floats, double bytes,
                                const std::function<absl::Status()>& run) {
  Figures figures{name, {}, {}};
  Triad triad(floats);
  const auto run_triad = [&triad] {
    triad.Run();
    return absl::OkStatus();
  };
  absl::Status status;
  // The first round is for pages and caches.
  for (int round = 0; round <= absl::GetFlag(FLAGS_rounds); ++round) {
    const double before = RateOf(triad.bytes(), run_triad, &status);
    const double rate = RateOf(bytes, run, &status);
    SAMOVAR_RETURN_IF_ERROR(status);
    const double after = RateOf(triad.bytes(), run_triad, &status);
    if (round == 0) continue;
    figures.rates.push_back(rate);
    figures.shares.push_back(rate / ((before + after) / 2));
  }
  return figures;
}

struct Rule {
  const char* type;
  float momentum;
};
constexpr Rule kRules[] = {{"SGD", 0.9f},  {"Nesterov", 0.9f},  {"AdaGrad", 0},
                           {"RMSProp", 0}, {"AdaDelta", 0.95f}, {"Adam", 0.9f}};

absl::StatusOr<Figures> MeasureRule(const Rule& rule, const ChunkPlan& plan) {
  caffe::SolverParameter solver;
  solver.set_type(rule.type);
  solver.set_momentum(rule.momentum);
  solver.set_base_lr(1e-3f);
  solver.set_weight_decay(5e-4f);
  solver.set_lr_policy("fixed");
  solver.set_max_iter(1 << 30);
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<const SolverRule> solver_rule, SolverRule::Create(solver));

  const std::vector<float> gradient(plan.elements(), 1e-3f);
  std::vector<std::unique_ptr<Chunk>> chunks;
  for (uint32_t number = 0; number < plan.chunks(); ++number) {
    ChunkImage image;
    image.chunk = number;
    image.weights.assign(plan.size(number), 0.1f);
    image.state.assign(static_cast<size_t>(solver_rule->state_vectors()), std::vector<float>(plan.size(number)));
    RuleSegment segment;
    segment.end = plan.size(number);
    chunks.push_back(std::make_unique<Chunk>(std::move(image), std::vector<RuleSegment>{segment}, Chunk::Options()));
  }
  const size_t arrays = 2 + static_cast<size_t>(solver_rule->state_vectors());
  // The gradient is read; weights and history are read and written.
  const double bytes = static_cast<double>(sizeof(float) * plan.elements() * (2 * arrays - 1));
  uint64_t t = 0;
  return Measure(rule.type, arrays * plan.elements(), bytes, [&]() -> absl::Status {
    for (const auto& chunk : chunks) {
      const std::span<const float> part =
          std::span(gradient).subspan(plan.begin(chunk->image().chunk), chunk->image().weights.size());
      SAMOVAR_RETURN_IF_ERROR(chunk->Push(*solver_rule, t, t, part).status());
    }
    ++t;
    return absl::OkStatus();
  });
}

// Both directions, by chunks. Bytes are those of the floats, and those of the encoded.
absl::Status MeasureEncoding(v1::Encoding encoding, const ChunkPlan& plan, std::vector<Figures>* all) {
  std::vector<float> values(plan.elements());
  for (size_t i = 0; i < values.size(); ++i) values[i] = 1e-3f * static_cast<float>(static_cast<int>(i % 1999) - 999);
  std::vector<char> encoded(plan.chunks() * EncodedBytes(encoding, plan.chunk_elements()));
  const double bytes = static_cast<double>(sizeof(float) * plan.elements() + EncodedBytes(encoding, plan.elements()));
  const auto each_chunk = [&](const auto& act) {
    for (uint32_t chunk = 0; chunk < plan.chunks(); ++chunk) {
      act(std::span(values).subspan(plan.begin(chunk), plan.size(chunk)),
          encoded.data() + chunk * EncodedBytes(encoding, plan.chunk_elements()), chunk);
    }
    return absl::OkStatus();
  };
  const std::string name = EncodingName(encoding);
  const size_t floats = static_cast<size_t>(bytes) / sizeof(float);
  SAMOVAR_ASSIGN_OR_RETURN(Figures encodes, Measure(absl::StrCat("to ", name), floats, bytes, [&] {
                             return each_chunk([&](std::span<float> part, char* to, uint32_t chunk) {
                               EncodeFloats(encoding, part, chunk, to);
                             });
                           }));
  SAMOVAR_ASSIGN_OR_RETURN(
      Figures decodes, Measure(absl::StrCat("from ", name), floats, bytes, [&] {
        return each_chunk([&](std::span<float> part, char* from, uint32_t) { DecodeFloats(encoding, from, part); });
      }));
  all->push_back(std::move(encodes));
  all->push_back(std::move(decodes));
  return absl::OkStatus();
}

void Print(const std::vector<Figures>& all) {
  std::cout << "| | GB/s | of the triad | lowest, highest |\n|---|---|---|---|\n";
  for (const Figures& figures : all) {
    const auto [lowest, highest] = std::minmax_element(figures.shares.begin(), figures.shares.end());
    std::cout << absl::StrFormat("| %s | %.1f | %.0f%% | %.0f%%, %.0f%% |\n", figures.name,
                                 Median(figures.rates) * 1e-9, 100 * Median(figures.shares), 100 * *lowest,
                                 100 * *highest);
  }
}

void PrintJson(const std::vector<Figures>& all) {
  std::vector<std::string> fields;
  for (const Figures& figures : all) {
    std::string key = absl::AsciiStrToLower(figures.name);
    std::replace(key.begin(), key.end(), ' ', '_');
    fields.push_back(absl::StrFormat("\"%s_bytes_per_second\":%.0f", key, Median(figures.rates)));
    fields.push_back(absl::StrFormat("\"%s_of_triad\":%.3f", key, Median(figures.shares)));
  }
  std::cout << "{" << absl::StrJoin(fields, ",") << "}\n";
}

absl::Status Main() {
  if (absl::GetFlag(FLAGS_rounds) < 1) return absl::InvalidArgumentError("--rounds is 1 or more");
  const uint64_t elements = absl::GetFlag(FLAGS_elements);
  const uint32_t chosen = absl::GetFlag(FLAGS_chunk_elements);
  SAMOVAR_ASSIGN_OR_RETURN(
      const ChunkPlan plan,
      ChunkPlan::Create(elements, chosen != 0 ? chosen : ChunkPlan::ChooseChunkElements(elements, /*apply_threads=*/1),
                        /*servers=*/1));
  std::vector<Figures> all;
  for (const Rule& rule : kRules) {
    SAMOVAR_ASSIGN_OR_RETURN(Figures figures, MeasureRule(rule, plan));
    all.push_back(std::move(figures));
  }
  for (const v1::Encoding encoding :
       {v1::ENCODING_FLOAT32, v1::ENCODING_BFLOAT16, v1::ENCODING_FLOAT16, v1::ENCODING_INT8_BLOCKS}) {
    SAMOVAR_RETURN_IF_ERROR(MeasureEncoding(encoding, plan, &all));
  }
  absl::GetFlag(FLAGS_json) ? PrintJson(all) : Print(all);
  return absl::OkStatus();
}

}  // namespace
}  // namespace samovar

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  samovar::TuneProcess();
  if (absl::GetFlag(FLAGS_baseline)) samovar::SetVectorLevel(samovar::VectorLevel::kV2);
  const absl::Status status = samovar::Main();
  if (!status.ok()) std::cerr << "apply_bench: " << status.message() << "\n";
  return status.ok() ? 0 : 1;
}
