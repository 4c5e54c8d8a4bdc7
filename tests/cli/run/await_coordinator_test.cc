#include "cli/run/await_coordinator.h"

#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "common/base/clock.h"
#include "common/base/stopper.h"
#include "tests/support/catch.h"
#include "tests/support/mounted_storage.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

// Longer than any wait of these tests is to be.
constexpr absl::Duration kStuck = absl::Seconds(30);

// Does not answer the first `stuck` looks into a directory until it is stopped.
class SilentStorage final : public MountedStorage {
 public:
  SilentStorage(const std::string& directory, int stuck) : MountedStorage(directory), stuck_(stuck) {}

  absl::StatusOr<std::vector<StoredFile>> List(const std::string& uri) override {
    if (stuck_.fetch_sub(1) <= 0) return MountedStorage::List(uri);
    return stopper_.WaitFor(kStuck) ? absl::CancelledError("stopped") : absl::UnavailableError("silent");
  }
  void Stop() override { stopper_.Stop(); }
  bool stopped() const { return stopper_.stopped(); }

 private:
  std::atomic<int> stuck_;
  Stopper stopper_;
};

struct Fixture {
  TempDir dir;
  Waker waker;
  std::ostringstream out;
  std::unique_ptr<TrainReporter> reporter = MakeJsonReporter(&out);

  static ClusterOptions OptionsFor(const std::shared_ptr<Storage>& storage) {
    ClusterOptions options;
    options.coordinator = "mem:/home";
    options.storage.Add("mem", storage);
    return options;
  }
  absl::Status Await(const JobClient& client, absl::Duration patience) {
    return AwaitCoordinator(client, {"mem:/home", reporter.get(), patience}, &waker, [] { return 0; });
  }
};

TEST_CASE_METHOD(Fixture, "a home that does not answer is waited for until the time that is told, and no longer") {
  const auto storage = std::make_shared<SilentStorage>(dir.path(), 1000);
  const JobClient client(OptionsFor(storage));
  REQUIRE_STATUS(Await(client, absl::Milliseconds(200)), absl::StatusCode::kUnavailable,
                 "mem:/home: this storage has not answered in time");
  CHECK(storage->stopped());
  // Programs have heard of it while it was silent.
  CHECK(absl::StrContains(out.str(), R"({"event":"waiting","cause":"waits for a coordinator, 200ms at most: )"
                                     R"(mem:/home has not answered yet"})"));
}

TEST_CASE_METHOD(Fixture, "a home without a coordinator is waited for, and one line says so") {
  const JobClient client(OptionsFor(std::make_shared<SilentStorage>(dir.path(), 0)));
  REQUIRE_STATUS(Await(client, absl::Seconds(3)), absl::StatusCode::kNotFound, "no home of a cluster yet");
  CHECK(absl::StrContains(out.str(), "waits for a coordinator, 3s at most: mem:/home is no home of a cluster yet"));
  CHECK(out.str().find('\n') == out.str().size() - 1);
}

TEST_CASE_METHOD(Fixture, "a patient client leaves the storage as it is") {
  const auto storage = std::make_shared<SilentStorage>(dir.path(), 0);
  const JobClient client(OptionsFor(storage), /*is_patient=*/true);
  client.GiveUp();
  CHECK_FALSE(storage->stopped());
  JobClient(OptionsFor(storage)).GiveUp();
  CHECK(storage->stopped());
}

}  // namespace
}  // namespace samovar
