// Whether a net whose layers are computed together has the values of one that computes each layer by itself.
#pragma once

#include <string>
#include <vector>

#include "samovar/v1/layout.pb.h"
#include "worker/nn/net.h"

namespace samovar {

// Of the labels in these nets.
inline constexpr int kClasses = 3;

// A net whose `layers` make `last` of "below", which has the shape of a record and whose gradient is wanted: a layer
// that learns stands under it. `last` is an output of the net too.
std::string NetText(int batch, const std::string& layers, const std::string& last);

// In phase TRAIN, with records of 6 channels, 11 x 12.
NetOptions Small();

struct Values {
  std::vector<float> outputs;
  std::vector<float> gradients;
  v1::ParameterLayout layout;
};

// Those of one iteration, all finite.
Values Compute(const std::string& text, NetOptions options);

// Largest difference of the gradients, as a part of the largest gradient of all.
double DifferenceOfAll(const Values& a, const Values& b);

// Largest difference of a blob's gradients, as a part of the blob's largest gradient.
double Difference(const Values& a, const Values& b);

// The same outputs, to the bit; the same gradients but for the order of sums; and any number of threads computes the
// same bits. `difference` of the gradients: below a BatchNorm some are 0 but for rounding, and no blob can be compared
// by itself.
void CheckFusion(const std::string& text, NetOptions options,
                 double (*difference)(const Values&, const Values&) = Difference, double most = 1e-5);

}  // namespace samovar
