#include "cli/report/progress.h"

#include <string>
#include <vector>

#include "tests/support/catch.h"

namespace samovar {
namespace {

using Lines = std::vector<std::string>;

void AddOutput(google::protobuf::RepeatedPtrField<v1::NamedValue>* outputs, const std::string& name, double value,
               float loss_weight) {
  v1::NamedValue* output = outputs->Add();
  output->set_name(name);
  output->set_value(value);
  output->set_loss_weight(loss_weight);
}

v1::JobStatus Running(uint64_t iteration, double seconds) {
  v1::JobStatus status;
  status.set_state(v1::JOB_STATE_RUNNING);
  status.set_iteration(iteration);
  status.set_completed_iterations(iteration);
  status.set_max_iter(2000);
  status.set_seconds(seconds);
  status.set_loss(0.5);
  status.set_learning_rate(0.01);
  AddOutput(status.mutable_outputs(), "loss", 0.375, 1);
  return status;
}

void AddDisplay(v1::JobStatus* status, uint64_t iteration, double seconds) {
  v1::DisplayLine* line = status->add_displays();
  line->set_iteration(iteration);
  line->set_seconds(seconds);
  line->set_loss(0.5);
  line->set_learning_rate(0.01);
  AddOutput(line->mutable_outputs(), "loss", 0.375, 1);
}

v1::TestReport Test(uint64_t iteration) {
  v1::TestReport report;
  report.set_iteration(iteration);
  AddOutput(report.mutable_outputs(), "accuracy", 0.8725, 0);
  AddOutput(report.mutable_outputs(), "loss", 0.25, 1);
  return report;
}

}  // namespace

TEST_CASE("each line of the display is news once, in order, with the time since the one before") {
  NewsFilter filter;
  v1::JobStatus status = Running(150, 2);
  AddDisplay(&status, 0, 0.5);
  AddDisplay(&status, 100, 1);
  std::vector<Display> displays = filter.Take(status).displays;
  REQUIRE(displays.size() == 2);
  CHECK(displays[0].line.iteration() == 0);
  CHECK(displays[0].iterations == 0);
  CHECK(displays[1].line.iteration() == 100);
  CHECK(displays[1].iterations == 100);
  CHECK(displays[1].seconds == 0.5);
  // A coordinator that was started again knows them once more, and counts seconds anew.
  AddDisplay(&status, 200, 0.25);
  displays = filter.Take(status).displays;
  REQUIRE(displays.size() == 1);
  CHECK(displays[0].line.iteration() == 200);
  CHECK(displays[0].seconds == 0.25);
}

TEST_CASE("each notice is news once, also when older ones are no longer kept") {
  NewsFilter filter;
  v1::JobStatus status = Running(100, 1);
  status.add_notices(std::string("a"));
  status.add_notices(std::string("b"));
  CHECK(filter.Take(status).notices == Lines{"a", "b"});
  CHECK(filter.Take(status).notices.empty());
  status.set_dropped_notices(1);
  status.mutable_notices()->DeleteSubrange(0, 1);
  status.add_notices(std::string("c"));
  CHECK(filter.Take(status).notices == Lines{"c"});
  // Another coordinator, whose record of the job lacks the last ones.
  status.set_dropped_notices(0);
  status.clear_notices();
  status.add_notices(std::string("a"));
  CHECK(filter.Take(status).notices.empty());
  status.add_notices(std::string("d"));
  CHECK(filter.Take(status).notices == Lines{"d"});
}

TEST_CASE("a running job that waits shows what for") {
  v1::JobStatus status = Running(500, 10);
  status.set_cause("server 10.0.0.7:7100 is gone");
  CHECK(StatusLine(status) == "iteration 500/2000  server 10.0.0.7:7100 is gone");
}

TEST_CASE("a test is told though the list has been shorter between two looks") {
  NewsFilter filter;
  v1::JobStatus status;
  for (uint64_t iteration : {100, 200}) *status.add_tests() = Test(iteration);
  CHECK(filter.Take(status).tests.size() == 2);
  // The job went back to 100, and on.
  status.clear_tests();
  for (uint64_t iteration : {100, 250}) *status.add_tests() = Test(iteration);
  const JobNews news = filter.Take(status);
  REQUIRE(news.tests.size() == 1);
  CHECK(news.tests[0].iteration() == 250);
}

TEST_CASE("a job that has gone back is told anew from there") {
  NewsFilter filter;
  v1::JobStatus status = Running(1000, 50);
  *status.add_tests() = Test(0);
  *status.add_tests() = Test(500);
  status.add_snapshots(500);
  CHECK(filter.Take(status).tests.size() == 2);
  // Another coordinator has taken it up from its snapshot, and shows no test before it.
  status = Running(500, 1);
  *status.add_tests() = Test(0);
  status.add_snapshots(500);
  CHECK(filter.Take(status).tests.empty());
  *status.add_tests() = Test(550);
  status.set_iteration(600);
  status.set_seconds(3);
  const JobNews news = filter.Take(status);
  REQUIRE(news.tests.size() == 1);
  CHECK(news.tests[0].iteration() == 550);
  CHECK(news.snapshots.empty());
}

TEST_CASE("tests, snapshots and errors are news once") {
  NewsFilter filter;
  v1::JobStatus status = Running(500, 1);
  *status.add_tests() = Test(0);
  *status.add_tests() = Test(500);
  status.add_snapshots(500);
  status.set_snapshot_error("disk full");
  const JobNews first = filter.Take(status);
  REQUIRE(first.tests.size() == 2);
  CHECK(first.tests[1].iteration() == 500);
  CHECK(first.snapshots == std::vector<uint64_t>{500});
  CHECK(first.snapshot_error == "disk full");
  *status.add_tests() = Test(1000);
  const JobNews second = filter.Take(status);
  REQUIRE(second.tests.size() == 1);
  CHECK(second.tests[0].iteration() == 1000);
  CHECK(second.snapshots.empty());
  CHECK(second.snapshot_error.empty());
}

TEST_CASE("training is displayed in the lines of Caffe's log") {
  v1::JobStatus status;
  AddDisplay(&status, 500, 2.5);
  CHECK(DisplayLines({status.displays(0), 100, 0.5}) ==
        Lines{"Iteration 500 (200 iter/s, 0.5s/100 iters), loss = 0.5",
              "    Train net output #0: loss = 0.375 (* 1 = 0.375 loss)", "Iteration 500, lr = 0.01"});
  CHECK(DisplayLines({status.displays(0), 0, 0.5})[0] == "Iteration 500 (0 iter/s, 0.5s/0 iters), loss = 0.5");
}

TEST_CASE("tests are told in the lines of Caffe's log") {
  CHECK(TestLines(Test(500)) == Lines{"Iteration 500, Testing net (#0)", "    Test net output #0: accuracy = 0.8725",
                                      "    Test net output #1: loss = 0.25 (* 1 = 0.25 loss)"});
}

TEST_CASE("lines begin as glog's do") {
  const absl::Time time = absl::FromCivil(absl::CivilSecond(2026, 1, 31, 12, 5, 9), absl::LocalTimeZone());
  CHECK(GlogPrefix(time + absl::Microseconds(42), 4711) == "I0131 12:05:09.000042 4711 samovar] ");
}

TEST_CASE("the status line shows where the job is and how long it will take") {
  v1::JobStatus status = Running(523, 3);
  status.set_images_per_second(3107.4);
  status.set_eta_seconds(31);
  CHECK(StatusLine(status) == "iteration 523/2000  loss 0.5  3107 images/s  31 s left");
  status.set_iteration(2000);
  CHECK(StatusLine(status) == "iteration 2000/2000  loss 0.5  3107 images/s  last tests");
  status.set_state(v1::JOB_STATE_QUEUED);
  status.set_cause("waits for servers: 1 of 2 have registered");
  CHECK(StatusLine(status) == "waits for servers: 1 of 2 have registered");
}

TEST_CASE("durations and sizes are written for people") {
  CHECK(FormatDuration(0.4) == "0 s");
  CHECK(FormatDuration(59.4) == "59 s");
  CHECK(FormatDuration(200) == "3 min 20 s");
  CHECK(FormatDuration(7500) == "2 h 05 min");
  CHECK(FormatDuration(-1) == "0 s");
  CHECK(FormatBytes(512) == "512 bytes");
  CHECK(FormatBytes(1724320) == "1.6 MiB");
}

TEST_CASE("the ledger line says what every chunk holds") {
  v1::LedgerSummary ledger;
  ledger.set_chunks(106);
  ledger.set_complete_chunks(106);
  ledger.set_iterations(2000);
  CHECK(LedgerLine(ledger) == "ledger: 106 chunks, each holds iterations 0..1999 exactly once");
  ledger.set_complete_chunks(105);
  CHECK(LedgerLine(ledger) == "ledger: only 105 of 106 chunks hold exactly the 2000 iterations");
  ledger.set_complete_chunks(106);
  ledger.set_iterations(0);
  CHECK(LedgerLine(ledger) == "ledger: 106 chunks, each holds no iteration");
  CHECK(LedgerLine(v1::LedgerSummary()) == "ledger: only 0 of 0 chunks hold exactly the 0 iterations");
}

TEST_CASE("the summary of a run counts what this run did") {
  v1::JobStatus status = Running(2000, 10);
  status.set_samples(500 * 64);
  status.set_resumed_from(1500);
  status.mutable_ledger()->set_chunks(2);
  status.mutable_ledger()->set_complete_chunks(2);
  status.mutable_ledger()->set_iterations(2000);
  status.mutable_ledger()->mutable_counters()->set_applied(1000);
  status.mutable_ledger()->mutable_counters()->set_duplicates(3);
  status.mutable_ledger()->mutable_counters()->set_staleness_sum(1500);
  status.mutable_ledger()->mutable_counters()->set_staleness_max(4);
  for (const uint64_t pushes : {100, 400, 400, 95, 5})
    status.mutable_ledger()->mutable_counters()->add_staleness(pushes);
  CHECK(SummaryLines(status) ==
        Lines{"trained 500 iterations from 1500, 32000 samples, in 10.0 s (3200 samples/s)",
              "ledger: 2 chunks, each holds iterations 0..1999 exactly once",
              "pushes: 1000 applied, 3 repeated and dropped, 0 refused; staleness 1.50 on average, median 1, "
              "90 % within 2, 99 % within 3, 4 at most"});
  status.set_speculative(7);
  status.set_speculative_wasted(2);
  CHECK(SummaryLines(status).back() == "stragglers: 7 pieces of work given to a second worker, 2 of them in vain");
}

}  // namespace samovar
