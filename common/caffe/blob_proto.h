// Caffe's arrays as they stand in its files: with the shape in its present or old form, with floats or doubles.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "caffe.pb.h"

namespace samovar {

// The shape is in the old form: num, channels, height and width. Caffe compares an old shape by the last axes alone:
// 1 x 1 x M x N fits weights of M x N, and 1 x 1 x 1 x N biases of N.
bool HasOldShape(const caffe::BlobProto& blob);

// The sizes of the axes, as the file says, four in the old form; no axes are a single number.
std::vector<int64_t> ShapeOf(const caffe::BlobProto& blob);

// The product of the sizes; -1 if one is negative or the product is beyond 64 bits.
int64_t ElementsOf(const std::vector<int64_t>& shape);

// Makes sure that the blob holds as many values as its shape says, and turns doubles into floats: the values are in
// `data` then. DATA_LOSS: they are not as many; `what`: the name of the blob in the message.
absl::Status CheckBlob(const std::string& what, caffe::BlobProto* blob);

}  // namespace samovar
