// Files that are there whole or not at all.
//
// Thread safety: functions may be called from any thread; two writers of the same path leave the file of one of them.
#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message_lite.h"

namespace samovar {

// Writes a file so that at any moment, also after a crash of the machine, `path` is the old file or the whole new one:
// into a new file in the same directory, which `write` fills, synchronised and then renamed. Makes the directory if it
// is missing. Blocks until the bytes are on the disk. RESOURCE_EXHAUSTED: the disk is full; otherwise what `write` or
// the system says.
absl::Status WriteFileAtomically(const std::string& path, const std::function<absl::Status(int fd)>& write);

// Makes a file that is written, under another name on the same disk, the file `path`, in place of what was there: as
// WriteFileAtomically. The file stays under its other name if that fails.
absl::Status PublishFile(const std::string& written, const std::string& path);

// Writes all of the bytes at the file's position; an error names `path`.
absl::Status WriteAll(const std::string& path, absl::string_view bytes, int fd);

// As WriteFileAtomically, with these bytes.
absl::Status WriteBytesAtomically(const std::string& path, absl::string_view bytes);

// The same with the message in binary. INVALID_ARGUMENT: larger than 2 GiB, which is protobuf's limit, or lacks a
// required field.
absl::Status WriteMessageAtomically(const std::string& path, const google::protobuf::MessageLite& message);

// The status with "cannot write PATH: " before its message, unless it begins so already; an OK status is returned as it
// is.
absl::Status CannotWrite(const std::string& path, const absl::Status& status);

}  // namespace samovar
