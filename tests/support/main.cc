#define CATCH_CONFIG_RUNNER
#include "common/telemetry/log.h"
#include "tests/support/catch.h"

int main(int argc, char** argv) {
  // Expected events are not worth a line in a test's output.
  samovar::InitLogging({"test", "off"}).IgnoreError();
  return Catch::Session().run(argc, argv);
}
