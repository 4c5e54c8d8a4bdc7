// Which file a name in a solver or a net means, where both another place and the current directory may have it.
//
// Thread safety: all functions may be called from any thread.
#pragma once

#include <string>

#include "common/storage/storage_table.h"

namespace samovar {

struct NamedFile {
  // As FindFile gives it; absolute if it is the current directory's, and the name stands in a file of a storage.
  std::string path;
  // Which of two that a user may mean is taken, and how to name the other one; else empty.
  std::string warning;
};

// As FindFile (paths.h), of a name in the file `referring_file`. Where that is in a storage, the result is beside it;
// only if there is nothing and the current directory has one of that name, it is the latter. Asks the storage only if
// the current directory has one; what the storage does not tell counts as there, and its reader reports why it is not.
NamedFile FindNamedFile(const std::string& name, const std::string& referring_file, const StorageTable& storage);

}  // namespace samovar
