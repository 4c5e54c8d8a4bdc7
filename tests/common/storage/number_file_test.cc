#include "common/storage/number_file.h"

#include <fstream>

#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {

TEST_CASE("a number that was written is read again, as a line that people can read") {
  const TempDir dir;
  const std::string path = dir.File("state/epoch");
  REQUIRE_OK(ReadNumberFile(path));
  CHECK_FALSE(ReadNumberFile(path)->has_value());
  REQUIRE_OK(WriteNumberFile(path, 18446744073709551615u));
  CHECK(ReadNumberFile(path).value() == 18446744073709551615u);
  std::string line;
  std::getline(std::ifstream(path), line);
  CHECK(line == "18446744073709551615");
}

TEST_CASE("a file that holds no number is named, and is not taken for one that is not there") {
  const TempDir dir;
  const std::string path = dir.File("epoch");
  for (const char* const text : {"", "seven\n", "7 8\n", "-1\n", "18446744073709551616\n"}) {
    INFO(text);
    std::ofstream(path) << text;
    REQUIRE_STATUS(ReadNumberFile(path), absl::StatusCode::kDataLoss, path + " does not hold a number");
  }
  std::ofstream(path) << " 7\r\n";
  CHECK(ReadNumberFile(path).value() == uint64_t{7});
}

}  // namespace samovar
