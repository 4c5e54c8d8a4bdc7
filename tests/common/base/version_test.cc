#include "common/base/version.h"

#include <string>

#include "tests/support/catch.h"

namespace samovar {
namespace {

TEST_CASE("versions of one minor release fit each other, and no others do") {
  const std::string own = Version();
  const std::string release = own.substr(0, own.rfind('.'));
  CHECK(FitsVersion(own));
  CHECK(FitsVersion(release + ".77"));
  for (const std::string other : {"", ".", "..", "0", "99.0", "99.0.0", "x", "\n"}) {
    INFO(other);
    CHECK_FALSE(FitsVersion(other));
  }
  CHECK_FALSE(FitsVersion(release + "1.0"));
  CHECK_FALSE(FitsVersion(release));
}

}  // namespace
}  // namespace samovar
