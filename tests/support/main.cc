#define CATCH_CONFIG_RUNNER
#include "common/telemetry/log.h"
#include "tests/support/catch.h"
#include "tests/support/hang_report.h"

int main(int argc, char** argv) {
  samovar::ReportHangs();
  // Expected events are not worth a line in a test's output.
  samovar::InitLogging({"test", "off"}).IgnoreError();
  return Catch::Session().run(argc, argv);
}
