// Files of this machine that are there whole or not at all. Those that users name are written by StorageTable::Put.
//
// Thread safety: functions may be called from any thread; two writers of the same path leave the file of one of them.
#pragma once

#include <functional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace samovar {

// Writes a file so that at any moment, also after a crash of the machine, `path` is the old file or the whole new one:
// into a new file in the same directory, which `write` fills, synchronised and then renamed. Makes the directory if it
// is missing. Blocks until the bytes are on the disk. RESOURCE_EXHAUSTED: the disk is full; otherwise the error of
// `write` or of the system.
absl::Status WriteFileAtomically(const std::string& path, const std::function<absl::Status(int fd)>& write);

// Makes a file that is written, under another name on the same disk, the file `path`, in place of an older one: as
// WriteFileAtomically. The file stays under its other name if that fails.
absl::Status PublishFile(const std::string& written, const std::string& path);

// Makes a file of these bytes if there is none of that name, durably, and makes its directory if it is missing.
// ALREADY_EXISTS: there is one; of several that make it at the same time one succeeds.
absl::Status CreateFile(const std::string& path, absl::string_view bytes);

// Whether the file could be written now, as far as can be told without making anything: its directory, or the nearest
// one above it that there is, takes files, and no name is too long. The error is the system's.
absl::Status CheckWritable(const std::string& path);

// Removes files that processes which are gone left unfinished in a directory, if `is_ours` knows their names: nothing
// but NAME.PID.NUMBER.tmp, as WriteFileAtomically makes it, whose process there is not any more.
void RemoveAbandoned(const std::string& directory, absl::FunctionRef<bool(absl::string_view name)> is_ours);

// Writes all of the bytes at the file's position; an error names `path`.
absl::Status WriteAll(const std::string& path, absl::string_view bytes, int fd);

// As WriteFileAtomically, with these bytes.
absl::Status WriteBytesAtomically(const std::string& path, absl::string_view bytes);

// The status with "cannot write PATH: " before its message, unless it begins so already; an OK status is returned as it
// is.
absl::Status CannotWrite(const std::string& path, const absl::Status& status);

}  // namespace samovar
