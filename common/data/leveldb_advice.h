// Recognises a LevelDB where an LMDB is expected, and tells the user what to do with it.
#pragma once

#include <string>

namespace samovar {

// Whether the directory looks like a LevelDB.
bool IsLevelDb(const std::string& directory);

// Names the command that makes an LMDB of the LevelDB, and the source to write in the net then.
std::string LevelDbAdvice(const std::string& source);

}  // namespace samovar
