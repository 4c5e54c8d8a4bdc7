// Checks of an LMDB data file before LMDB maps it. LMDB follows page numbers and offsets in the file without looking,
// so a truncated file ends in SIGBUS and a flipped bit in a wild read; after these checks it does not.
//
// The format is that of LMDB 0.9 (data version 1) on a 64-bit little-endian machine; its structures are laid out in the
// source file.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace samovar {

// Reads the meta pages and walks all branch and leaf pages of the newest state: every page and every value must lie in
// the file. Does not look at values, except the list of free pages if the file is to be written.
// Time: one 4 KiB read a branch or leaf page; large values have pages of their own, which are not read.
// Nobody may write to the file meanwhile.
// INVALID_ARGUMENT: not an LMDB, or one with features that Caffe's databases do not have. DATA_LOSS: damaged or
// truncated. NOT_FOUND: no such file. Messages begin with the path.
absl::Status CheckLmdbFile(const std::string& data_file, bool for_writing);

}  // namespace samovar
