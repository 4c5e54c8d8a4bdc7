#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/storage/checksum.h"
#include "common/storage/lmdb.h"
#include "server/jobs/lmdb_job_table.h"
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

std::unique_ptr<JobTable> TableIn(const TempDir& dir, uint64_t epoch = 1) {
  auto table = LmdbJobTable::Open(dir.path(), epoch);
  REQUIRE_OK(table);
  return *std::move(table);
}

// The file of a table that a coordinator of that epoch has opened and closed.
std::string Prepared(const TempDir& dir, uint64_t epoch) {
  TableIn(dir, epoch);
  return dir.File("data.mdb");
}

std::vector<JobTable::Entry> EntriesOf(const JobTable& table, size_t damaged = 0) {
  std::vector<std::string> lines;
  auto entries = table.Load(&lines);
  REQUIRE_OK(entries);
  CHECK(lines.size() == damaged);
  return *std::move(entries);
}

v1::DisplayLine LineOf(uint64_t iteration) {
  v1::DisplayLine line;
  line.set_iteration(iteration);
  line.set_loss(0.5);
  return line;
}

std::vector<uint64_t> LinesOf(const JobTable::Entry& entry) {
  std::vector<uint64_t> iterations;
  for (const v1::DisplayLine& line : entry.record.displays()) iterations.push_back(line.iteration());
  return iterations;
}

TEST_CASE("lines of a display are added one by one, and go when they are not kept, or with their job") {
  const TempDir dir;
  {
    const auto table = TableIn(dir);
    for (const uint64_t number : {7, 8}) REQUIRE_OK(table->Insert(EntryOf(number, "job" + std::to_string(number)), {}));
    for (const uint64_t iteration : {0, 100, 200, 70000}) {
      v1::JobRecord record;
      *record.add_displays() = LineOf(iteration);
      record.set_displayed(iteration + 1);
      REQUIRE_OK(table->Update({{7, record}, {8, record}}, {}));
    }
    v1::JobRecord record;
    record.set_displays_from(200);
    REQUIRE_OK(table->Update({{7, record}}, {}));
  }
  const auto table = TableIn(dir);
  auto entries = EntriesOf(*table);
  REQUIRE(entries.size() == 2);
  CHECK(LinesOf(entries[0]) == std::vector<uint64_t>{200, 70000});
  CHECK(LinesOf(entries[1]) == std::vector<uint64_t>{0, 100, 200, 70000});
  CHECK(entries[1].record.displayed() == 70001);
  REQUIRE_OK(table->Update({}, {{7, "job7"}}));
  REQUIRE_OK(table->Insert(EntryOf(9, "job8"), 8));
  // Nothing of them is left for jobs that have their numbers.
  for (const uint64_t number : {7, 8}) REQUIRE_OK(table->Insert(EntryOf(number, "other" + std::to_string(number)), {}));
  entries = EntriesOf(*table);
  REQUIRE(entries.size() == 3);
  for (const JobTable::Entry& entry : entries) CHECK(LinesOf(entry).empty());
}

v1::HistoryBlock BlockOf(uint64_t iteration) {
  v1::HistoryBlock block;
  block.add_iterations(iteration);
  block.add_seconds(1);
  block.add_losses(0.5f);
  block.add_learning_rates(0.1f);
  return block;
}

// "LEVEL INDEX ITERATION"
std::vector<std::string> CurveOf(const JobTable& table, uint64_t number) {
  const auto blocks = table.LoadHistory(number);
  REQUIRE_OK(blocks);
  std::vector<std::string> lines;
  for (const auto& [key, block] : *blocks)
    lines.push_back(absl::StrCat(key.level, " ", key.index, " ", block.iterations(0)));
  return lines;
}

TEST_CASE("a curve is kept block by block, loses the damaged ones alone, and goes with its job") {
  using Lines = std::vector<std::string>;
  const TempDir dir;
  {
    const auto table = TableIn(dir);
    for (const uint64_t number : {7, 8}) REQUIRE_OK(table->Insert(EntryOf(number, "job" + std::to_string(number)), {}));
    CHECK(CurveOf(*table, 7).empty());
    REQUIRE_OK(table->UpdateHistory({{7, {{{0, 0}, BlockOf(1)}, {{0, 300}, BlockOf(2)}}, {}},
                                     {8, {{{0, 0}, BlockOf(3)}, {{1, 0}, BlockOf(0)}}, {}}}));
    REQUIRE_OK(table->UpdateHistory({{7, {{{0, 300}, BlockOf(4)}, {{0, 301}, BlockOf(5)}}, {{0, 0}, {0, 9}}}}));
  }
  {
    const auto table = TableIn(dir);
    CHECK(CurveOf(*table, 7) == Lines{"0 300 4", "0 301 5"});
    CHECK(CurveOf(*table, 8) == Lines{"0 0 3", "1 0 0"});
  }
  {
    auto environment = LmdbEnvironment::Open(dir.path(), {});
    REQUIRE_OK(environment);
    const std::string key("h\0\0\0\0\0\0\0\7\0\0\0\0\0\0\0\1\54", 18);
    REQUIRE_OK((*environment)->Write([&](LmdbTransaction& transaction) { return transaction.Put(key, "garbage"); }));
  }
  const auto table = TableIn(dir);
  CHECK(EntriesOf(*table).size() == 2);
  CHECK(CurveOf(*table, 7) == Lines{"0 301 5"});
  REQUIRE_OK(table->Update({}, {{7, "job7"}}));
  CHECK(CurveOf(*table, 7).empty());
  REQUIRE_OK(table->Insert(EntryOf(9, "job8"), 8));
  CHECK(CurveOf(*table, 8).empty());
}

TEST_CASE("what is left of a job that was left out, since its record is damaged, is not taken for the next one's") {
  const TempDir dir;
  {
    const auto table = TableIn(dir);
    REQUIRE_OK(table->Insert(EntryOf(1, "job"), {}));
    REQUIRE_OK(table->UpdateHistory({{1, {{{0, 0}, BlockOf(1)}}, {}}}));
    v1::JobRecord record;
    *record.add_displays() = LineOf(100);
    REQUIRE_OK(table->Update({{1, record}}, {}));
  }
  {
    auto environment = LmdbEnvironment::Open(dir.path(), {});
    REQUIRE_OK(environment);
    const std::string key("r\0\0\0\0\0\0\0\1", 9);
    REQUIRE_OK((*environment)->Write([&](LmdbTransaction& transaction) { return transaction.Put(key, "garbage"); }));
  }
  const auto table = TableIn(dir);
  CHECK(EntriesOf(*table, 1).empty());
  REQUIRE_OK(table->Insert(EntryOf(1, "other"), {}));
  CHECK(CurveOf(*table, 1).empty());
  const auto entries = EntriesOf(*table);
  REQUIRE(entries.size() == 1);
  CHECK(LinesOf(entries[0]).empty());
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
    REQUIRE_OK(table->Update({{7, ended}}, {{2, "forgotten"}}));
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

TEST_CASE("a job table that a later coordinator has opened is refused to an earlier one") {
  const TempDir dir;
  REQUIRE_OK(TableIn(dir, 5)->Insert(EntryOf(1, "job"), {}));
  REQUIRE_STATUS(LmdbJobTable::Open(dir.path(), 4), absl::StatusCode::kFailedPrecondition, "epoch 5");
  CHECK(EntriesOf(*TableIn(dir, 6)).size() == 1);
}

TEST_CASE("a coordinator whose successor has opened the job table writes no more") {
  const TempDir dir, moved;
  // The successor has another process, and so another path to the same file.
  std::filesystem::create_hard_link(Prepared(dir, 4), moved.File("data.mdb"));
  const auto former = TableIn(dir, 4);
  REQUIRE_OK(former->Insert(EntryOf(1, "job"), {}));
  REQUIRE_OK(TableIn(moved, 5)->Insert(EntryOf(3, "new"), {}));
  REQUIRE_STATUS(former->Insert(EntryOf(2, "late"), {}), absl::StatusCode::kFailedPrecondition, "epoch 5");
  REQUIRE_STATUS(former->Update({}, {{1, "lenet"}}), absl::StatusCode::kFailedPrecondition, "epoch 5");
  REQUIRE_STATUS(former->UpdateHistory({{1, {{{0, 0}, BlockOf(1)}}, {}}}), absl::StatusCode::kFailedPrecondition,
                 "epoch 5");
}

TEST_CASE("forgotten jobs are remembered until their name is a job's again, and no more of them than the newest") {
  const TempDir dir;
  {
    const auto table = TableIn(dir);
    REQUIRE_OK(table->Insert(EntryOf(1, "first"), {}));
    REQUIRE_OK(table->Update({}, {{1, "first"}, {2, "second"}}));
    REQUIRE_OK(table->Insert(EntryOf(3, "second"), {}));
  }
  const auto table = TableIn(dir);
  CHECK(EntriesOf(*table).size() == 1);
  auto forgotten = table->LoadForgotten();
  REQUIRE_OK(forgotten);
  REQUIRE(forgotten->size() == 1);
  CHECK(forgotten->front().job_id == "first");
  std::vector<JobTable::Forgotten> many;
  for (uint64_t i = 0; i < JobTable::kMaxForgotten; ++i) many.push_back({10 + i, std::to_string(i)});
  REQUIRE_OK(table->Update({}, many));
  forgotten = table->LoadForgotten();
  REQUIRE_OK(forgotten);
  CHECK(forgotten->size() == JobTable::kMaxForgotten);
  CHECK(forgotten->front().job_id == "0");
}

// The value of a record: its bytes behind their checksum.
std::string ValueOf(const std::string& bytes) {
  const uint32_t crc = Crc32(bytes);
  std::string value;
  for (int shift = 0; shift < 32; shift += 8) value.push_back(static_cast<char>(crc >> shift));
  return value + bytes;
}

// Replaces job 1's spec and record.
void Overwrite(const TempDir& dir, const std::string& spec, const v1::JobRecord& record) {
  auto environment = LmdbEnvironment::Open(dir.path(), {});
  REQUIRE_OK(environment);
  REQUIRE_OK((*environment)->Write([&](LmdbTransaction& transaction) -> absl::Status {
    const std::string number = std::string(7, '\0') + '\1';
    const absl::Status put = transaction.Put("s" + number, ValueOf(spec));
    return put.ok() ? transaction.Put("r" + number, ValueOf(record.SerializeAsString())) : put;
  }));
}

TEST_CASE("a job of the version before has its mode, before and after its record is written anew") {
  const TempDir dir;
  REQUIRE_OK(TableIn(dir)->Insert(EntryOf(1, "job"), {}));
  v1::JobSpec named;
  named.set_job_id("old");
  v1::JobRecord record;
  record.set_format(1);
  // mode (8): sync (2); parts (18): 4; encoding (19): bfloat16 (1).
  Overwrite(dir, named.SerializeAsString() + std::string("\x40\x02\x90\x01\x04\x98\x01\x01", 8), record);
  for (int start = 0; start < 2; ++start) {
    const auto table = TableIn(dir);
    const auto entries = EntriesOf(*table);
    REQUIRE(entries.size() == 1);
    CHECK(entries[0].spec.job_id() == "old");
    const v1::Consistency& consistency = entries[0].spec.consistency();
    CHECK(consistency.mode() == v1::CONSISTENCY_SYNC);
    CHECK(consistency.parts() == 4);
    CHECK(consistency.encoding() == v1::ENCODING_BFLOAT16);
    REQUIRE_OK(table->Update({{1, entries[0].record}}, {}));
  }
}

TEST_CASE("a job of a later version is named and left out") {
  const TempDir dir;
  REQUIRE_OK(TableIn(dir)->Insert(EntryOf(1, "job"), {}));
  v1::JobRecord record;
  record.set_format(3);
  Overwrite(dir, EntryOf(1, "later").spec.SerializeAsString(), record);
  std::vector<std::string> lines;
  REQUIRE_OK(TableIn(dir)->Load(&lines));
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find("job \"later\" was written by another version (format 3)") != std::string::npos);
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
