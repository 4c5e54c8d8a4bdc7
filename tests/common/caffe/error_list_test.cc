#include "common/caffe/error_list.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/caffe/prototxt.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {

TEST_CASE("errors are told a line each, with the code of the first, and none twice") {
  ErrorList errors;
  errors.Add(absl::OkStatus());
  REQUIRE_OK(errors.ToStatus());
  errors.Add(absl::NotFoundError("a"));
  errors.Add(absl::InvalidArgumentError("b\na\nc"));
  CHECK(errors.ToStatus() == absl::NotFoundError("a\nb\nc"));
}

TEST_CASE("errors that are too many to tell are counted") {
  ErrorList errors;
  for (int i = 0; i < kMaxTextErrors; ++i) errors.Add(absl::InternalError(absl::StrCat("e", i)));
  CHECK(errors.full());
  CHECK(errors.ToStatus().message() == "e0\ne1\ne2\ne3\ne4\ne5\ne6\ne7\ne8\ne9");
  errors.Add(absl::InternalError("one more"));
  CHECK_THAT(std::string(errors.ToStatus().message()), Catch::EndsWith("e9\nand 1 error more"));
  errors.Add(absl::InternalError("e0"));
  errors.Add(absl::InternalError("another"));
  CHECK_THAT(std::string(errors.ToStatus().message()), Catch::EndsWith("e9\nand 2 errors more"));
}

}  // namespace samovar
