#include "common/remote/remote_storage.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/printable.h"
#include "common/base/read_file.h"
#include "common/base/status_macros.h"
#include "common/remote/pieces.h"
#include "common/storage/write_file.h"

namespace samovar {
namespace {

// The last name of a URI: readers look at what it ends with.
std::string BaseName(absl::string_view uri) {
  while (absl::EndsWith(uri, "/")) uri.remove_suffix(1);
  return std::string(uri.substr(uri.rfind('/') + 1));
}

// A listed name becomes a name below the cache.
absl::Status CheckName(const std::string& uri, absl::string_view name) {
  // A place's "a//b" is b in a, as a path is.
  while (absl::ConsumePrefix(&name, "/")) {
  }
  if (!name.empty() && name != "." && name != ".." && !absl::StrContains(name, '/') && !absl::StrContains(name, '\0')) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(uri, ": a file in it is named \"", Printable(name), "\", which no file of this machine can be"));
}

class RemoteRange : public RangeReader {
 public:
  RemoteRange(std::shared_ptr<RemoteStore> store, std::string uri, StoredFile file, uint64_t offset, uint64_t bytes)
      : store_(std::move(store)), uri_(std::move(uri)), file_(std::move(file)) {
    next_ = std::min(offset, file_.bytes);
    end_ = next_ + std::min(bytes, file_.bytes - next_);
  }

  uint64_t file_bytes() const override { return file_.bytes; }

  absl::StatusOr<size_t> Read(std::span<char> out) override {
    size_t done = 0;
    while (done < out.size()) {
      if (used_ == piece_.size()) {
        const uint64_t bytes = std::min(kRemotePieceBytes * kRemoteRequests, end_ - next_);
        if (bytes == 0) break;
        piece_.resize(bytes);
        used_ = piece_.size();
        SAMOVAR_RETURN_IF_ERROR(ReadBeside(piece_));
        next_ += bytes;
        used_ = 0;
      }
      const size_t count = std::min(out.size() - done, piece_.size() - used_);
      std::memcpy(out.data() + done, piece_.data() + used_, count);
      used_ += count;
      done += count;
    }
    return done;
  }

 private:
  // Fills `out` from the next byte on, in pieces beside each other.
  absl::Status ReadBeside(std::span<char> out) {
    const uint64_t pieces = (out.size() + kRemotePieceBytes - 1) / kRemotePieceBytes;
    return ForEachPiece(pieces, kRemoteRequests, [&](uint64_t piece) {
      const uint64_t begin = piece * kRemotePieceBytes;
      return store_->Read(uri_, file_, next_ + begin,
                          out.subspan(begin, std::min<uint64_t>(kRemotePieceBytes, out.size() - begin)));
    });
  }

  const std::shared_ptr<RemoteStore> store_;
  const std::string uri_;
  const StoredFile file_;
  // The next byte to be read, and the end of the range.
  uint64_t next_ = 0;
  uint64_t end_ = 0;
  // Read ahead, and of these so many given out.
  std::vector<char> piece_;
  size_t used_ = 0;
};

// A piece of one of the files that are copied.
struct Piece {
  size_t copy;
  uint64_t offset;
  uint64_t bytes;
};

absl::Status WriteAt(int fd, std::span<const char> bytes, uint64_t offset, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t count = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ErrnoStatus(errno, "write", path);
    bytes = bytes.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
  return absl::OkStatus();
}

// A file of this size, made with the directories above it.
absl::Status MakeFile(const std::string& path, uint64_t bytes) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (error) return ErrnoStatus(error.value(), "make the directory of", path);
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return ErrnoStatus(errno, "make", path);
  const absl::Cleanup close_it = [fd] { close(fd); };
  return ftruncate(fd, static_cast<off_t>(bytes)) == 0 ? absl::OkStatus() : ErrnoStatus(errno, "write", path);
}

}  // namespace

std::string JoinUri(const std::string& uri, const std::string& name) {
  return absl::StrCat(uri, absl::EndsWith(uri, "/") ? "" : "/", name);
}

RemoteStorage::RemoteStorage(std::shared_ptr<RemoteStore> store, std::shared_ptr<FileCache> cache,
                             std::function<void(const std::string&)> tell, std::shared_ptr<Stopper> stopper)
    : store_(std::move(store)), cache_(std::move(cache)), tell_(std::move(tell)), stopper_(std::move(stopper)) {}

absl::Status RemoteStorage::Walk(const std::string& uri, const std::string& path, size_t depth,
                                 std::vector<Copy>* copies) {
  if (depth > kMaxDepth) {
    return absl::InvalidArgumentError(
        absl::StrCat(uri, ": directories stand in each other more than ", kMaxDepth, " deep"));
  }
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<StoredFile> files, store_->List(uri));
  for (const StoredFile& file : files) {
    SAMOVAR_RETURN_IF_ERROR(CheckName(uri, file.name));
    const std::string below = absl::StrCat(path, "/", file.name);
    if (file.is_directory) {
      SAMOVAR_RETURN_IF_ERROR(Walk(JoinUri(uri, file.name), below, depth + 1, copies));
    } else {
      copies->push_back({JoinUri(uri, file.name), file, below});
    }
    if (copies->size() > kMaxFiles) {
      return absl::InvalidArgumentError(absl::StrCat(uri, ": has more than ", kMaxFiles, " files in it"));
    }
  }
  return absl::OkStatus();
}

absl::Status RemoteStorage::CopyAll(const std::vector<Copy>& copies, const std::string& directory) {
  std::vector<Piece> pieces;
  for (size_t i = 0; i < copies.size(); ++i) {
    SAMOVAR_RETURN_IF_ERROR(MakeFile(directory + copies[i].path, copies[i].file.bytes));
    for (uint64_t offset = 0; offset < copies[i].file.bytes; offset += kRemotePieceBytes) {
      pieces.push_back({i, offset, std::min(kRemotePieceBytes, copies[i].file.bytes - offset)});
    }
  }
  return ForEachPiece(pieces.size(), kRemoteRequests, [&](uint64_t index) -> absl::Status {
    const Piece& piece = pieces[index];
    const Copy& copy = copies[piece.copy];
    const std::string path = directory + copy.path;
    std::vector<char> buffer(piece.bytes);
    SAMOVAR_RETURN_IF_ERROR(store_->Read(copy.uri, copy.file, piece.offset, buffer));
    const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0) return ErrnoStatus(errno, "open", path);
    const absl::Cleanup close_it = [fd] { close(fd); };
    return WriteAt(fd, buffer, piece.offset, path);
  });
}

absl::StatusOr<RemoteStorage::Content> RemoteStorage::Survey(const std::string& uri) {
  SAMOVAR_ASSIGN_OR_RETURN(const StoredFile file, store_->Stat(uri));
  Content content;
  content.is_directory = file.is_directory;
  content.root = absl::StrCat("/", BaseName(uri));
  SAMOVAR_RETURN_IF_ERROR(CheckName(uri, content.root.substr(1)));
  if (file.is_directory) {
    SAMOVAR_RETURN_IF_ERROR(Walk(uri, content.root, 0, &content.copies));
  } else {
    content.copies.push_back({uri, file, content.root});
  }
  for (const Copy& copy : content.copies) {
    for (const std::string& field : {copy.uri, copy.path, copy.file.version}) {
      absl::StrAppend(&content.key, field.size(), ":", field);
    }
    absl::StrAppend(&content.key, copy.file.bytes, ";");
    content.bytes += copy.file.bytes;
  }
  return content;
}

absl::StatusOr<std::string> RemoteStorage::Fetch(const std::string& uri) {
  SAMOVAR_ASSIGN_OR_RETURN(const Content content, Survey(uri));
  const auto fill = [&](const std::string& directory) -> absl::Status {
    const size_t files = content.copies.size();
    if (tell_ && content.bytes >= kToldBytes) {
      tell_(
          absl::StrCat("fetches ", uri, ": ", files, files == 1 ? " file, " : " files, ", content.bytes >> 20, " MiB"));
    }
    std::error_code error;
    if (content.is_directory) std::filesystem::create_directories(directory + content.root, error);
    SAMOVAR_RETURN_IF_ERROR(CopyAll(content.copies, directory));
    // Not every place says with its bytes which version they are of.
    SAMOVAR_ASSIGN_OR_RETURN(const Content after, Survey(uri));
    if (after.key == content.key) return absl::OkStatus();
    return absl::AbortedError(absl::StrCat(uri, ": was changed while it was read"));
  };
  SAMOVAR_ASSIGN_OR_RETURN(const std::string entry,
                           cache_->Get(absl::StrCat(uri, ";", content.key), content.bytes, fill));
  return entry + content.root;
}

absl::Status RemoteStorage::Put(const std::string& uri, const std::function<absl::Status(int fd)>& write) {
  SAMOVAR_ASSIGN_OR_RETURN(const int fd, cache_->OpenNameless());
  const absl::Cleanup close_it = [fd] { close(fd); };
  const absl::Status written = write(fd);
  if (!written.ok()) return CannotWrite(uri, written);
  struct stat whole = {};
  if (fstat(fd, &whole) != 0) return ErrnoStatus(errno, "write", uri);
  return CannotWrite(uri, store_->Write(uri, fd, static_cast<uint64_t>(whole.st_size)));
}

absl::Status RemoteStorage::Create(const std::string& uri, absl::string_view bytes) {
  return store_->Create(uri, bytes);
}

absl::StatusOr<StoredFile> RemoteStorage::Stat(const std::string& uri) { return store_->Stat(uri); }

absl::StatusOr<std::vector<StoredFile>> RemoteStorage::List(const std::string& uri) { return store_->List(uri); }

absl::Status RemoteStorage::Remove(const std::string& uri) { return store_->Remove(uri); }

absl::Status RemoteStorage::MakeDirectory(const std::string& uri) { return store_->MakeDirectory(uri); }

absl::Status RemoteStorage::CheckWritable(const std::string& uri) {
  return CannotWrite(uri, store_->CheckWritable(uri));
}

void RemoteStorage::Stop() {
  if (stopper_ != nullptr) stopper_->Stop();
}

absl::StatusOr<std::unique_ptr<RangeReader>> RemoteStorage::OpenRange(const std::string& uri, uint64_t offset,
                                                                      uint64_t bytes) {
  SAMOVAR_ASSIGN_OR_RETURN(StoredFile file, store_->Stat(uri));
  if (file.is_directory) return absl::InvalidArgumentError(absl::StrCat(uri, " is a directory"));
  return std::make_unique<RemoteRange>(store_, uri, std::move(file), offset, bytes);
}

}  // namespace samovar
