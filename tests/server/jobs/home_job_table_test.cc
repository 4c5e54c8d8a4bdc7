#include "server/jobs/home_job_table.h"

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/jobs/checked_record.h"
#include "server/jobs/lmdb_job_table.h"
#include "tests/support/catch.h"
#include "tests/support/mounted_storage.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

JobTable::Entry EntryOf(uint64_t number, const std::string& id) {
  JobTable::Entry entry;
  entry.number = number;
  entry.spec.set_job_id(id);
  entry.spec.mutable_consistency();
  entry.record.mutable_status()->set_job_id(id);
  entry.record.mutable_status()->set_state(v1::JOB_STATE_QUEUED);
  return entry;
}

v1::JobRecord Failed(const std::string& cause) {
  v1::JobRecord record;
  record.mutable_status()->set_state(v1::JOB_STATE_FAILED);
  record.mutable_status()->set_cause(cause);
  return record;
}

struct Fixture {
  TempDir dir;
  StorageTable storage = {};
  ClusterHome home{dir.File("home"), StorageTable{}};

  // A coordinator on a new machine.
  std::unique_ptr<HomeJobTable> TakeOver(const JobTable* before = nullptr) {
    const auto epoch = home.Claim(0);
    REQUIRE_OK(epoch);
    auto table = HomeJobTable::Open(home, storage, *epoch, before);
    REQUIRE_OK(table);
    return *std::move(table);
  }
};

std::vector<std::string> IdsOf(const JobTable& table, size_t damaged = 0) {
  std::vector<std::string> lines, ids;
  const auto entries = table.Load(&lines);
  REQUIRE_OK(entries);
  CHECK(lines.size() == damaged);
  for (const JobTable::Entry& entry : *entries) {
    ids.push_back(absl::StrCat(entry.number, " ", entry.spec.job_id(), " ", entry.record.status().cause()));
  }
  return ids;
}

TEST_CASE_METHOD(Fixture, "a coordinator on another machine finds the jobs as they were, in their order") {
  {
    const auto table = TakeOver();
    CHECK(IdsOf(*table).empty());
    for (const uint64_t number : {300, 2, 7})
      REQUIRE_OK(table->Insert(EntryOf(number, absl::StrCat("job", number)), {}));
    REQUIRE_OK(table->Update({{7, Failed("no data")}}, {{2, "job2"}}));
    REQUIRE_OK(table->Insert(EntryOf(301, "job300"), 300));
  }
  const std::vector<std::string> expected = {"7 job7 no data", "301 job300 "};
  for (int successor = 0; successor < 3; ++successor) {
    const auto table = TakeOver();
    CHECK(IdsOf(*table) == expected);
    CHECK(table->LoadForgotten()->size() == 1);
    CHECK(table->LoadForgotten()->front().job_id == "job2");
  }
  // A job of the forgotten name ends that.
  const auto table = TakeOver();
  REQUIRE_OK(table->Insert(EntryOf(302, "job2"), {}));
  CHECK(table->LoadForgotten()->empty());
  CHECK(TakeOver()->LoadForgotten()->empty());
}

TEST_CASE_METHOD(Fixture, "a coordinator that was replaced is refused, and changes nothing of its successor's") {
  const auto former = TakeOver();
  REQUIRE_OK(former->Insert(EntryOf(1, "kept"), {}));
  REQUIRE_OK(former->CheckOwner());
  const auto successor = TakeOver();
  REQUIRE_STATUS(former->CheckOwner(), absl::StatusCode::kFailedPrecondition, "epoch 2 has taken the jobs");
  REQUIRE_STATUS(former->Insert(EntryOf(2, "late"), {}), absl::StatusCode::kFailedPrecondition, "epoch 2");
  REQUIRE_STATUS(former->Update({{1, Failed("late")}}, {}), absl::StatusCode::kFailedPrecondition, "epoch 2");
  REQUIRE_OK(successor->Update({{1, Failed("its own")}}, {}));
  CHECK(IdsOf(*successor) == std::vector<std::string>{"1 kept its own"});
  CHECK(IdsOf(*TakeOver()) == std::vector<std::string>{"1 kept its own"});
}

TEST_CASE_METHOD(Fixture, "a coordinator that dies before it has the jobs leaves them to the next one") {
  REQUIRE_OK(TakeOver()->Insert(EntryOf(1, "kept"), {}));
  // It has claimed the epoch, and no more.
  REQUIRE_OK(home.Claim(0));
  CHECK(IdsOf(*TakeOver()) == std::vector<std::string>{"1 kept "});
}

TEST_CASE_METHOD(Fixture, "a cluster that gets a home brings the jobs of its coordinator's disk there") {
  auto local = LmdbJobTable::Open(dir.File("local"), 1);
  REQUIRE_OK(local);
  REQUIRE_OK((*local)->Insert(EntryOf(1, "old"), {}));
  REQUIRE_OK((*local)->Insert(EntryOf(2, "older"), {}));
  REQUIRE_OK((*local)->Update({}, {{2, "older"}}));
  REQUIRE_OK(TakeOver(local->get())->Insert(EntryOf(3, "new"), {}));
  // The next one has a home already.
  REQUIRE_OK((*local)->Insert(EntryOf(9, "stale"), {}));
  const auto table = TakeOver(local->get());
  CHECK(IdsOf(*table) == std::vector<std::string>{"1 old ", "3 new "});
  CHECK(table->LoadForgotten()->size() == 1);
}

TEST_CASE_METHOD(Fixture,
                 "lines of the display are kept from change to change, and go when they are not kept any more") {
  {
    const auto table = TakeOver();
    REQUIRE_OK(table->Insert(EntryOf(7, "job"), {}));
    for (const uint64_t iteration : {0, 100, 200, 300}) {
      v1::JobRecord record;
      record.add_displays()->set_iteration(iteration);
      // The answer to a change may be lost: it is made again.
      for (int times = 0; times < 2; ++times) REQUIRE_OK(table->Update({{7, record}}, {}));
    }
    v1::JobRecord record;
    record.set_displays_from(100);
    REQUIRE_OK(table->Update({{7, record}}, {}));
  }
  std::vector<std::string> damaged;
  const auto entries = *TakeOver()->Load(&damaged);
  REQUIRE(entries.size() == 1);
  std::vector<uint64_t> lines;
  for (const v1::DisplayLine& line : entries[0].record.displays()) lines.push_back(line.iteration());
  CHECK(lines == std::vector<uint64_t>{100, 200, 300});
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

using Lines = std::vector<std::string>;

TEST_CASE_METHOD(Fixture, "a curve is kept block by block, is the next coordinator's, and goes with its job") {
  {
    const auto table = TakeOver();
    for (const uint64_t number : {7, 8}) REQUIRE_OK(table->Insert(EntryOf(number, absl::StrCat("job", number)), {}));
    CHECK(CurveOf(*table, 7).empty());
    REQUIRE_OK(table->UpdateHistory({{7, {{{0, 0}, BlockOf(1)}, {{0, 1}, BlockOf(2)}}, {}},
                                     {8, {{{0, 0}, BlockOf(3)}, {{1, 0}, BlockOf(0)}}, {}}}));
    CHECK(CurveOf(*table, 7) == Lines{"0 0 1", "0 1 2"});
  }
  const auto table = TakeOver();
  CHECK(CurveOf(*table, 7) == Lines{"0 0 1", "0 1 2"});
  CHECK(CurveOf(*table, 8) == Lines{"0 0 3", "1 0 0"});
  // The open block goes on; an older one is thinned.
  REQUIRE_OK(table->UpdateHistory({{7, {{{0, 1}, BlockOf(4)}, {{1, 0}, BlockOf(1)}}, {{0, 0}}}}));
  CHECK(CurveOf(*table, 7) == Lines{"0 1 4", "1 0 1"});
  const std::vector<StoredFile> curves = *storage.List(dir.File("home/curves"));
  REQUIRE(curves.size() == 2);
  CHECK(storage.List(dir.File("home/curves/" + curves[0].name))->size() == 2);
  // A damaged block is left out.
  const std::string curve = dir.File("home/curves/" + curves[0].name);
  REQUIRE_OK(storage.PutBytes(curve + "/" + storage.List(curve)->at(0).name, "garbage"));
  CHECK(CurveOf(*TakeOver(), 7) == Lines{"1 0 1"});
  {
    const auto last = TakeOver();
    REQUIRE_OK(last->Update({{8, Failed("no data")}}, {{7, "job7"}}));
    CHECK(CurveOf(*last, 7).empty());
    CHECK(CurveOf(*last, 8).size() == 2);
    CHECK(storage.List(dir.File("home/curves"))->size() == 1);
    REQUIRE_OK(last->Insert(EntryOf(9, "job8"), 8));
    CHECK(storage.List(dir.File("home/curves"))->empty());
  }
}

TEST_CASE_METHOD(Fixture,
                 "a coordinator that was replaced removes no block, and its blocks do not hide its successor's") {
  const auto former = TakeOver();
  REQUIRE_OK(former->Insert(EntryOf(1, "job"), {}));
  REQUIRE_OK(former->UpdateHistory({{1, {{{0, 0}, BlockOf(1)}, {{0, 1}, BlockOf(2)}}, {}}}));
  const auto successor = TakeOver();
  REQUIRE_OK(successor->UpdateHistory({{1, {{{0, 1}, BlockOf(3)}}, {}}}));
  REQUIRE_STATUS(former->UpdateHistory({{1, {{{0, 1}, BlockOf(4)}}, {{0, 0}}}}), absl::StatusCode::kFailedPrecondition,
                 "epoch 2");
  CHECK(CurveOf(*successor, 1) == Lines{"0 0 1", "0 1 3"});
  CHECK(CurveOf(*TakeOver(), 1) == Lines{"0 0 1", "0 1 3"});
}

TEST_CASE_METHOD(Fixture, "curves that no job has any more are removed at the next start; those of a disk come along") {
  auto local = LmdbJobTable::Open(dir.File("local"), 1);
  REQUIRE_OK(local);
  REQUIRE_OK((*local)->Insert(EntryOf(1, "old"), {}));
  REQUIRE_OK((*local)->UpdateHistory({{1, {{{0, 0}, BlockOf(1)}}, {}}}));
  {
    const auto table = TakeOver(local->get());
    CHECK(CurveOf(*table, 1) == Lines{"0 0 1"});
    // What a coordinator left that ended while it forgot the job.
    REQUIRE_OK(storage.PutBytes(dir.File("home/curves/00000000000000000077-0000000000000001/x"), "x"));
  }
  CHECK(CurveOf(*TakeOver(), 1) == Lines{"0 0 1"});
  CHECK(storage.List(dir.File("home/curves"))->size() == 1);
}

TEST_CASE_METHOD(Fixture, "a damaged record costs its job alone, and is named; a damaged list is refused by name") {
  REQUIRE_OK(TakeOver()->Insert(EntryOf(1, "first"), {}));
  {
    const auto table = TakeOver();
    for (const uint64_t number : {2, 3}) REQUIRE_OK(table->Insert(EntryOf(number, absl::StrCat("job", number)), {}));
  }
  const std::string directory = dir.File("home/jobs/00000000000000000002");
  REQUIRE_OK(storage.PutBytes(directory + "/00000000000000000002", "garbage"));
  {
    const auto table = TakeOver();
    CHECK(IdsOf(*table, 1) == std::vector<std::string>{"1 first ", "3 job3 "});
  }
  REQUIRE_OK(storage.PutBytes(dir.File("home/jobs/00000000000000000003/all"), "garbage"));
  REQUIRE_STATUS(HomeJobTable::Open(home, storage, *home.Claim(0), nullptr), absl::StatusCode::kDataLoss,
                 "00000000000000000003/all is damaged");
}

TEST_CASE_METHOD(Fixture, "files of jobs are few, and those of earlier coordinators are removed") {
  {
    const auto table = TakeOver();
    for (uint64_t number = 1; number <= 1200; ++number) {
      REQUIRE_OK(table->Insert(EntryOf(number, "same name"), number == 1 ? std::nullopt : std::optional(number - 1)));
    }
    CHECK(IdsOf(*table) == std::vector<std::string>{"1200 same name "});
  }
  CHECK(storage.List(dir.File("home/jobs/00000000000000000001"))->size() < 600);
  for (int i = 0; i < 3; ++i) CHECK(IdsOf(*TakeOver()).size() == 1);
  // Its own, and that of the one that it took them from.
  CHECK(storage.List(dir.File("home/jobs"))->size() == 2);
}

// A storage in which something happens as soon as a directory was listed.
class Interrupted : public MountedStorage {
 public:
  using MountedStorage::MountedStorage;
  std::function<void(const std::string& uri)> after_list = [](const std::string&) {};
  absl::StatusOr<std::vector<StoredFile>> List(const std::string& uri) override {
    auto files = MountedStorage::List(uri);
    after_list(uri);
    return files;
  }
};

TEST_CASE("a successor that reads while the former coordinator writes its list anew loses no job") {
  const TempDir dir;
  const auto mounted = std::make_shared<Interrupted>(dir.path());
  StorageTable storage;
  storage.Add("mem", mounted);
  const ClusterHome home("mem:/cluster", storage);
  auto former = HomeJobTable::Open(home, storage, *home.Claim(0), nullptr);
  REQUIRE_OK(former);
  REQUIRE_OK((*former)->Insert(EntryOf(1, "kept"), {}));
  const auto successor = home.Claim(0);
  REQUIRE_OK(successor);
  mounted->after_list = [&](const std::string& uri) {
    const std::string file = dir.File("cluster/jobs/00000000000000000001/00000000000000000001");
    if (!absl::EndsWith(uri, "/jobs/00000000000000000001") || !std::filesystem::exists(file)) return;
    // As the former one does when it has too many files.
    v1::HomeJobs all;
    all.add_jobs()->set_number(1);
    all.mutable_jobs(0)->mutable_spec()->set_job_id("kept");
    REQUIRE_OK(storage.PutBytes(home.uri() + "/jobs/00000000000000000001/all", ToCheckedRecord(all)));
    std::filesystem::remove(file);
  };
  const auto table = HomeJobTable::Open(home, storage, *successor, nullptr);
  REQUIRE_OK(table);
  CHECK(IdsOf(**table) == std::vector<std::string>{"1 kept "});
}

TEST_CASE_METHOD(Fixture, "a submission that was refused leaves nothing for the next coordinator") {
  const auto former = TakeOver();
  REQUIRE_OK(former->Insert(EntryOf(1, "kept"), {}));
  // A successor that dies before it has the jobs.
  REQUIRE_OK(home.Claim(0));
  CHECK_FALSE(former->Insert(EntryOf(2, "refused"), {}).ok());
  CHECK(IdsOf(*TakeOver()) == std::vector<std::string>{"1 kept "});
}

TEST_CASE_METHOD(Fixture, "jobs that are to be forgotten are, for good") {
  REQUIRE_OK(TakeOver()->Insert(EntryOf(1, "old"), {}));
  const auto table = HomeJobTable::Open(home, storage, *home.Claim(0), nullptr, /*forget=*/true);
  REQUIRE_OK(table);
  CHECK(IdsOf(**table).empty());
  CHECK(IdsOf(*TakeOver()).empty());
}

}  // namespace
}  // namespace samovar
