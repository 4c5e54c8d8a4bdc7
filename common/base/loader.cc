#include "common/base/loader.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

// Fixed by the x86-64 ABI.
constexpr char kLoader[] = "/lib64/ld-linux-x86-64.so.2";
constexpr absl::string_view kLevelPrefix = "x86-64-";
// Ascending.
constexpr absl::string_view kLevels[] = {"v2", "v3", "v4"};

// Place among kLevels; their number if it is none of them.
size_t PlaceOf(absl::string_view level) {
  return static_cast<size_t>(std::find(std::begin(kLevels), std::end(kLevels), level) - std::begin(kLevels));
}

// The value of the loader's --glibc-hwcaps-mask: the level and those below it.
std::string MaskOf(size_t place) {
  std::string mask;
  for (size_t i = place + 1; i-- > 0;) absl::StrAppend(&mask, mask.empty() ? "" : ":", kLevelPrefix, kLevels[i]);
  return mask;
}

absl::Status RunAgain(const std::string& mask, char** argv) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string program, ProgramPath());
  std::vector<std::string> arguments = {kLoader, "--glibc-hwcaps-mask", mask, "--argv0", program, program};
  for (char** argument = argv + 1; *argument != nullptr; ++argument) arguments.emplace_back(*argument);
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  execv(kLoader, pointers.data());
  return absl::FailedPreconditionError(
      absl::StrCat("cannot run ", kLoader, ": ", std::error_code(errno, std::system_category()).message()));
}

bool IsLoader(const fs::path& program) { return absl::StartsWith(program.filename().string(), "ld-"); }

}  // namespace

absl::Status KeepToInstructionSet(absl::string_view in_use, char** argv) {
  const char* const wish = std::getenv("SAMOVAR_ISA");
  if (wish == nullptr || *wish == '\0') return absl::OkStatus();
  const size_t wanted = PlaceOf(wish);
  if (wanted == std::size(kLevels)) {
    return absl::InvalidArgumentError(
        absl::StrCat("SAMOVAR_ISA is \"", wish, "\"; the levels are v2 (SSE 4.2), v3 (AVX2) and v4 (AVX-512)"));
  }
  const size_t used =
      absl::StartsWith(in_use, kLevelPrefix) ? PlaceOf(in_use.substr(kLevelPrefix.size())) : std::size(kLevels);
  if (wanted == used) return absl::OkStatus();
  if (wanted > used) {
    return absl::FailedPreconditionError(absl::StrCat("SAMOVAR_ISA is ", wish,
                                                      ", but this CPU or this build has no more than ", in_use,
                                                      ": SAMOVAR_ISA can only lower the level"));
  }
  // The loader was asked for that level already, and has found no such library.
  std::error_code error;
  if (IsLoader(fs::read_symlink("/proc/self/exe", error))) {
    return absl::FailedPreconditionError(absl::StrCat("SAMOVAR_ISA is ", wish,
                                                      ", but this build of the engine begins at ", in_use,
                                                      "; build it for lower levels as well: cmake --preset release ",
                                                      "-DSAMOVAR_ENGINE_LEVELS=\"x86-64-v2;x86-64-v3;x86-64-v4\""));
  }
  return RunAgain(MaskOf(wanted), argv);
}

absl::StatusOr<std::string> ProgramPath() {
  std::error_code error;
  fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (error) return absl::InternalError(absl::StrCat("cannot find this program's place: ", error.message()));
  if (IsLoader(self)) self = program_invocation_name;
  if (!self.is_absolute()) {
    return absl::InternalError(absl::StrCat(
        "cannot find this program's place: the loader was run without --argv0 and its path (", self.string(), ")"));
  }
  return self.string();
}

}  // namespace samovar
