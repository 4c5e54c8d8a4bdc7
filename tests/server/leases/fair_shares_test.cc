#include "server/leases/fair_shares.h"

#include <map>

#include "tests/support/catch.h"

namespace samovar {
namespace {

absl::Time At(double seconds) { return absl::UnixEpoch() + absl::Seconds(seconds); }

// Workers that take the first offer, for leases of a second, until the time is over. Returns the seconds that each job
// had.
std::map<uint64_t, double> Work(FairShares* shares, uint64_t workers, double seconds, int* changes = nullptr) {
  std::map<uint64_t, double> had;
  for (double time = 0; time < seconds; ++time) {
    for (uint64_t worker = 1; worker <= workers; ++worker) {
      const auto before = shares->JobOf(worker);
      const uint64_t job = shares->Offers(worker, At(time)).front();
      shares->Took(worker, job, 1, At(time));
      ++had[job];
      if (changes != nullptr && before.has_value() && *before != job) ++*changes;
    }
  }
  return had;
}

TEST_CASE("workers' time is shared as the weights are") {
  for (const uint64_t workers : {1, 2, 3, 5}) {
    FairShares shares;
    shares.SetJobs({{1, 3}, {2, 1}});
    std::map<uint64_t, double> had = Work(&shares, workers, 100);
    CAPTURE(workers);
    CHECK(had[1] / had[2] == Approx(3).epsilon(0.1));
  }
}

TEST_CASE("workers stay with their jobs where shares allow it") {
  FairShares shares;
  shares.SetJobs({{1, 1}, {2, 1}});
  int changes = 0;
  std::map<uint64_t, double> had = Work(&shares, 2, 100, &changes);
  CHECK(had[1] == had[2]);
  CHECK(changes <= 2);
}

TEST_CASE("a worker of more threads counts more") {
  FairShares shares;
  shares.SetJobs({{1, 1}, {2, 1}});
  std::map<uint64_t, double> had;
  for (double time = 0; time < 200; ++time) {
    for (uint64_t worker : {1, 2}) {
      const double threads = worker == 1 ? 4 : 1;
      const uint64_t job = shares.Offers(worker, At(time)).front();
      shares.Took(worker, job, threads, At(time));
      had[job] += threads;
    }
  }
  CHECK(had[1] / had[2] == Approx(1).epsilon(0.1));
}

TEST_CASE("what one job does not take, others get, and it is owed a little of that only") {
  FairShares shares;
  shares.SetJobs({{1, 1}, {2, 1}});
  for (double time = 0; time < 1000; ++time) {
    shares.Offers(7, At(time));
    shares.Took(7, 2, 1, At(time));
  }
  // Job 1 has work again.
  double alone = 1000;
  while (shares.Offers(7, At(alone)).front() == 1) shares.Took(7, 1, 1, At(alone++));
  CHECK(alone - 1000 >= FairShares::kMaxOwed);
  CHECK(alone - 1000 <= FairShares::kMaxOwed + 2);
}

TEST_CASE("a new job does not get what was before it, nor does it wait") {
  FairShares shares;
  shares.SetJobs({{1, 1}});
  Work(&shares, 2, 500);
  shares.SetJobs({{1, 1}, {2, 1}});
  std::map<uint64_t, double> had;
  for (double time = 500; time < 520; ++time) {
    for (uint64_t worker : {1, 2}) {
      const uint64_t job = shares.Offers(worker, At(time)).front();
      shares.Took(worker, job, 1, At(time));
      ++had[job];
    }
  }
  CHECK(had[2] >= 18);
  CHECK(had[2] <= 22);
}

TEST_CASE("workers of a job that has ended, and workers that are gone, count for none") {
  FairShares shares;
  shares.SetJobs({{1, 1}, {2, 1}});
  shares.Offers(7, At(0));
  shares.Took(7, 1, 1, At(0));
  shares.Offers(8, At(0));
  shares.Took(8, 2, 1, At(0));
  CHECK(shares.WorkersOf(1) == 1);
  shares.SetJobs({{2, 1}});
  CHECK(shares.WorkersOf(1) == 0);
  CHECK_FALSE(shares.JobOf(7).has_value());
  CHECK(shares.Offers(7, At(1)) == std::vector<uint64_t>{2});
  shares.Leave(8, At(1));
  CHECK(shares.WorkersOf(2) == 0);
}

}  // namespace
}  // namespace samovar
