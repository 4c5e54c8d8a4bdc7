#include "common/telemetry/metrics.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>
#include <vector>

#include "tests/support/catch.h"

namespace samovar {
namespace {

TEST_CASE("what several threads count is all there") {
  Metrics metrics;
  MetricCounter* const counter = metrics.AddCounter("samovar_test_things_total", "Things that were counted.");
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([counter] {
      for (int n = 0; n < 1000; ++n) counter->Increment();
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(metrics.Value("samovar_test_things_total") == 4000);
}

TEST_CASE("two objects of one process count apart") {
  Metrics one;
  Metrics two;
  one.AddCounter("samovar_test_things_total", "Things.")->Increment(3);
  two.AddCounter("samovar_test_things_total", "Things.")->Increment(5);
  CHECK(one.Value("samovar_test_things_total") == 3);
  CHECK(two.Value("samovar_test_things_total") == 5);
}

TEST_CASE("labels tell metrics of one name apart, and the value without them is the sum") {
  Metrics metrics;
  metrics.AddCounter("samovar_test_refused_total", "Calls.", {{"call", "push"}, {"reason", "full"}})->Increment(2);
  metrics.AddCounter("samovar_test_refused_total", "Calls.", {{"call", "pull"}, {"reason", "full"}})->Increment(3);
  metrics.AddCounter("samovar_test_refused_total", "Calls.", {{"call", "pull"}, {"reason", "epoch"}})->Increment(4);
  CHECK(metrics.Value("samovar_test_refused_total", {{"call", "pull"}, {"reason", "full"}}) == 3);
  CHECK(metrics.Value("samovar_test_refused_total", {{"reason", "full"}}) == 5);
  CHECK(metrics.Value("samovar_test_refused_total") == 9);
  CHECK(metrics.Value("samovar_test_refused_total", {{"reason", "other"}}) == 0);
}

TEST_CASE("registering the same metric again gives the one that there is") {
  Metrics metrics;
  MetricGauge* const depth = metrics.AddGauge("samovar_test_depth", "A depth.", {{"lane", "1"}});
  CHECK(metrics.AddGauge("samovar_test_depth", "A depth.", {{"lane", "1"}}) == depth);
  CHECK(metrics.AddGauge("samovar_test_depth", "A depth.", {{"lane", "2"}}) != depth);
}

TEST_CASE("a histogram tells how many were observed, and their sum") {
  Metrics metrics;
  MetricHistogram* const seconds = metrics.AddHistogram("samovar_test_apply_seconds", "Times.", {0.1, 1});
  for (const double value : {0.5, 0.25, 4.0}) seconds->Observe(value);
  CHECK(metrics.Value("samovar_test_apply_seconds_count") == 3);
  CHECK(metrics.Value("samovar_test_apply_seconds_sum") == 4.75);
}

TEST_CASE("the log's line has all that is not 0, in order") {
  Metrics metrics;
  metrics.AddGauge("samovar_test_depth", "A depth.")->Set(2);
  metrics.AddCounter("samovar_test_b_total", "B.", {{"reason", "full"}})->Increment();
  metrics.AddCounter("samovar_test_a_total", "A.")->Increment(3);
  metrics.AddCounter("samovar_test_never_total", "Never.");
  CHECK(metrics.Line() == "samovar_test_a_total 3, samovar_test_b_total{reason=\"full\"} 1, samovar_test_depth 2");
}

TEST_CASE("names that break Prometheus' conventions are told") {
  CHECK(CheckMetricName("samovar_server_pushes_total", true).empty());
  CHECK(CheckMetricName("samovar_server_apply_seconds", false).empty());
  CHECK_THAT(CheckMetricName("samovar_server_pushes", true), Catch::Contains("_total"));
  CHECK_THAT(CheckMetricName("samovar_server_depth_total", false), Catch::Contains("_total"));
  CHECK_THAT(CheckMetricName("samovar_server_apply_ms", false), Catch::Contains("seconds and bytes"));
  CHECK_THAT(CheckMetricName("samovar_server_wait_ms_total", true), Catch::Contains("seconds and bytes"));
  CHECK_THAT(CheckMetricName("server_pushes_total", true), Catch::Contains("samovar_"));
  CHECK_THAT(CheckMetricName("samovar_server_Pushes_total", true), Catch::Contains("small letters"));
}

TEST_CASE("a program that counts under a name that is none ends at once") {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    // Not as the test's own end.
    std::signal(SIGABRT, SIG_DFL);
    Metrics().AddCounter("samovar_test_things", "Things.");
    _exit(0);
  }
  int end = 0;
  REQUIRE(waitpid(child, &end, 0) == child);
  CHECK(WIFSIGNALED(end));
  CHECK(WTERMSIG(end) == SIGABRT);
}

}  // namespace
}  // namespace samovar
