#include "common/caffe/solver_state_file.h"

#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include "absl/strings/match.h"
#include "common/caffe/hdf5_archive.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

caffe::SolverState State() {
  caffe::SolverState state;
  state.set_iter(5000);
  state.set_learned_net("a_iter_5000.caffemodel");
  state.set_current_step(1);
  for (int i = 0; i < 3; ++i) {
    caffe::BlobProto* blob = state.add_history();
    blob->mutable_shape()->add_dim(1);
    blob->mutable_shape()->add_dim(2);
    blob->add_data(0.25f);
    blob->add_data(static_cast<float>(i));
  }
  return state;
}

std::string Bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

void WriteBytes(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

absl::Status ReadBytes(const std::string& bytes) {
  TempDir dir;
  WriteBytes(dir.File("s.solverstate"), bytes);
  return ReadSolverState(dir.File("s.solverstate"), StorageTable()).status();
}

}  // namespace

TEST_CASE("a solver state is read as it was written, in both formats, and written again the same") {
  TempDir dir;
  for (const char* name : {"out/s.solverstate", "out/s.solverstate.h5"}) {
    INFO(name);
    const std::string path = dir.File(name);
    REQUIRE_OK(WriteSolverState(path, State(), StorageTable()));
    CHECK(IsHdf5(Bytes(path)) == absl::EndsWith(name, ".h5"));
    const auto state = ReadSolverState(path, StorageTable());
    REQUIRE_OK(state);
    CHECK(state->SerializeAsString() == State().SerializeAsString());
    REQUIRE_OK(WriteSolverState(path + ".h5", *state, StorageTable()));
    REQUIRE_OK(WriteSolverState(dir.File("again"), *state, StorageTable()));
    CHECK(Bytes(dir.File("again")) == State().SerializeAsString());
  }
}

TEST_CASE("a solver state is Caffe's format to the byte") {
  TempDir dir;
  const std::string path = dir.File("s.solverstate");
  // iter (1), learned_net (2), history (3) { shape (7) { dim (1), packed }, data (5), packed }, current_step (4)
  const std::string history("\x1a\x0b\x3a\x03\x0a\x01\x01\x2a\x04\x00\x00\x80\x3f", 13);
  const std::string bytes = "\x08\x07\x12\x01m" + history + "\x20\x02";
  WriteBytes(path, bytes);
  const auto state = ReadSolverState(path, StorageTable());
  REQUIRE_OK(state);
  CHECK(state->iter() == 7);
  CHECK(state->learned_net() == "m");
  CHECK(state->history(0).data(0) == 1);
  CHECK(state->current_step() == 2);
}

TEST_CASE("a history in the old shape, or of doubles, is read as floats") {
  caffe::SolverState state;
  state.set_iter(0);
  caffe::BlobProto* blob = state.add_history();
  blob->set_num(1);
  blob->set_channels(1);
  blob->set_height(1);
  blob->set_width(2);
  blob->add_double_data(1.5);
  blob->add_double_data(2);
  TempDir dir;
  WriteBytes(dir.File("s"), state.SerializeAsString());
  const auto read = ReadSolverState(dir.File("s"), StorageTable());
  REQUIRE_OK(read);
  REQUIRE(read->history(0).data_size() == 2);
  CHECK(read->history(0).data(0) == 1.5f);
  CHECK(read->history(0).width() == 2);
}

TEST_CASE("files that are no solver state are errors that name them") {
  TempDir dir;
  REQUIRE_STATUS(ReadSolverState(dir.File("none"), StorageTable()), absl::StatusCode::kNotFound, dir.File("none"));
  REQUIRE_STATUS(ReadSolverState(dir.File("none.h5"), StorageTable()), absl::StatusCode::kNotFound,
                 dir.File("none.h5"));
  REQUIRE_STATUS(ReadBytes(""), absl::StatusCode::kDataLoss, "s.solverstate: it has no iteration");
  REQUIRE_STATUS(ReadBytes("base_lr: 0.01"), absl::StatusCode::kDataLoss, "not a .solverstate, or it is damaged");
  REQUIRE_STATUS(ReadBytes(std::string("\x0a\x01n", 3)), absl::StatusCode::kDataLoss, "no iteration");
  caffe::SolverState negative = State();
  negative.set_iter(-1);
  REQUIRE_STATUS(ReadBytes(negative.SerializeAsString()), absl::StatusCode::kDataLoss, "iteration -1");
  caffe::SolverState torn = State();
  torn.mutable_history(1)->add_data(1);
  REQUIRE_STATUS(ReadBytes(torn.SerializeAsString()), absl::StatusCode::kDataLoss,
                 "blob 1 of the history holds 3 values; its shape says 2");
  WriteBytes(dir.File("x.h5"), State().SerializeAsString());
  REQUIRE_STATUS(ReadSolverState(dir.File("x.h5"), StorageTable()), absl::StatusCode::kDataLoss,
                 dir.File("x.h5") + ": this is not a file in HDF5");
}

TEST_CASE("a state whose blobs do not fit their shapes is not written") {
  TempDir dir;
  caffe::SolverState torn = State();
  torn.mutable_history(2)->add_data(1);
  for (const char* name : {"s.solverstate", "s.solverstate.h5"}) {
    REQUIRE_STATUS(WriteSolverState(dir.File(name), torn, StorageTable()), absl::StatusCode::kInvalidArgument,
                   dir.File(name));
    CHECK(ReadSolverState(dir.File(name), StorageTable()).status().code() == absl::StatusCode::kNotFound);
  }
}

TEST_CASE("every truncation of a solver state and any noise in it is an error or a state, not a crash") {
  const std::string bytes = State().SerializeAsString();
  for (size_t size = 0; size < bytes.size(); ++size) {
    const absl::Status status = ReadBytes(bytes.substr(0, size));
    if (!status.ok()) CHECK(status.code() == absl::StatusCode::kDataLoss);
  }
  std::mt19937 random(3);
  for (int i = 0; i < 500; ++i) {
    std::string noisy = bytes;
    for (int k = 0; k < 3; ++k) noisy[random() % noisy.size()] = static_cast<char>(random());
    const absl::Status status = ReadBytes(noisy);
    if (!status.ok()) CHECK(status.code() == absl::StatusCode::kDataLoss);
  }
}

}  // namespace samovar
