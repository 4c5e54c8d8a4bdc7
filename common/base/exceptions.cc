#include "common/base/exceptions.h"

#include <exception>
#include <new>

#include "absl/strings/str_cat.h"

namespace samovar {

absl::Status CatchExceptions(absl::FunctionRef<absl::Status()> body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("this process is out of memory; use more servers, or end other jobs");
  } catch (const std::exception& exception) {
    return absl::InternalError(absl::StrCat("unexpected: ", exception.what()));
  } catch (...) {
    return absl::InternalError("unexpected exception");
  }
}

}  // namespace samovar
