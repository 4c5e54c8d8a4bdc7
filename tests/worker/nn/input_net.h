// Single layers on blobs of given values.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace samovar {

// A blob that an Input layer gives.
struct Given {
  std::string name;
  std::vector<int> shape;
  std::vector<float> values;
};

// Outputs of a TEST net of `layers` on Input layers; fails the test if the net is refused or has other weights.
std::vector<float> Outputs(const std::vector<Given>& inputs, const std::string& layers,
                           const std::vector<float>& weights = {});

// The TEST net's error, or OK.
absl::Status StatusOfNet(const std::vector<Given>& inputs, const std::string& layers);

}  // namespace samovar
