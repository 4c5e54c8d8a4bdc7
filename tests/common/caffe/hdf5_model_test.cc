#include "common/caffe/hdf5_model.h"

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "common/caffe/hdf5_archive.h"
#include "common/caffe/prototxt.h"
#include "google/protobuf/text_format.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

caffe::NetParameter Model(const std::string& text) {
  auto model = ParseNet(text, "model");
  REQUIRE_OK(model);
  return *model;
}

caffe::NetParameter ReadBack(const std::string& text) {
  const auto bytes = EncodeHdf5Model(Model(text));
  REQUIRE_OK(bytes);
  const auto model = DecodeHdf5Model(*bytes);
  REQUIRE_OK(model);
  return *model;
}

std::string Text(const google::protobuf::Message& message) {
  std::string text;
  google::protobuf::TextFormat::PrintToString(message, &text);
  return text;
}

// The result of reading a file with these datasets of one float as a model.
absl::Status Decoded(const std::vector<std::string>& datasets) {
  const auto file = Hdf5Archive::Create();
  REQUIRE_OK(file);
  const float one = 1;
  for (const std::string& dataset : datasets) REQUIRE_OK((*file)->WriteFloats(dataset, {}, std::span(&one, 1)));
  const auto bytes = (*file)->Bytes();
  REQUIRE_OK(bytes);
  return DecodeHdf5Model(*bytes).status();
}

caffe::SolverState State() {
  caffe::SolverState state;
  state.set_iter(500);
  state.set_learned_net("output/lenet_iter_500.caffemodel.h5");
  state.set_current_step(2);
  for (int i = 0; i < 12; ++i) {
    caffe::BlobProto* blob = state.add_history();
    blob->mutable_shape()->add_dim(2);
    blob->add_data(static_cast<float>(i));
    blob->add_data(-0.5f);
  }
  return state;
}

const char kSmall[] = R"(layer { name: "a" blobs { shape { dim: 2 dim: 2 } data: [1, 2, 3, 4] } blobs { data: 5 } })";

// Every truncation and many flipped bits.
template <typename Decode>
void Damage(const std::string& bytes, const Decode& decode) {
  for (size_t size = 0; size < bytes.size(); size += 37) {
    CHECK(decode(bytes.substr(0, size)).code() == absl::StatusCode::kDataLoss);
  }
  std::mt19937 random(5);
  for (int i = 0; i < 4000; ++i) {
    std::string noisy = bytes;
    const int flips = 1 + static_cast<int>(random() % 4);
    for (int k = 0; k < flips; ++k) noisy[random() % noisy.size()] ^= static_cast<char>(1 << random() % 8);
    const absl::Status status = decode(noisy);
    if (!status.ok()) CHECK(status.code() == absl::StatusCode::kDataLoss);
  }
}

}  // namespace

TEST_CASE("a model in HDF5 comes back with names, shapes and values") {
  const auto model = ReadBack(R"(
    name: "n"
    layer { name: "conv" type: "Convolution" blobs { shape { dim: 2 dim: 1 dim: 3 dim: 1 } data: [1, 2, 3, 4, 5, 6] }
            blobs { shape { dim: 2 } data: [7, 8] } }
    layer { name: "bn" blobs { shape { dim: 1 } double_data: 2.5 } blobs { data: 9 } blobs { shape { dim: 0 } } }
    layer { name: "relu" }
    layer { name: "old" blobs { num: 1 channels: 1 height: 1 width: 2 data: [1, 2] } })");
  CHECK(Text(model) == Text(Model(R"(
    layer { name: "bn" blobs { shape { dim: 1 } data: 2.5 } blobs { shape { } data: 9 } blobs { shape { dim: 0 } } }
    layer { name: "conv" blobs { shape { dim: 2 dim: 1 dim: 3 dim: 1 } data: [1, 2, 3, 4, 5, 6] }
            blobs { shape { dim: 2 } data: [7, 8] } }
    layer { name: "old" blobs { shape { dim: [1, 1, 1, 2] } data: [1, 2] } }
    layer { name: "relu" })")));
}

TEST_CASE("a layer whose name has slashes is a group in a group") {
  const auto model = ReadBack(R"(
    layer { name: "inception/1x1" blobs { data: 1 } } layer { name: "inception/pool/proj" blobs { data: 2 } }
    layer { name: "inception" blobs { data: 3 } })");
  REQUIRE(model.layer_size() == 3);
  CHECK(model.layer(0).name() == "inception");
  CHECK(model.layer(0).blobs(0).data(0) == 3);
  CHECK(model.layer(1).name() == "inception/1x1");
  CHECK(model.layer(2).name() == "inception/pool/proj");
  CHECK(model.layer(2).blobs(0).data(0) == 2);
}

TEST_CASE("a blob that layers share is in the first of them only") {
  const auto model = ReadBack(R"(
    layer { name: "a" param { name: "w" } param { } blobs { data: 1 } blobs { data: 2 } }
    layer { name: "b" param { name: "w" } blobs { data: 1 } blobs { data: 3 } }
    layer { name: "c" param { } param { name: "w" } blobs { data: 4 } blobs { data: 1 } })");
  REQUIRE(model.layer_size() == 3);
  CHECK(model.layer(0).blobs_size() == 2);
  REQUIRE(model.layer(1).blobs_size() == 2);
  CHECK(model.layer(1).blobs(0).data_size() == 0);
  CHECK(model.layer(1).blobs(1).data(0) == 3);
  CHECK(model.layer(2).blobs_size() == 1);
}

TEST_CASE("the bytes of a model in HDF5 are the same each time") {
  const auto bytes = EncodeHdf5Model(Model(kSmall));
  REQUIRE_OK(bytes);
  CHECK(*bytes == *EncodeHdf5Model(Model(kSmall)));
  CHECK(IsHdf5(*bytes));
}

TEST_CASE("models that HDF5 cannot hold are refused with the layer") {
  const auto refused = [](const std::string& text, const std::string& what) {
    REQUIRE_STATUS(EncodeHdf5Model(Model(text)), absl::StatusCode::kInvalidArgument, what);
  };
  refused("layer { }", "a layer named \"\"");
  refused("layer { name: 'a' } layer { name: 'a' }", "a layer named \"a\"");
  refused("layer { name: 'a//b' }", "\"a//b\"");
  refused("layer { name: 'a' blobs { data: 1 } } layer { name: 'a/0' }", "\"data/a/0\"");
  refused("layer { name: 'a' blobs { shape { dim: 2 } data: 1 } }", "data/a/0 holds 1 values; its shape says 2");
  std::string axes;
  for (int i = 0; i < 33; ++i) axes += "dim: 1 ";
  refused("layer { name: 'a' blobs { shape { " + axes + "} data: 1 } }", "33 axes");
}

TEST_CASE("files in HDF5 that are no models are data loss that names the group or dataset") {
  REQUIRE_STATUS(Decoded({"weights/0"}), absl::StatusCode::kDataLoss, "\"data\" is missing");
  REQUIRE_STATUS(Decoded({"data"}), absl::StatusCode::kDataLoss, "\"data\" is not a group");
  REQUIRE_STATUS(Decoded({"data/a"}), absl::StatusCode::kDataLoss, "\"data/a\" is not the group of a layer");
  REQUIRE_STATUS(Decoded({"data/a/weights"}), absl::StatusCode::kDataLoss,
                 "\"data/a/weights\" is not named by the index of a blob");
  REQUIRE_STATUS(Decoded({"data/a/01"}), absl::StatusCode::kDataLoss, "\"data/a/01\"");
  REQUIRE_STATUS(Decoded({"data/a/999999"}), absl::StatusCode::kDataLoss, "\"data/a/999999\"");
  REQUIRE_STATUS(Decoded({"data/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/0"}), absl::StatusCode::kDataLoss,
                 "holds itself");
  REQUIRE_STATUS(DecodeHdf5Model(*EncodeHdf5State(State())), absl::StatusCode::kDataLoss, "this is a solver state");
  REQUIRE_STATUS(DecodeHdf5State(*EncodeHdf5Model(Model(kSmall))), absl::StatusCode::kDataLoss, "this is a model");
  REQUIRE_STATUS(DecodeHdf5Model("\x89HDF\r\n\x1a\n and more"), absl::StatusCode::kDataLoss, "not a whole file");
  REQUIRE_STATUS(DecodeHdf5Model(""), absl::StatusCode::kDataLoss, "not a file in HDF5");

  const auto file = Hdf5Archive::Create();
  REQUIRE_OK(file);
  REQUIRE_OK((*file)->WriteInt("data/a/0", 3));
  REQUIRE_STATUS(DecodeHdf5Model(*(*file)->Bytes()), absl::StatusCode::kDataLoss,
                 "\"data/a/0\" holds values of another type");
}

TEST_CASE("a solver state in HDF5 comes back as it was, with its history in order") {
  const auto bytes = EncodeHdf5State(State());
  REQUIRE_OK(bytes);
  const auto state = DecodeHdf5State(*bytes);
  REQUIRE_OK(state);
  CHECK(Text(*state) == Text(State()));
}

TEST_CASE("solver states in HDF5 with something missing or impossible are data loss that names it") {
  const auto decoded = [](bool iteration, int32_t step, const std::vector<std::string>& history) {
    const auto file = Hdf5Archive::Create();
    REQUIRE_OK(file);
    const float one = 1;
    if (iteration) REQUIRE_OK((*file)->WriteInt("iter", 7));
    REQUIRE_OK((*file)->WriteInt("current_step", step));
    for (const std::string& path : history) REQUIRE_OK((*file)->WriteFloats(path, {1}, std::span(&one, 1)));
    return DecodeHdf5State(*(*file)->Bytes()).status();
  };
  REQUIRE_OK(decoded(true, 0, {"history/0", "history/1"}));
  REQUIRE_STATUS(decoded(false, 0, {"history/0"}), absl::StatusCode::kDataLoss, "\"iter\" is missing");
  REQUIRE_STATUS(decoded(true, -2, {"history/0"}), absl::StatusCode::kDataLoss, "\"current_step\" is -2");
  REQUIRE_STATUS(decoded(true, 0, {}), absl::StatusCode::kDataLoss, "\"history\" is missing");
  REQUIRE_STATUS(decoded(true, 0, {"history/0", "history/2"}), absl::StatusCode::kDataLoss, "\"history/1\" is missing");
  REQUIRE_STATUS(decoded(true, 0, {"history/0/0"}), absl::StatusCode::kDataLoss, "\"history/0\" is not a dataset");
}

TEST_CASE("every truncation of a file in HDF5, and flipped bits in it, are an error or values, not a crash") {
  const auto model = EncodeHdf5Model(Model(kSmall));
  REQUIRE_OK(model);
  Damage(*model, [](const std::string& bytes) { return DecodeHdf5Model(bytes).status(); });
  const auto state = EncodeHdf5State(State());
  REQUIRE_OK(state);
  Damage(*state, [](const std::string& bytes) { return DecodeHdf5State(bytes).status(); });
}

}  // namespace samovar
