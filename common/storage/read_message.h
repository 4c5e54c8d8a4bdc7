// Files that are one message in protobuf's binary format.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/storage/storage_table.h"
#include "google/protobuf/message_lite.h"

namespace samovar {

// protobuf's limit.
inline constexpr uint64_t kMaxMessageBytes = std::numeric_limits<int32_t>::max();

// Reads the file, a path or a URI, into the message. `what`: the kind of file, "a .caffemodel". NOT_FOUND,
// PERMISSION_DENIED: it cannot be read. INVALID_ARGUMENT: it is a directory, a pipe, or too large. DATA_LOSS: it is not
// such a message, or lacks a required field. All name the file.
absl::Status ReadMessage(const std::string& path, absl::string_view what, google::protobuf::MessageLite* message,
                         const StorageTable& storage);
// The same for a path of this machine, of what was fetched for one.
absl::Status ReadLocalMessage(const std::string& path, absl::string_view what, google::protobuf::MessageLite* message);

}  // namespace samovar
