#include "server/jobs/export_cleaner.h"

#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "tests/support/catch.h"
#include "tests/support/mounted_storage.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

TEST_CASE("of many forgotten directories one look at their parent tells which are there") {
  const TempDir dir;
  const auto storage = std::make_shared<MountedStorage>(dir.path());
  StorageTable table;
  table.Add("mem", storage);
  const std::string last = dir.File("exports/job-0000000000000009");
  std::filesystem::create_directories(last);
  ExportCleaner cleaner(table);
  for (int run = 0; run < 10; ++run) cleaner.Forget(absl::StrCat("mem:/exports/job-000000000000000", run));
  cleaner.Start();
  const absl::Time deadline = SteadyNow() + absl::Seconds(60);
  while (std::filesystem::exists(last) && SteadyNow() < deadline) std::this_thread::yield();
  cleaner.Stop();
  CHECK_FALSE(std::filesystem::exists(last));
  CHECK(storage->Had("list mem:/exports"));
  CHECK(storage->Had("list mem:/exports/job-0000000000000009"));
  for (const std::string& call : storage->calls()) {
    INFO(call);
    CHECK((call == "list mem:/exports" || call.substr(call.size() - 1) == "9"));
  }
}

}  // namespace
}  // namespace samovar
