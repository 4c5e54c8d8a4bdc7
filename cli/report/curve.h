// Curve is the course of a training run: losses, outputs, rates and tests by iteration; from a coordinator, from a CSV
// that was written of it, or from a log in Caffe's format.
//
// Thread safety: as a container's; the functions are pure.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "samovar/v1/job.pb.h"
#include "samovar/v1/status.pb.h"

namespace samovar {

struct Curve {
  static constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

  struct Point {
    uint64_t iteration = 0;
    // As far as they are known; else kUnknown.
    double seconds = kUnknown;
    double images_per_second = kUnknown;
    double learning_rate = kUnknown;
    // The update's, in updates of others.
    double staleness = kUnknown;
    float loss = std::numeric_limits<float>::quiet_NaN();
    // As many as there are names of them.
    std::vector<float> outputs;
  };
  struct Test {
    uint64_t iteration = 0;
    // As many as there are names of tests; NaN: another test net's.
    std::vector<float> outputs;
  };

  // The train net's, each once: several values of one name are "fc[0]", "fc[1]".
  std::vector<std::string> output_names;
  // "test0 accuracy"
  std::vector<std::string> test_names;
  // Ascending. Of tests several may be of one iteration.
  std::vector<Point> points;
  std::vector<Test> tests;
  // When the job began to run, in milliseconds since 1970; 0: not known.
  uint64_t started_unix_ms = 0;
};

// The points of the blocks, and tests from `first_iteration` on.
Curve CurveOf(const std::vector<v1::HistoryBlock>& blocks, const std::vector<v1::TestReport>& tests,
              uint64_t first_iteration = 0);

// Sets images_per_second. Points of the same second came together, and have one rate.
void SetRates(uint64_t images_of_iteration, Curve* curve);

// The points and tests of an earlier run before the first point of this one, which goes on from it. Another net's are
// left out.
void Prepend(const Curve& earlier, Curve* curve);

// A line of names, then a line each point and each test, by iteration; a test's line has the columns of the iteration
// and of the test alone. "seconds", "images_per_second", "learning_rate", "loss", "staleness", "train NAME",
// "test0 NAME".
std::string CurveCsv(const Curve& curve);
// An object a line.
std::string CurveJson(const Curve& curve);
// For people.
std::string CurveTable(const Curve& curve);

// A CSV as CurveCsv writes it, with any of its columns in any order, or a log in Caffe's format. INVALID_ARGUMENT: it
// is neither; the message names the line.
absl::StatusOr<Curve> ParseCurve(absl::string_view text);

}  // namespace samovar
