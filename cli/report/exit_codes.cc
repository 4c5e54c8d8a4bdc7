#include "cli/report/exit_codes.h"

#include <iostream>

#include "common/base/printable.h"

namespace samovar {
namespace {

// A longer message is cut. Checks list many mistakes.
constexpr size_t kMaxBytes = 1 << 20;

}  // namespace

void PrintError(absl::string_view text) {
  std::cerr << "samovar: error: " << PrintableLines(text, kMaxBytes) << std::endl;
}

void PrintWarning(absl::string_view text) {
  std::cerr << "samovar: warning: " << PrintableLines(text, kMaxBytes) << std::endl;
}

void PrintNotice(absl::string_view text) { std::cerr << "samovar: " << PrintableLines(text, kMaxBytes) << std::endl; }

}  // namespace samovar
