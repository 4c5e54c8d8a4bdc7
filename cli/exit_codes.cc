#include "cli/exit_codes.h"

#include <iostream>

namespace samovar {

void PrintError(absl::string_view text) { std::cerr << "samovar: error: " << text << std::endl; }

void PrintWarning(absl::string_view text) { std::cerr << "samovar: warning: " << text << std::endl; }

}  // namespace samovar
