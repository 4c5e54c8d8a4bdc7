#include "server/snapshot/snapshot_store.h"

#include <cstring>
#include <thread>

#include "common/storage/lmdb.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

ChunkImage MakeImage(uint32_t chunk, float value) {
  ChunkImage image;
  image.chunk = chunk;
  image.weights = {value, value + 1, value + 2};
  image.state = {{-value, 0, 7}};
  image.ledger.AddRange(0, 5);
  image.ledger.Add(9);
  image.version = 6;
  return image;
}

v1::SnapshotManifest MakeManifest(const std::string& job_id, uint64_t iteration, uint64_t run = 0) {
  v1::SnapshotManifest manifest;
  manifest.set_format(1);
  manifest.mutable_info()->set_job_id(job_id);
  manifest.mutable_info()->set_iteration(iteration);
  manifest.mutable_info()->set_run(run);
  manifest.add_chunks(4);
  manifest.add_chunks(7);
  return manifest;
}

struct Fixture {
  Fixture() { Reopen(); }

  void Reopen() {
    store.reset();
    auto opened = SnapshotStore::Open(directory.File("snapshots"));
    REQUIRE_OK(opened);
    store = *std::move(opened);
  }

  absl::StatusOr<uint64_t> Write(const std::string& job_id, uint64_t iteration, float value = 1, uint64_t run = 0) {
    const std::vector<ChunkImage> images = {MakeImage(4, value), MakeImage(7, value + 10)};
    return store->Write(MakeManifest(job_id, iteration, run), images);
  }

  std::vector<uint64_t> Iterations(const std::string& job_id) {
    auto snapshots = store->List(job_id);
    REQUIRE_OK(snapshots);
    std::vector<uint64_t> iterations;
    for (const v1::SnapshotInfo& info : *snapshots) iterations.push_back(info.iteration());
    return iterations;
  }

  // Changes all records of the environment, behind the store's back, that `damage` wants changed.
  void Damage(absl::FunctionRef<bool(v1::ChunkRecord*)> damage) {
    store.reset();
    auto environment = LmdbEnvironment::Open(directory.File("snapshots"), {});
    REQUIRE_OK(environment);
    REQUIRE_OK((*environment)->Write([&](LmdbTransaction& transaction) -> absl::Status {
      auto cursor = transaction.OpenCursor();
      REQUIRE_OK(cursor);
      std::vector<std::pair<std::string, std::string>> changed;
      auto found = cursor->SeekAtLeast("c");
      while (found.ok() && *found && cursor->key()[0] == 'c') {
        v1::ChunkRecord record;
        REQUIRE(record.ParseFromArray(cursor->value().data(), static_cast<int>(cursor->value().size())));
        if (damage(&record)) changed.emplace_back(cursor->key(), record.SerializeAsString());
        found = cursor->Next();
      }
      REQUIRE_OK(found);
      for (const auto& [key, value] : changed) REQUIRE_OK(transaction.Put(key, value));
      return absl::OkStatus();
    }));
    environment->reset();
    Reopen();
  }

  TempDir directory;
  std::unique_ptr<SnapshotStore> store;
};

TEST_CASE_METHOD(Fixture, "a snapshot is read as it was written, after a restart too") {
  auto bytes = Write("job", 500);
  REQUIRE_OK(bytes);
  Reopen();
  auto manifest = store->ReadManifest("job", 500);
  REQUIRE_OK(manifest);
  REQUIRE(manifest->info().bytes() == *bytes);
  REQUIRE(manifest->chunks_size() == 2);
  const ChunkImage expected = MakeImage(7, 11);
  auto image = store->ReadChunk("job", 500, 7);
  REQUIRE_OK(image);
  REQUIRE(image->chunk == 7);
  REQUIRE(image->weights == expected.weights);
  REQUIRE(image->state == expected.state);
  REQUIRE(image->ledger == expected.ledger);
  REQUIRE(image->version == 6);
}

TEST_CASE_METHOD(Fixture, "what is not there is not found, by name") {
  REQUIRE_OK(Write("job", 500));
  const auto code = absl::StatusCode::kNotFound;
  REQUIRE_STATUS(store->ReadManifest("job", 501), code, "snapshot 501 of job \"job\"");
  REQUIRE_STATUS(store->ReadManifest("jo", 500), code, "snapshot 500 of job \"jo\"");
  REQUIRE_STATUS(store->ReadChunk("job", 500, 5), code, "chunk 5 of snapshot 500");
}

TEST_CASE_METHOD(Fixture, "writing removes nothing, and other snapshots of the job stay until they are told to go") {
  REQUIRE_OK(Write("other", 1));
  REQUIRE_OK(Write("job2", 1));
  // 300 and 5: the order is that of numbers, not of text.
  for (uint64_t iteration : {5, 100, 300, 1000}) REQUIRE_OK(Write("job", iteration));
  REQUIRE(Iterations("job") == std::vector<uint64_t>{5, 100, 300, 1000});
  const auto removed = store->Retain("job", {{0, 300}, {0, 1000}, {0, 4000}});
  REQUIRE_OK(removed);
  REQUIRE(*removed == 2);
  REQUIRE(Iterations("job") == std::vector<uint64_t>{300, 1000});
  REQUIRE(Iterations("other") == std::vector<uint64_t>{1});
  REQUIRE(Iterations("") == std::vector<uint64_t>{300, 1000, 1, 1});
  REQUIRE_STATUS(store->ReadChunk("job", 100, 4), absl::StatusCode::kNotFound, "chunk 4");
}

TEST_CASE_METHOD(Fixture, "a snapshot that is written again takes the place of its former self") {
  REQUIRE_OK(Write("job", 500, 1, /*run=*/1));
  REQUIRE_OK(Write("job", 500, 2, /*run=*/2));
  REQUIRE(Iterations("job") == std::vector<uint64_t>{500});
  const auto image = store->ReadChunk("job", 500, 4);
  REQUIRE_OK(image);
  REQUIRE(image->weights[0] == 2);
}

TEST_CASE_METHOD(Fixture, "a snapshot is kept by its run, not by its iteration alone") {
  REQUIRE_OK(Write("job", 100, 1, /*run=*/1));
  REQUIRE_OK(Write("job", 200, 1, /*run=*/2));
  REQUIRE_OK(store->Retain("job", {{2, 100}, {2, 200}}));
  REQUIRE(Iterations("job") == std::vector<uint64_t>{200});
}

TEST_CASE_METHOD(Fixture, "what was written after a list of those to keep was made stays") {
  for (uint64_t iteration : {100, 200, 300, 400}) REQUIRE_OK(Write("job", iteration, 1, /*run=*/2));
  REQUIRE_OK(Write("job", 500, 1, /*run=*/1));
  REQUIRE_OK(store->Retain("job", {{2, 100}, {2, 300}}));
  REQUIRE(Iterations("job") == std::vector<uint64_t>{100, 300, 400});
}

TEST_CASE_METHOD(Fixture, "of a job that keeps no snapshot nothing is left") {
  REQUIRE_OK(Write("job", 100));
  REQUIRE_OK(store->NoteShare(MakeManifest("job", 0).info()));
  REQUIRE_OK(store->Retain("job", {}));
  REQUIRE(Iterations("job").empty());
  const auto place = store->LastShare("job");
  REQUIRE_OK(place);
  REQUIRE_FALSE(place->has_value());
}

TEST_CASE_METHOD(Fixture, "which share of a job the server held is remembered") {
  auto place = store->LastShare("job");
  REQUIRE_OK(place);
  REQUIRE_FALSE(place->has_value());
  v1::SnapshotInfo share = MakeManifest("job", 0, 3).info();
  share.set_share(2);
  REQUIRE_OK(store->NoteShare(share));
  REQUIRE_OK(Write("job", 500));
  Reopen();
  place = store->LastShare("job");
  REQUIRE_OK(place);
  REQUIRE(place->has_value());
  REQUIRE((*place)->share() == 2);
  REQUIRE((*place)->run() == 3);
  REQUIRE(Iterations("") == std::vector<uint64_t>{500});
}

TEST_CASE_METHOD(Fixture, "the highest epoch that was noted is there when the store is opened again") {
  CHECK(*store->Epoch() == 0);
  const uint64_t high = uint64_t{1} << 24 | 200;
  REQUIRE_OK(store->NoteEpoch(7));
  REQUIRE_OK(store->NoteEpoch(high));
  REQUIRE_OK(store->NoteEpoch(9));
  CHECK(*store->Epoch() == high);
  Reopen();
  CHECK(*store->Epoch() == high);
  // It is no snapshot.
  CHECK(Iterations("").empty());
}

TEST_CASE_METHOD(Fixture, "writing a snapshot again replaces it") {
  REQUIRE_OK(Write("job", 500, 1));
  REQUIRE_OK(Write("job", 500, 30));
  REQUIRE(Iterations("job") == std::vector<uint64_t>{500});
  auto image = store->ReadChunk("job", 500, 4);
  REQUIRE_OK(image);
  REQUIRE(image->weights[0] == 30);
}

TEST_CASE_METHOD(Fixture, "a damaged record is refused, naming the chunk and what is wrong; the others are read") {
  REQUIRE_OK(Write("job", 500));
  const auto code = absl::StatusCode::kDataLoss;
  Damage([](v1::ChunkRecord* record) {
    if (record->chunk() != 7) return false;
    (*record->mutable_weights())[5] ^= 0x10;
    return true;
  });
  REQUIRE_STATUS(store->ReadChunk("job", 500, 7), code,
                 "chunk 7 of snapshot 500 of job \"job\" is damaged: its checksum");
  REQUIRE_OK(store->ReadChunk("job", 500, 4));

  REQUIRE_OK(Write("job", 500));
  Damage([](v1::ChunkRecord* record) {
    (*record->mutable_state(0))[0] ^= 1;
    return true;
  });
  REQUIRE_STATUS(store->ReadChunk("job", 500, 4), code, "its checksum");

  REQUIRE_OK(Write("job", 500));
  Damage([](v1::ChunkRecord* record) {
    record->mutable_ledger()->set_watermark(2);
    return true;
  });
  REQUIRE_STATUS(store->ReadChunk("job", 500, 4), code, "its checksum");

  REQUIRE_OK(Write("job", 500));
  Damage([](v1::ChunkRecord* record) {
    record->set_chunk(record->chunk() + 1);
    return true;
  });
  REQUIRE_STATUS(store->ReadChunk("job", 500, 4), code, "it says that it is chunk 5");
}

TEST_CASE_METHOD(Fixture, "a snapshot larger than the first map is stored, since the map grows") {
  std::vector<ChunkImage> images;
  v1::SnapshotManifest manifest = MakeManifest("job", 1);
  manifest.clear_chunks();
  // 80 MB
  for (uint32_t chunk = 0; chunk < 40; ++chunk) {
    ChunkImage image;
    image.chunk = chunk;
    image.weights.assign(256 << 10, static_cast<float>(chunk));
    image.state.assign(1, std::vector<float>(256 << 10));
    images.push_back(std::move(image));
    manifest.add_chunks(chunk);
  }
  REQUIRE_OK(store->Write(manifest, images));
  auto image = store->ReadChunk("job", 1, 39);
  REQUIRE_OK(image);
  REQUIRE(image->weights == images[39].weights);
}

TEST_CASE_METHOD(Fixture, "readers see whole snapshots while others are written") {
  REQUIRE_OK(Write("job", 0, 0));
  std::thread writer([this] {
    for (int i = 1; i <= 50; ++i) {
      if (!Write("job", 0, static_cast<float>(i)).ok()) return;
    }
  });
  for (int i = 0; i < 50; ++i) {
    REQUIRE(Iterations("job").size() == 1);
    REQUIRE_OK(store->ReadChunk("job", 0, 7));
  }
  writer.join();
  auto image = store->ReadChunk("job", 0, 7);
  REQUIRE_OK(image);
  REQUIRE(image->weights[0] == 60);
}

}  // namespace
}  // namespace samovar
