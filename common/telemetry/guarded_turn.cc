#include "common/telemetry/guarded_turn.h"

#include "absl/strings/str_cat.h"
#include "common/base/exceptions.h"
#include "common/telemetry/log.h"

namespace samovar {

bool RunTurn(absl::string_view thread, absl::FunctionRef<void()> body) noexcept {
  const absl::Status status = CatchExceptions([&] {
    body();
    return absl::OkStatus();
  });
  if (status.ok()) return true;
  CatchExceptions([&] {
    LogError(absl::StrCat(thread, " could not do its work, and tries again: ", status.message()));
    return absl::OkStatus();
  }).IgnoreError();
  return false;
}

}  // namespace samovar
