// Programs for tests: shell scripts.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

namespace samovar {

// Runs until it is killed; SIGTERM does.
inline constexpr char kStay[] = "exec tail -f /dev/null\n";

// Makes an executable shell script of these lines.
inline void WriteScript(const std::string& path, const std::string& lines) {
  std::ofstream(path) << "#!/bin/sh\n" << lines;
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
}

}  // namespace samovar
