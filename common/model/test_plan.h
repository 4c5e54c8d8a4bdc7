// Which records a test of a net reads: Caffe's test_iter, as a pure function of the iteration.
//
// A test reads test_iter batches, and goes on where the one before it has stopped; after the last record comes the
// first again. Where test_iter batches are as many as there are records, or more, each record is read once instead.
//
// Thread safety: stateless.
#pragma once

#include <cstdint>

#include "samovar/v1/job.pb.h"

namespace samovar {

// Records [first, first + count) of a net's first data layer; numbers beyond its last record go on with its first.
struct TestedRange {
  uint64_t first = 0;
  uint64_t count = 0;
  bool operator==(const TestedRange&) const = default;
};

// How many records a test of all of them has: each once. Where data layers have batches of different sizes, whole
// batches, since there is no part of one. REQUIRES: data.batch_size() > 0
uint64_t WholeTest(const v1::DatasetSpec& data);

// Those of the test of net `net` at an iteration. Without a data layer: test_iter batches, numbered from 0.
// REQUIRES: the job has the net, and data for it.
TestedRange RecordsOfTest(const v1::JobSpec& spec, int net, uint64_t iteration);

}  // namespace samovar
