// Recognises a file of one kind that a user has given for another, and names the flag that takes it.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/storage/storage_table.h"

namespace samovar {

// The flags of a command that take files, each with its dashes. `state` is empty where a command takes no .solverstate.
struct FileFlags {
  absl::string_view text;
  absl::string_view model;
  absl::string_view state;
};
inline constexpr FileFlags kTrainFlags = {"--solver", "--weights", "--snapshot"};
inline constexpr FileFlags kModelFlags = {"--model", "--weights", ""};

// The error of a reader that refused the file that `flag` named. If the file is whole, and of another kind than that
// flag takes, the message says instead what the file is, and the flag to give it with. Reads the file once more in that
// case.
absl::Status ExplainWrongFile(const absl::Status& refused, const std::string& path, absl::string_view flag,
                              const FileFlags& flags, const StorageTable& storage);

}  // namespace samovar
