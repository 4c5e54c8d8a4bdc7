#include "server/snapshot/chunk_record.h"

#include <limits>

#include "samovar/v1/snapshot.pb.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

ChunkImage Image() {
  ChunkImage image;
  image.chunk = 4;
  image.weights = {1, 2, 3};
  image.state = {{4, 5, 6}};
  image.ledger.AddRange(0, 5);
  image.ledger.Add(9);
  image.version = 6;
  image.skipped = {2, 9};
  return image;
}

TEST_CASE("a chunk's record is read as it was made") {
  const auto read = ParseChunkRecord(MakeChunkRecord(Image()), 4);
  REQUIRE_OK(read);
  CHECK(read->weights == Image().weights);
  CHECK(read->state == Image().state);
  CHECK(read->ledger.Contains(9));
  CHECK(read->version == 6);
  CHECK(read->skipped == Image().skipped);
}

ChunkImage LateImage() {
  ChunkImage image = Image();
  image.lateness.usual = {6.5, 300};
  image.lateness.levels = {{2, 1.5f}, {0, 0}};
  image.lateness.steps = {7, 8, 9};
  return image;
}

TEST_CASE("a chunk's record has what is known of late pushes, and is as it was before where none is late") {
  const auto read = ParseChunkRecord(MakeChunkRecord(LateImage()), 4);
  REQUIRE_OK(read);
  CHECK(read->lateness.usual.value == 6.5);
  CHECK(read->lateness.usual.pushes == 300);
  REQUIRE(read->lateness.levels.size() == 2);
  CHECK(read->lateness.levels[0].average == 2);
  CHECK(read->lateness.levels[0].level == 1.5f);
  CHECK(read->lateness.steps == std::vector<float>{7, 8, 9});
  ChunkImage image = Image();
  image.lateness.usual = {0, 300};
  image.lateness.levels = {{2, 1.5f}};
  CHECK(MakeChunkRecord(image) == MakeChunkRecord(Image()));
  const auto before = ParseChunkRecord(MakeChunkRecord(Image()), 4);
  REQUIRE_OK(before);
  CHECK(before->lateness.usual.value == 0);
  CHECK(before->lateness.usual.pushes == 0);
  CHECK(before->lateness.levels.empty());
}

TEST_CASE("a record that says of late pushes what cannot be is refused, whoever made it") {
  const auto refused = [](const ChunkImage& image, const char* message) {
    REQUIRE_STATUS(ParseChunkRecord(MakeChunkRecord(image), 4), absl::StatusCode::kDataLoss, message);
  };
  ChunkImage image = LateImage();
  image.lateness.usual.value = std::numeric_limits<double>::infinity();
  refused(image, "how late its pushes are");
  for (const float wrong : {-1.0f, std::numeric_limits<float>::quiet_NaN()}) {
    image = LateImage();
    image.lateness.levels[1].level = wrong;
    refused(image, "norms");
  }
  image = LateImage();
  image.lateness.steps = {7};
  refused(image, "steps have another length");
}

TEST_CASE("a record whose ledger says something else, however plausible, is damaged") {
  v1::ChunkRecord record;
  REQUIRE(record.ParseFromString(MakeChunkRecord(Image())));
  ChunkImage other = Image();
  other.ledger = Ledger();
  other.ledger.AddRange(0, 5);
  other.ledger.Add(8);
  *record.mutable_ledger() = other.ledger.ToProto();
  REQUIRE_STATUS(ParseChunkRecord(record.SerializeAsString(), 4), absl::StatusCode::kDataLoss, "checksum");
}

TEST_CASE("a record that says of other iterations that they were skipped is damaged") {
  v1::ChunkRecord record;
  REQUIRE(record.ParseFromString(MakeChunkRecord(Image())));
  record.set_skipped(0, 3);
  REQUIRE_STATUS(ParseChunkRecord(record.SerializeAsString(), 4), absl::StatusCode::kDataLoss, "checksum");
  record.clear_skipped();
  REQUIRE_STATUS(ParseChunkRecord(record.SerializeAsString(), 4), absl::StatusCode::kDataLoss, "checksum");
}

TEST_CASE("a record whose version is not the number of its iterations is refused, whoever made it") {
  ChunkImage image = Image();
  image.version = 7;
  REQUIRE_STATUS(ParseChunkRecord(MakeChunkRecord(image), 4), absl::StatusCode::kDataLoss,
                 "its ledger holds 6 iterations, its version is 7");
}

TEST_CASE("a record with one bit changed anywhere is refused, or is the same") {
  const std::string whole = MakeChunkRecord(GENERATE(Image(), LateImage()));
  for (size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    std::string damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    const auto read = ParseChunkRecord(damaged, 4);
    if (!read.ok()) continue;
    INFO("bit " << bit);
    REQUIRE(MakeChunkRecord(*read) == whole);
  }
}

}  // namespace
}  // namespace samovar
