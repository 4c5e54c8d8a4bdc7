#include "common/base/status_macros.h"

#include <memory>
#include <string>

#include "tests/support/catch.h"

namespace samovar {
namespace {

absl::Status ReturnIfError(const absl::Status& status, bool* reached_end) {
  SAMOVAR_RETURN_IF_ERROR(status);
  *reached_end = true;
  return absl::OkStatus();
}

absl::StatusOr<int> Half(int value) {
  if (value % 2 != 0) return absl::InvalidArgumentError("odd");
  return value / 2;
}

absl::StatusOr<int> Quarter(int value) {
  SAMOVAR_ASSIGN_OR_RETURN(const int half, Half(value));
  SAMOVAR_ASSIGN_OR_RETURN(int quarter, Half(half));
  return quarter;
}

absl::StatusOr<std::unique_ptr<int>> Box(bool ok) {
  if (!ok) return absl::NotFoundError("no box");
  return std::make_unique<int>(7);
}

absl::Status TakeBox(bool ok, std::unique_ptr<int>* out) {
  SAMOVAR_ASSIGN_OR_RETURN(*out, Box(ok));
  return absl::OkStatus();
}

TEST_CASE("an error ends the function that meets it, unchanged") {
  bool reached_end = false;
  const absl::Status error = absl::DataLossError("bits rot");
  CHECK(ReturnIfError(error, &reached_end) == error);
  CHECK_FALSE(reached_end);
}

TEST_CASE("success goes on to the next line") {
  bool reached_end = false;
  CHECK(ReturnIfError(absl::OkStatus(), &reached_end).ok());
  CHECK(reached_end);
}

TEST_CASE("a checked expression is evaluated once") {
  int calls = 0;
  const auto call_twice = [&calls]() -> absl::Status {
    SAMOVAR_RETURN_IF_ERROR((++calls, absl::OkStatus()));
    SAMOVAR_RETURN_IF_ERROR((++calls, absl::AbortedError("stop")));
    return absl::OkStatus();
  };
  CHECK(call_twice().code() == absl::StatusCode::kAborted);
  CHECK(calls == 2);
}

TEST_CASE("a value is assigned, an error returned, as often as needed in one function") {
  CHECK(*Quarter(12) == 3);
  CHECK(Quarter(6).status().message() == "odd");
  CHECK(Quarter(5).status().code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("values that can only be moved are assigned, to what exists already too") {
  std::unique_ptr<int> box;
  CHECK(TakeBox(false, &box).code() == absl::StatusCode::kNotFound);
  CHECK(box == nullptr);
  CHECK(TakeBox(true, &box).ok());
  REQUIRE(box != nullptr);
  CHECK(*box == 7);
}

TEST_CASE("context is put before an error's message, and its code is kept") {
  const absl::Status error = Annotate(Annotate(absl::NotFoundError("no such key"), "chunk 3"), "snapshot 500");
  CHECK(error.code() == absl::StatusCode::kNotFound);
  CHECK(error.message() == "snapshot 500: chunk 3: no such key");
}

TEST_CASE("context is not added to success") { CHECK(Annotate(absl::OkStatus(), "chunk 3") == absl::OkStatus()); }

}  // namespace
}  // namespace samovar
