// `samovar fs`: files where a cluster keeps them, by the same door as those of all other commands.
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "cli/commands.h"
#include "cli/report/exit_codes.h"
#include "cli/report/json_line.h"
#include "common/base/printable.h"
#include "common/base/status_macros.h"
#include "common/storage/storage_table.h"
#include "common/storage/write_file.h"

namespace samovar {
namespace {

constexpr size_t kPieceBytes = 4 << 20;
constexpr int kMaxDepth = 32;
// Copies that are larger show on a terminal how far they are.
constexpr uint64_t kShownBytes = 16 << 20;

std::string WithoutSlashes(absl::string_view uri) {
  while (uri.size() > 1 && absl::EndsWith(uri, "/") && !absl::EndsWith(uri, ":/") && !absl::EndsWith(uri, "://")) {
    uri.remove_suffix(1);
  }
  return std::string(uri);
}

std::string Join(const std::string& directory, const std::string& name) {
  return absl::StrCat(directory, absl::EndsWith(directory, "/") ? "" : "/", name);
}

std::string BaseName(const std::string& uri) {
  const std::string trimmed = WithoutSlashes(uri);
  return trimmed.substr(trimmed.rfind('/') + 1);
}

int Fail(const absl::Status& status) {
  PrintError(status.message());
  const bool is_usage = absl::IsInvalidArgument(status) || absl::IsNotFound(status) ||
                        absl::IsFailedPrecondition(status) || absl::IsAlreadyExists(status);
  return is_usage ? kExitUsage : kExitFailed;
}

// Calls `visit` for every file below a directory, with its path from there ("a/b"); directories after what is in them,
// with a slash at the end.
absl::Status Walk(const StorageTable& storage, const std::string& uri, const std::string& path, int depth,
                  bool into_links,
                  const std::function<absl::Status(const std::string& path, const StoredFile& file)>& visit) {
  if (depth > kMaxDepth) {
    return absl::InvalidArgumentError(
        absl::StrCat(uri, ": directories stand in each other more than ", kMaxDepth, " deep"));
  }
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<StoredFile> files, storage.List(uri));
  for (const StoredFile& file : files) {
    const std::string below = absl::StrCat(path, file.name, file.is_directory ? "/" : "");
    if (file.is_directory && (into_links || !file.is_link)) {
      SAMOVAR_RETURN_IF_ERROR(Walk(storage, Join(uri, file.name), below, depth + 1, into_links, visit));
    }
    SAMOVAR_RETURN_IF_ERROR(visit(below, file));
  }
  return absl::OkStatus();
}

void PrintFile(const std::string& path, const StoredFile& file, bool json) {
  if (json) {
    JsonLine line;
    line.Text("name", path).Text("type", file.is_directory ? "directory" : "file");
    if (!file.is_directory) line.Integer("bytes", file.bytes);
    std::cout << line.Finish() << "\n";
    return;
  }
  const std::string size = file.is_directory ? "-" : absl::StrCat(file.bytes);
  const bool has_slash = !file.is_directory || absl::EndsWith(path, "/");
  std::cout << absl::StrFormat("%14s  %s%s\n", size, Printable(path), has_slash ? "" : "/");
}

// Reads the file, and gives it to `take` piece by piece.
absl::Status ReadAll(const StorageTable& storage, const std::string& uri,
                     const std::function<absl::Status(absl::string_view)>& take) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<RangeReader> reader, storage.OpenRange(uri, 0, UINT64_MAX));
  std::vector<char> buffer(std::clamp<uint64_t>(reader->file_bytes(), 1, kPieceBytes));
  uint64_t taken = 0;
  while (true) {
    SAMOVAR_ASSIGN_OR_RETURN(const size_t count, reader->Read(buffer));
    if (count > 0) SAMOVAR_RETURN_IF_ERROR(take({buffer.data(), count}));
    taken += count;
    if (count < buffer.size()) break;
  }
  if (taken == reader->file_bytes()) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(uri, ": of ", reader->file_bytes(), " bytes ", taken, " came; was it changed while it was read?"));
}

// How much of a command's files has been copied.
class CopyProgress {
 public:
  void Add(uint64_t bytes) {
    bytes_ += bytes;
    if (isatty(STDERR_FILENO) == 0 || bytes_ - shown_ < kShownBytes) return;
    shown_ = bytes_;
    std::cerr << "\r" << (bytes_ >> 20) << " MiB" << std::flush;
  }
  void End() const {
    if (shown_ > 0) std::cerr << "\r" << std::flush;
  }
  uint64_t bytes() const { return bytes_; }

 private:
  uint64_t bytes_ = 0;
  uint64_t shown_ = 0;
};

absl::Status CopyFile(const FsCopyOptions& options, const std::string& from, const std::string& to,
                      CopyProgress* progress) {
  if (!options.force && options.storage.Exists(to)) {
    return absl::AlreadyExistsError(absl::StrCat(to, ": exists already; --force replaces it"));
  }
  return options.storage.Put(to, [&](int fd) {
    return ReadAll(options.storage, from, [&](absl::string_view bytes) {
      progress->Add(bytes.size());
      return WriteAll(to, bytes, fd);
    });
  });
}

// A copy goes into a directory that there is, under its own name.
absl::StatusOr<std::string> Destination(const FsCopyOptions& options) {
  const absl::StatusOr<StoredFile> there = options.storage.Stat(options.to);
  if (there.ok() && there->is_directory) return Join(options.to, BaseName(options.from));
  if (absl::EndsWith(options.to, "/")) return Join(options.to, BaseName(options.from));
  if (!there.ok() && !absl::IsNotFound(there.status())) return there.status();
  return options.to;
}

absl::Status Copy(const FsCopyOptions& options) {
  SAMOVAR_ASSIGN_OR_RETURN(const StoredFile source, options.storage.Stat(options.from));
  if (source.is_directory && !options.recursive) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.from, ": is a directory; --recursive copies it with all that is in it"));
  }
  SAMOVAR_ASSIGN_OR_RETURN(const std::string to, Destination(options));
  CopyProgress progress;
  uint64_t files = 0;
  absl::Status copied;
  if (source.is_directory) {
    SAMOVAR_RETURN_IF_ERROR(options.storage.MakeDirectory(to));
    copied = Walk(options.storage, options.from, "", 0, true, [&](const std::string& path, const StoredFile& file) {
      // Those in which nothing is would be lost.
      if (file.is_directory) return options.storage.MakeDirectory(Join(to, WithoutSlashes(path)));
      ++files;
      return CopyFile(options, Join(options.from, path), Join(to, path), &progress);
    });
  } else {
    ++files;
    copied = CopyFile(options, options.from, to, &progress);
  }
  progress.End();
  SAMOVAR_RETURN_IF_ERROR(copied);
  std::cout << to << ": " << files << (files == 1 ? " file, " : " files, ") << progress.bytes() << " bytes\n";
  return absl::OkStatus();
}

// Nothing is named below the place itself: "/", "hdfs:///", "wasbs://CONTAINER@ACCOUNT/".
bool IsWholePlace(absl::string_view uri) {
  const size_t scheme = uri.find("://");
  if (scheme != absl::string_view::npos) {
    uri.remove_prefix(scheme + 3);
    uri.remove_prefix(std::min(uri.size(), uri.find('/')));
  } else {
    uri.remove_prefix(uri.find(':') == absl::string_view::npos ? 0 : uri.find(':') + 1);
  }
  return uri.find_first_not_of('/') == absl::string_view::npos;
}

absl::Status Remove(const FsRemoveOptions& options) {
  if (IsWholePlace(options.uri)) {
    return absl::InvalidArgumentError(absl::StrCat(options.uri, ": is all that there is; name a directory in it"));
  }
  // A link with a slash behind it would be the directory that it leads to.
  const std::string directory = WithoutSlashes(options.uri);
  SAMOVAR_ASSIGN_OR_RETURN(const StoredFile there, options.storage.Stat(directory));
  if (!there.is_directory || there.is_link) return options.storage.Remove(directory);
  if (!options.recursive) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.uri, ": is a directory; --recursive removes it with all that is in it"));
  }
  uint64_t files = 0;
  SAMOVAR_RETURN_IF_ERROR(
      Walk(options.storage, directory, "", 0, false, [&](const std::string& path, const StoredFile& file) {
        files += file.is_directory && !file.is_link ? 0 : 1;
        const absl::Status removed = options.storage.Remove(WithoutSlashes(Join(directory, path)));
        // Places without directories have none once they are empty.
        return file.is_directory && absl::IsNotFound(removed) ? absl::OkStatus() : removed;
      }));
  const absl::Status removed = options.storage.Remove(directory);
  if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
  std::cout << directory << ": " << files << (files == 1 ? " file" : " files") << " removed\n";
  return absl::OkStatus();
}

absl::Status List(const FsListOptions& options) {
  SAMOVAR_ASSIGN_OR_RETURN(const StoredFile there, options.storage.Stat(options.uri));
  if (!there.is_directory) {
    PrintFile(BaseName(options.uri), there, options.json);
    return absl::OkStatus();
  }
  if (options.recursive) {
    return Walk(options.storage, options.uri, "", 0, true, [&](const std::string& path, const StoredFile& file) {
      PrintFile(path, file, options.json);
      return absl::OkStatus();
    });
  }
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<StoredFile> files, options.storage.List(options.uri));
  for (const StoredFile& file : files) PrintFile(file.name, file, options.json);
  return absl::OkStatus();
}

}  // namespace

int RunFsList(const FsListOptions& options) {
  const absl::Status status = List(options);
  return status.ok() ? kExitOk : Fail(status);
}

int RunFsCat(const FsCatOptions& options) {
  const absl::Status status = ReadAll(options.storage, options.uri, [](absl::string_view bytes) {
    return std::cout.write(bytes.data(), static_cast<std::streamsize>(bytes.size()))
               ? absl::OkStatus()
               : absl::CancelledError("nobody reads the output");
  });
  // main tells of output that is lost.
  return status.ok() || absl::IsCancelled(status) ? kExitOk : Fail(status);
}

int RunFsCopy(const FsCopyOptions& options) {
  const absl::Status status = Copy(options);
  return status.ok() ? kExitOk : Fail(status);
}

int RunFsRemove(const FsRemoveOptions& options) {
  const absl::Status status = Remove(options);
  return status.ok() ? kExitOk : Fail(status);
}

}  // namespace samovar
