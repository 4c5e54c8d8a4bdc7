// Small nets for tests: from text, with weights and records that depend on a seed alone.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "caffe.pb.h"
#include "worker/nn/net.h"

namespace samovar {

// Aborts on text that is not a net.
caffe::NetParameter NetFromText(const std::string& text);

// A Data layer "input" with tops "data" and "label".
std::string DataText(int batch_size);
// Caffe's LeNet for training.
std::string LeNetText(int batch_size);

// For nets of DataText: records [channels, height, width] with a label.
NetOptions ImageOptions(caffe::Phase phase, int64_t channels, int64_t height, int64_t width,
                        ThreadPool* pool = nullptr);

// The tops of a net's only data layer.
std::span<float> DataOf(Net* net);
std::span<float> LabelsOf(Net* net);

// Fails the test if the net is refused.
std::unique_ptr<Net> MakeNet(const std::string& text, const NetOptions& options);

// Weights and data uniform in [-1, 1), data in steps far above rounding so that maxima are clear; labels below
// `classes`.
void FillWeights(Net* net, uint64_t seed, float scale = 1);
// Makes what BatchNorm keeps positive: no variance is below zero, nor a number of batches.
void FixStatistics(Net* net);
void FillRecords(Net* net, uint64_t seed, int classes);

// Forward and Backward; the gradients.
std::vector<float> Gradients(Net* net);

}  // namespace samovar
