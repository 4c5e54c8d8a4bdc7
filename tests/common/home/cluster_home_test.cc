#include "common/home/cluster_home.h"

#include <set>
#include <thread>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/mounted_storage.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

TEST_CASE("an epoch is claimed by one of many coordinators that claim at the same time, and none is given twice") {
  const TempDir dir;
  StorageTable storage;
  storage.Add("mem", std::make_shared<MountedStorage>(dir.path()));
  for (const std::string& uri : {dir.File("home"), std::string("mem:/elsewhere")}) {
    std::vector<uint64_t> claimed(24);
    std::vector<std::thread> threads;
    for (size_t i = 0; i < claimed.size(); ++i) {
      threads.emplace_back([&, i] { claimed[i] = ClusterHome(uri, storage).Claim(0).value_or(0); });
    }
    for (std::thread& thread : threads) thread.join();
    const std::set<uint64_t> different(claimed.begin(), claimed.end());
    CHECK(different.size() == claimed.size());
    CHECK(!different.contains(0));
    CHECK(*ClusterHome(uri, storage).Epoch() == *different.rbegin());
  }
}

TEST_CASE("an epoch is above those that a coordinator has had before the cluster had a home") {
  const TempDir dir;
  const ClusterHome home(dir.File("home"), StorageTable{});
  CHECK(*home.Epoch() == 0);
  CHECK(*home.Claim(41) == 42);
  CHECK(*home.Claim(7) == 43);
  CHECK(*home.Epoch() == 43);
}

TEST_CASE("a home says where its newest coordinator is, and not where an earlier one was") {
  const TempDir dir;
  const ClusterHome home(dir.File("home"), StorageTable{});
  REQUIRE_STATUS(home.Find(), absl::StatusCode::kNotFound, "samovar-server --coordinator --home");
  REQUIRE(*home.Claim(0) == 1);
  REQUIRE_STATUS(home.Find(), absl::StatusCode::kUnavailable, "epoch 1 has not said yet");
  REQUIRE_OK(home.Announce(1, "10.0.0.4:7100"));
  CHECK(home.Find()->address == "10.0.0.4:7100");
  REQUIRE(*home.Claim(0) == 2);
  REQUIRE_STATUS(home.Find(), absl::StatusCode::kUnavailable, "epoch 2");
  REQUIRE_OK(home.Announce(2, "10.0.0.5:7100"));
  // The former one lives still, and is late.
  REQUIRE_OK(home.Announce(1, "10.0.0.4:7100"));
  CHECK(home.Find()->epoch == 2);
  CHECK(home.Find()->address == "10.0.0.5:7100");
}

TEST_CASE("a home whose file of an epoch was overwritten is refused by the file's name") {
  const TempDir dir;
  const ClusterHome home(dir.File("home"), StorageTable{});
  REQUIRE(*home.Claim(0) == 1);
  REQUIRE_OK(StorageTable{}.PutBytes(dir.File("home/epochs/00000000000000000001"), "<html>not here</html>"));
  REQUIRE_STATUS(home.Find(), absl::StatusCode::kDataLoss, "epochs/00000000000000000001");
}

TEST_CASE("old claims are removed, and the newest stay") {
  const TempDir dir;
  const ClusterHome home(dir.File("home"), StorageTable{});
  for (uint64_t epoch = 1; epoch <= 40; ++epoch) REQUIRE(*home.Claim(0) == epoch);
  const auto files = *StorageTable{}.List(dir.File("home/epochs"));
  CHECK(files.size() < 12);
  CHECK(files.back().name == "00000000000000000040");
}

TEST_CASE("a path or a URI is a home, an address or a socket is none") {
  for (const char* home :
       {"hdfs:///samovar/home", "wasbs://c@a.blob.core.windows.net/home", "/mnt/shared/home", "./home"})
    CHECK(ClusterHome::IsHome(home));
  for (const char* address : {"127.0.0.1:7100", "[::1]:7100", "host:1", "unix:/run/samovar.sock"})
    CHECK(!ClusterHome::IsHome(address));
}

}  // namespace
}  // namespace samovar
