#include "common/model/snapshot_keys.h"

#include "tests/support/catch.h"

namespace samovar {

TEST_CASE("the keys of a snapshot have the form that stores of earlier versions have") {
  CHECK(SnapshotManifestKey("lenet", 258) == std::string("mlenet\0\0\0\0\0\0\0\1\2", 15));
  CHECK(SnapshotChunkKey("lenet", 258, 3) == std::string("clenet\0\0\0\0\0\0\0\1\2\0\0\0\3", 19));
}

TEST_CASE("of a manifest's key the iteration is known, and no other key is taken for one") {
  const std::string key = SnapshotManifestKey("a", 5000);
  REQUIRE(IsSnapshotManifestKey(key));
  CHECK(IterationOfManifestKey(key) == 5000);
  CHECK_FALSE(IsSnapshotManifestKey(SnapshotChunkKey("a", 5000, 1)));
  CHECK_FALSE(IsSnapshotManifestKey("m1234567"));
  CHECK_FALSE(IsSnapshotManifestKey(""));
}

TEST_CASE("the keys of one job are not those of another whose id begins so") {
  CHECK(SnapshotManifestKey("net2", 1).find(SnapshotJobKey(kSnapshotManifestPrefix, "net")) == std::string::npos);
  CHECK(SnapshotManifestKey("net", 1).find(SnapshotJobKey(kSnapshotManifestPrefix, "net")) == 0);
}

}  // namespace samovar
