#include "cli/report/train_reporter.h"

#include <sstream>
#include <string>

#include "tests/support/catch.h"

namespace samovar {
namespace {

RunFacts Facts() {
  RunFacts facts;
  facts.net = "LeNet";
  facts.job_id = "lenet";
  facts.max_iter = 2000;
  facts.servers = 2;
  facts.workers = 1;
  facts.threads = 1;
  facts.mode = "sync in 8 parts";
  facts.seed = 7;
  facts.state_dir = "out/lenet_state";
  return facts;
}

v1::JobStatus Status() {
  v1::JobStatus status;
  status.set_state(v1::JOB_STATE_RUNNING);
  status.set_iteration(500);
  status.set_completed_iterations(500);
  status.set_max_iter(2000);
  status.set_loss(0.5);
  return status;
}

JobNews NewsOfATest() {
  JobNews news;
  v1::TestReport report;
  report.set_iteration(500);
  report.set_records(10000);
  v1::NamedValue* output = report.add_outputs();
  output->set_name("accuracy");
  output->set_value(0.875);
  news.tests.push_back(report);
  return news;
}

}  // namespace

TEST_CASE("a terminal keeps one status line below what stays") {
  std::ostringstream out;
  auto reporter = MakeTerminalReporter(&out, [] { return 80; });
  reporter->Progress(Status(), {});
  CHECK(out.str() == "\r\x1b[Kiteration 500/2000  loss 0.5");
  out.str("");
  reporter->Progress(Status(), NewsOfATest());
  CHECK(out.str() ==
        "\r\x1b[KIteration 500, Testing net (#0)\n    Test net output #0: accuracy = 0.875\n"
        "\r\x1b[Kiteration 500/2000  loss 0.5");
  out.str("");
  reporter->Failed("no matter");
  CHECK(out.str() == "\r\x1b[K");
}

TEST_CASE("a terminal's status line is never wider than the terminal") {
  std::ostringstream out;
  auto reporter = MakeTerminalReporter(&out, [] { return 12; });
  reporter->Progress(Status(), {});
  CHECK(out.str() == "\r\x1b[Kiteration 5");
}

TEST_CASE("a terminal shows no figures of a silent coordinator") {
  std::ostringstream out;
  auto reporter = MakeTerminalReporter(&out, [] { return 100; });
  v1::JobStatus status = Status();
  status.set_images_per_second(1140);
  reporter->Progress(status, {});
  CHECK(out.str().find("1140 images/s") != std::string::npos);
  out.str("");
  reporter->Silent(4.2, "node-1:7100");
  CHECK(out.str() == "\r\x1b[Kno news for 4 s from the coordinator at node-1:7100; it was at iteration 500/2000");
}

TEST_CASE("programs are told once that a coordinator is silent, until it has news again") {
  std::ostringstream out;
  auto reporter = MakeJsonReporter(&out);
  const auto silences = [&] {
    const std::string text = out.str();
    size_t count = 0;
    for (size_t at = 0; (at = text.find("\"event\":\"silent\"", at)) != std::string::npos; ++at) ++count;
    return count;
  };
  reporter->Silent(2.6, "node-1:7100");
  reporter->Silent(3.6, "node-1:7100");
  CHECK(silences() == 1);
  CHECK(out.str().find("node-1:7100") != std::string::npos);
  reporter->Progress(Status(), {});
  reporter->Silent(2.6, "node-1:7100");
  CHECK(silences() == 2);
}

TEST_CASE("a log has a prefix on each line and begins with what Caffe's parsers look for") {
  std::ostringstream out;
  const absl::Time time = absl::FromCivil(absl::CivilSecond(2026, 1, 31, 12, 0, 0), absl::LocalTimeZone());
  auto reporter = MakeLogReporter(
      &out, [time] { return time; }, 42);
  reporter->Started(Facts());
  reporter->Progress(Status(), NewsOfATest());
  const std::string prefix = "I0131 12:00:00.000000 42 samovar] ";
  CHECK(out.str() == prefix + "Solving LeNet\n" + prefix +
                         "job lenet: 2000 iterations, seed 7; 2 servers, 1 worker of 1 thread; sync in 8 parts\n" +
                         prefix + "snapshots and logs: out/lenet_state\n" + prefix +
                         "Iteration 500, Testing net (#0)\n" + prefix + "    Test net output #0: accuracy = 0.875\n");
}

TEST_CASE("a log names model, state and where weights come from as Caffe's does") {
  std::ostringstream out;
  auto reporter = MakeTerminalReporter(&out, [] { return 80; });
  RunFacts facts = Facts();
  facts.start = "a.caffemodel fills ip1";
  reporter->Started(facts);
  CHECK(out.str().find("\nweights: a.caffemodel fills ip1\n") != std::string::npos);
  out.str("");
  reporter->ModelWritten(5, "a_iter_5.caffemodel");
  reporter->SolverStateWritten(5, "a_iter_5.solverstate");
  reporter->SolverStateWritten(5, "a_iter_5.solverstate.h5");
  CHECK(out.str() ==
        "Snapshotting to binary proto file a_iter_5.caffemodel\n"
        "Snapshotting solver state to binary proto file a_iter_5.solverstate\n"
        "Snapshotting solver state to HDF5 file a_iter_5.solverstate.h5\n");
}

TEST_CASE("a job of a cluster is told as a run is, and what it waits for") {
  v1::JobStatus status = Status();
  status.set_job_id("lenet");
  status.set_weight(3);
  std::ostringstream log;
  const auto reporter = MakeLogReporter(
      &log, [] { return absl::UnixEpoch(); }, 42);
  reporter->Watching("LeNet", status, "127.0.0.1:7100");
  reporter->Waits("waits for servers: 1 of 2 have registered");
  CHECK(log.str().find(" samovar] Solving LeNet\n") != std::string::npos);
  CHECK(log.str().find(" samovar] job lenet: 2000 iterations; async; weight 3\n") != std::string::npos);
  CHECK(log.str().find(" samovar] waits for servers: 1 of 2 have registered\n") != std::string::npos);
  std::ostringstream json;
  MakeJsonReporter(&json)->Waits("its turn");
  CHECK(json.str() == R"({"event":"waiting","cause":"its turn"})"
                      "\n");
}

TEST_CASE("JSON is one object a line") {
  std::ostringstream out;
  auto reporter = MakeJsonReporter(&out);
  reporter->Progress(Status(), NewsOfATest());
  reporter->ModelWritten(500, "out/lenet_iter_500.caffemodel");
  reporter->SolverStateWritten(500, "out/lenet_iter_500.solverstate");
  reporter->Failed("server-1 ended with \"signal 9\"");
  CHECK(out.str() ==
        R"({"event":"test","iteration":500,"net":0,"records":10000,"outputs":[{"name":"accuracy","value":0.875}]})"
        "\n"
        R"({"event":"progress","iteration":500,"max_iter":2000,"loss":0.5,"learning_rate":0,"outputs":[],)"
        R"("images_per_second":0,"eta_seconds":0,"samples":0,"seconds":0})"
        "\n"
        R"({"event":"model","iteration":500,"path":"out/lenet_iter_500.caffemodel"})"
        "\n"
        R"({"event":"solver_state","iteration":500,"path":"out/lenet_iter_500.solverstate"})"
        "\n"
        R"({"event":"failed","message":"server-1 ended with \"signal 9\""})"
        "\n");
}

}  // namespace samovar
