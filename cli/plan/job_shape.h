// A job as the model of a cluster sees it: how long its layers compute, how many floats each of them has, and the
// settings that change how these travel.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "samovar/v1/consistency.pb.h"
#include "samovar/v1/encoding.pb.h"

namespace samovar {

// Seconds of one thread of the reference machine (machine_profile.h) for a pass of so many images: part of it is there
// for any number, since weights are read once a pass.
struct PassSeconds {
  double fixed = 0;
  double per_image = 0;

  double Of(double images) const { return fixed + per_image * images; }
};

struct LayerShape {
  std::string name;
  uint64_t parameters = 0;
  PassSeconds forward = {};
  PassSeconds backward = {};
  // For an image, as Net counts them.
  double forward_flops = 0;
  double backward_flops = 0;
};

struct JobShape {
  std::string name;
  // In net order.
  std::vector<LayerShape> layers;
  // Images of a pass, and passes of an iteration.
  uint32_t batch = 1;
  uint32_t passes = 1;
  uint64_t max_iter = 0;
  // Records of the data set; 0: not known.
  uint64_t records = 0;
  // Vectors that a server keeps beside the weights.
  uint32_t history_vectors = 1;
  // A gradient is final when all of it is there: iter_size, clip_gradients.
  bool final_as_whole = false;
  // The solver can have several iterations a push.
  bool takes_units = true;
  // Bytes of the net's blobs for one image.
  double blob_bytes_per_image = 0;
  // Compute threads gain less than one each: the second adds so much of the first.
  double thread_gain = 0.9;

  uint64_t parameters() const;
  uint64_t images() const { return uint64_t{batch} * passes; }
  // Seconds of one thread for forward and backward of an iteration.
  double IterationSeconds() const;
};

// The choices of a job's user.
struct JobChoices {
  v1::ConsistencyMode mode = v1::CONSISTENCY_ASYNC;
  uint32_t delay = 0;
  uint32_t parts = 1;
  uint32_t push_every = 1;
  v1::Encoding encoding = v1::ENCODING_FLOAT32;
  double topk_ratio = 0.01;
};

// Bytes that a float takes on its way to a server, and back.
double PushBytes(const JobChoices& choices);
double PullBytes(const JobChoices& choices);

// Parts of a batch in sync mode: its smallest divisor that gives each worker a part, else one for each image.
uint32_t PartsFor(uint32_t batch, uint32_t workers);

}  // namespace samovar
