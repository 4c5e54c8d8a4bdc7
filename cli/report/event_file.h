// EventFile is an event file of TensorBoard: scalars, each with its step and wall time. TensorBoard reads it while it
// grows; a process that is killed leaves all that was flushed.
//
//   SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<EventFile> file, EventFile::Create("runs/lenet", 0));
//   file->Add(0, absl::Now(), {{"loss", 2.3f}});
//   SAMOVAR_RETURN_IF_ERROR(file->Flush());
//
// A directory is one run of TensorBoard's. A file that is made later goes on with it: of the files before it, what they
// have of its first step and later ones counts no more.
//
// Thread safety: none.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace samovar {

// A record of TFRecord's format: length, its checksum, data, their checksum.
std::string TensorFlowRecord(absl::string_view data);

class EventFile {
 public:
  // Makes a file in the directory of this machine, and the directory if need be. `first_step`: of all that is added.
  static absl::StatusOr<std::unique_ptr<EventFile>> Create(const std::string& directory, uint64_t first_step);
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  // Tags and values. Is in the file with the next Flush.
  void Add(uint64_t step, absl::Time time, const std::vector<std::pair<std::string, float>>& scalars);

  // Appends whole records. An error names the file; the records are tried again with the next Flush.
  absl::Status Flush();

  const std::string& path() const { return path_; }

 private:
  EventFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

  const std::string path_;
  const int fd_;
  // Records that are not in the file yet.
  std::string pending_;
};

}  // namespace samovar
