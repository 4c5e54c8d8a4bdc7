// Checks on absl::Status and absl::StatusOr that print the status when they fail.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "tests/support/catch.h"

namespace samovar {

inline const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& value) {
  return value.status();
}

}  // namespace samovar

#define REQUIRE_OK(expr)                                       \
  do {                                                         \
    const auto& samovar_value = (expr);                        \
    INFO(#expr << ": " << ::samovar::StatusOf(samovar_value)); \
    REQUIRE(::samovar::StatusOf(samovar_value).ok());          \
  } while (false)

// The status has this code, and its message contains the text.
#define REQUIRE_STATUS(expr, expected_code, text)                                     \
  do {                                                                                \
    const auto& samovar_value = (expr);                                               \
    INFO(#expr << ": " << ::samovar::StatusOf(samovar_value));                        \
    REQUIRE(::samovar::StatusOf(samovar_value).code() == (expected_code));            \
    REQUIRE(absl::StrContains(::samovar::StatusOf(samovar_value).message(), (text))); \
  } while (false)
