// What is said of a LevelDB where an LMDB is expected.
#pragma once

#include <string>

namespace samovar {

// Whether the directory looks like a LevelDB.
bool IsLevelDb(const std::string& directory);

// The command that makes an LMDB of the LevelDB, and what to write in the net then.
std::string LevelDbAdvice(const std::string& source);

}  // namespace samovar
