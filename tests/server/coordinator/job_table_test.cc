#include "server/coordinator/job_table.h"

#include "common/data/lmdb.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

JobTable::Entry EntryOf(uint64_t number, const std::string& id) {
  JobTable::Entry entry;
  entry.number = number;
  entry.spec.set_job_id(id);
  entry.record.mutable_status()->set_job_id(id);
  entry.record.mutable_status()->set_state(v1::JOB_STATE_QUEUED);
  return entry;
}

std::unique_ptr<JobTable> TableIn(const TempDir& dir) {
  auto table = JobTable::Open(dir.path());
  REQUIRE_OK(table);
  return *std::move(table);
}

std::vector<JobTable::Entry> EntriesOf(const JobTable& table, size_t damaged = 0) {
  std::vector<std::string> lines;
  auto entries = table.Load(&lines);
  REQUIRE_OK(entries);
  CHECK(lines.size() == damaged);
  return *std::move(entries);
}

TEST_CASE("a job table has what was written, in the order of submission") {
  const TempDir dir;
  {
    const auto table = TableIn(dir);
    CHECK(EntriesOf(*table).empty());
    // A byte's worth of numbers is passed.
    for (uint64_t number : {300, 2, 7}) REQUIRE_OK(table->Insert(EntryOf(number, "job" + std::to_string(number)), {}));
    v1::JobRecord ended;
    ended.mutable_status()->set_state(v1::JOB_STATE_FAILED);
    ended.mutable_status()->set_cause("no data");
    REQUIRE_OK(table->Update({{7, ended}}, {2}));
    REQUIRE_OK(table->Insert(EntryOf(301, "job300"), 300));
  }
  const auto entries = EntriesOf(*TableIn(dir));
  REQUIRE(entries.size() == 2);
  CHECK(entries[0].number == 7);
  CHECK(entries[0].spec.job_id() == "job7");
  CHECK(entries[0].record.status().cause() == "no data");
  CHECK(entries[1].number == 301);
  CHECK(entries[1].record.status().state() == v1::JOB_STATE_QUEUED);
}

TEST_CASE("a damaged record is named and left out, and the others are read") {
  const TempDir dir;
  for (uint64_t number : {1, 2}) REQUIRE_OK(TableIn(dir)->Insert(EntryOf(number, "job"), {}));
  {
    auto environment = LmdbEnvironment::Open(dir.path(), {});
    REQUIRE_OK(environment);
    REQUIRE_OK((*environment)->Write([](LmdbTransaction& transaction) -> absl::Status {
      const std::string key = std::string("r") + std::string(7, '\0') + '\1';
      auto value = transaction.Get(key);
      REQUIRE_OK(value);
      REQUIRE(value->has_value());
      std::string changed(**value);
      changed.back() ^= 1;
      return transaction.Put(key, changed);
    }));
  }
  const auto entries = EntriesOf(*TableIn(dir), /*damaged=*/1);
  REQUIRE(entries.size() == 1);
  CHECK(entries[0].number == 2);
}

}  // namespace
}  // namespace samovar
