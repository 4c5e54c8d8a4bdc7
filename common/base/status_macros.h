// Returning early on an error, and adding context to it on the way up.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace samovar {

// The same status with "context: " before its message; an OK status is returned as it is.
inline absl::Status Annotate(const absl::Status& status, absl::string_view context) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(context, ": ", status.message()));
}

}  // namespace samovar

#define SAMOVAR_RETURN_IF_ERROR(expr)                                                         \
  do {                                                                                        \
    if (absl::Status samovar_status_ = (expr); !samovar_status_.ok()) return samovar_status_; \
  } while (false)

#define SAMOVAR_CONCAT_INNER_(a, b) a##b
#define SAMOVAR_CONCAT_(a, b) SAMOVAR_CONCAT_INNER_(a, b)

// SAMOVAR_ASSIGN_OR_RETURN(auto value, Compute());
#define SAMOVAR_ASSIGN_OR_RETURN(lhs, expr) \
  SAMOVAR_ASSIGN_OR_RETURN_IMPL_(SAMOVAR_CONCAT_(samovar_status_or_, __LINE__), lhs, expr)
#define SAMOVAR_ASSIGN_OR_RETURN_IMPL_(temporary, lhs, expr) \
  auto temporary = (expr);                                   \
  if (!temporary.ok()) return temporary.status();            \
  lhs = std::move(temporary).value()
