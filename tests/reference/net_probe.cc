// net_probe runs a net and a solver step by step and writes down what came out, for comparison with another program's
// results.
//
//   net_probe NET SOLVER STEPS INPUT OUTPUT
//
// NET, SOLVER   prototxt files. The net's only fed layers are Input layers.
// INPUT         raw little-endian float32: the flat vector of weights, then for each step the tops of all Input layers,
//               in net order.
// OUTPUT        likewise: for each step the loss, the outputs and the gradients; after the last step the weights.
// Prints the net's layout, one "layer index count" a line, for the caller to lay out the weights.
//
// Steps use the server's own rules, as one chunk.
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "common/caffe/prototxt.h"
#include "common/model/layout.h"
#include "server/solver/solver_rule.h"
#include "server/store/chunk.h"
#include "worker/nn/net.h"

namespace samovar {
namespace {

template <typename T>
T OrDie(absl::StatusOr<T> value) {
  if (value.ok()) return *std::move(value);
  std::cerr << "net_probe: " << value.status().message() << '\n';
  std::exit(1);
}

void OrDie(const absl::Status& status) {
  if (status.ok()) return;
  std::cerr << "net_probe: " << status.message() << '\n';
  std::exit(1);
}

std::vector<float> ReadFloats(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const float* floats = reinterpret_cast<const float*>(bytes.data());
  return {floats, floats + bytes.size() / sizeof(float)};
}

void Write(std::span<const float> values, std::ofstream* out) {
  out->write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size_bytes()));
}

std::unique_ptr<Chunk> WholeNet(const SolverRule& rule, const v1::ParameterLayout& layout,
                                std::span<const float> weights) {
  ChunkImage image;
  image.weights.assign(weights.begin(), weights.end());
  image.state.assign(static_cast<size_t>(rule.state_vectors()), std::vector<float>(weights.size()));
  return std::make_unique<Chunk>(std::move(image), BuildSegments(layout, 0, layout.elements()), Chunk::Options());
}

// Takes `count` floats off the front.
std::span<const float> Take(size_t count, std::span<const float>* from) {
  if (from->size() < count) OrDie(absl::InvalidArgumentError("INPUT is too short"));
  const std::span<const float> taken = from->subspan(0, count);
  *from = from->subspan(count);
  return taken;
}

void Run(const std::string& net_path, const std::string& solver_path, uint64_t steps, const std::string& input,
         const std::string& output) {
  std::unique_ptr<Net> net = OrDie(Net::Create(OrDie(ReadNetFile(net_path, nullptr, StorageTable())), {}));
  const auto rule = OrDie(SolverRule::Create(OrDie(ReadSolverFile(solver_path, nullptr, StorageTable()))));
  for (const v1::ParameterBlob& blob : net->layout().blobs()) {
    std::cout << blob.layer() << ' ' << blob.index() << ' ' << BlobElements(blob) << '\n';
  }
  const std::vector<float> floats = ReadFloats(input);
  std::span<const float> rest = floats;
  const auto chunk = WholeNet(*rule, net->layout(), Take(net->layout().elements(), &rest));
  std::ofstream out(output, std::ios::binary);
  for (uint64_t t = 0; t < steps; ++t) {
    std::copy(chunk->image().weights.begin(), chunk->image().weights.end(), net->weights().begin());
    for (const NetInput& fed : net->inputs()) {
      for (const std::span<float> top : fed.tops) {
        const std::span<const float> values = Take(top.size(), &rest);
        std::copy(values.begin(), values.end(), top.begin());
      }
    }
    OrDie(net->Forward(t, 0));
    OrDie(net->Backward([](uint64_t, uint64_t) {}));
    const float loss = net->loss();
    Write({&loss, 1}, &out);
    Write(net->outputs(), &out);
    Write(net->gradients(), &out);
    OrDie(chunk->Push(*rule, t, t, net->gradients()).status());
  }
  Write(chunk->image().weights, &out);
}

}  // namespace
}  // namespace samovar

int main(int argc, char** argv) {
  if (argc != 6) {
    std::cerr << "usage: net_probe NET SOLVER STEPS INPUT OUTPUT\n";
    return 2;
  }
  samovar::Run(argv[1], argv[2], std::stoull(argv[3]), argv[4], argv[5]);
  return 0;
}
