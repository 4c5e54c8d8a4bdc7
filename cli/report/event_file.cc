#include "cli/report/event_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/base/process_usage.h"
#include "common/base/status_macros.h"
#include "common/storage/crc32c.h"
#include "tensorboard.pb.h"

namespace samovar {
namespace {

constexpr char kFileVersion[] = "brain.Event:2";
constexpr uint32_t kMaskDelta = 0xa282ead8;

template <typename Number>
void AppendLittleEndian(Number number, std::string* bytes) {
  for (size_t i = 0; i < sizeof number; ++i) bytes->push_back(static_cast<char>(number >> (8 * i) & 0xff));
}

// TensorFlow masks checksums, so that one of bytes that hold checksums is no weak one.
uint32_t MaskedCrc32c(absl::string_view bytes) { return std::rotr(Crc32c(bytes), 15) + kMaskDelta; }

tensorboard::Event EventAt(uint64_t step, absl::Time time) {
  tensorboard::Event event;
  event.set_wall_time(static_cast<double>(absl::ToUnixMicros(time)) / 1e6);
  event.set_step(static_cast<int64_t>(step));
  return event;
}

// events.out.tfevents.SECONDS.HOST.PID.NUMBER: the order of names is that in which TensorBoard reads the files.
std::string FileName(absl::Time now, int number) {
  std::string host = MachineName();
  std::replace(host.begin(), host.end(), '/', '_');
  return absl::StrFormat("events.out.tfevents.%010d.%s.%d.%d", absl::ToUnixSeconds(now), host.empty() ? "host" : host,
                         getpid(), number);
}

}  // namespace

std::string TensorFlowRecord(absl::string_view data) {
  std::string record;
  AppendLittleEndian(uint64_t{data.size()}, &record);
  AppendLittleEndian(MaskedCrc32c(record), &record);
  absl::StrAppend(&record, data);
  AppendLittleEndian(MaskedCrc32c(data), &record);
  return record;
}

absl::StatusOr<std::unique_ptr<EventFile>> EventFile::Create(const std::string& directory, uint64_t first_step) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) {
    return absl::ErrnoToStatus(error.value(),
                               absl::StrCat("cannot make the directory ", directory, " for TensorBoard's event files"));
  }
  const absl::Time now = absl::Now();
  // Files of one process and second. Orders nothing.
  static std::atomic<int> files = 0;
  const std::string path = absl::StrCat(directory, "/", FileName(now, files++));
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot make ", path));
  std::unique_ptr<EventFile> file(new EventFile(path, fd));
  tensorboard::Event version = EventAt(0, now);
  version.set_file_version(kFileVersion);
  tensorboard::Event start = EventAt(first_step, now);
  start.mutable_session_log()->set_status(tensorboard::SessionLog::START);
  for (const tensorboard::Event& event : {version, start})
    file->pending_.append(TensorFlowRecord(event.SerializeAsString()));
  SAMOVAR_RETURN_IF_ERROR(file->Flush());
  return file;
}

EventFile::~EventFile() { close(fd_); }

void EventFile::Add(uint64_t step, absl::Time time, const std::vector<std::pair<std::string, float>>& scalars) {
  tensorboard::Event event = EventAt(step, time);
  for (const auto& [tag, number] : scalars) {
    tensorboard::Summary::Value* const value = event.mutable_summary()->add_value();
    value->set_tag(tag);
    value->set_simple_value(number);
  }
  pending_.append(TensorFlowRecord(event.SerializeAsString()));
}

absl::Status EventFile::Flush() {
  while (!pending_.empty()) {
    const ssize_t written = write(fd_, pending_.data(), pending_.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path_));
    pending_.erase(0, static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

}  // namespace samovar
