#include "common/storage/storage_table.h"

#include <cerrno>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/read_file.h"
#include "common/base/status_macros.h"
#include "common/storage/local_storage.h"
#include "common/storage/paths.h"
#include "common/storage/read_message.h"
#include "common/storage/write_file.h"
#include "google/protobuf/io/zero_copy_stream_impl.h"

namespace samovar {

StorageTable::StorageTable() {
  // A line a scheme.
  Add(kFileScheme, std::make_shared<LocalStorage>());
}

void StorageTable::Add(const std::string& scheme, std::shared_ptr<Storage> storage) {
  schemes_[scheme] = std::move(storage);
}

absl::StatusOr<std::shared_ptr<Storage>> StorageTable::StorageFor(const std::string& uri) const {
  // Known by the colon alone.
  const auto known = schemes_.find(uri.substr(0, uri.find(':')));
  const bool is_known = known != schemes_.end() && uri.size() > known->first.size();
  if (is_known && known->first != kFileScheme) return known->second;
  // A URI that still begins with "file:" is of another machine.
  if (SchemeOf(WithoutFileScheme(uri)).empty()) return schemes_.at(kFileScheme);
  std::string others;
  for (const auto& [name, storage] : schemes_) {
    if (name != kFileScheme) absl::StrAppend(&others, ", or a URI with \"", name, ":\"");
  }
  return absl::InvalidArgumentError(absl::StrCat(NotOffered(uri), others));
}

absl::StatusOr<std::string> StorageTable::Fetch(const std::string& uri) const {
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<Storage> storage, StorageFor(uri));
  return storage->Fetch(uri);
}

absl::Status StorageTable::Put(const std::string& uri, const std::function<absl::Status(int fd)>& write) const {
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<Storage> storage, StorageFor(uri));
  return storage->Put(uri, write);
}

absl::Status StorageTable::Create(const std::string& uri, absl::string_view bytes) const {
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<Storage> storage, StorageFor(uri));
  const absl::Status made = storage->Create(uri, bytes);
  if (!absl::IsAlreadyExists(made)) return made;
  const absl::StatusOr<std::string> there = ReadBytes(uri, bytes.size());
  return there.ok() && *there == bytes ? absl::OkStatus() : made;
}

absl::StatusOr<StoredFile> StorageTable::Stat(const std::string& uri) const {
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<Storage> storage, StorageFor(uri));
  return storage->Stat(uri);
}

absl::StatusOr<std::vector<StoredFile>> StorageTable::List(const std::string& uri) const {
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<Storage> storage, StorageFor(uri));
  return storage->List(uri);
}

absl::Status StorageTable::Remove(const std::string& uri) const {
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<Storage> storage, StorageFor(uri));
  return storage->Remove(uri);
}

absl::Status StorageTable::MakeDirectory(const std::string& uri) const {
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<Storage> storage, StorageFor(uri));
  return storage->MakeDirectory(uri);
}

absl::Status StorageTable::CheckWritable(const std::string& uri) const {
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<Storage> storage, StorageFor(uri));
  return storage->CheckWritable(uri);
}

void StorageTable::Stop() const {
  for (const auto& [scheme, storage] : schemes_) storage->Stop();
}

absl::StatusOr<std::unique_ptr<RangeReader>> StorageTable::OpenRange(const std::string& uri, uint64_t offset,
                                                                     uint64_t bytes) const {
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<Storage> storage, StorageFor(uri));
  return storage->OpenRange(uri, offset, bytes);
}

bool StorageTable::Exists(const std::string& uri) const {
  const absl::Status opened = OpenRange(uri, 0, 0).status();
  return !absl::IsNotFound(opened) && !absl::IsFailedPrecondition(opened);
}

absl::StatusOr<std::string> StorageTable::ReadBytes(const std::string& uri, uint64_t limit) const {
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<RangeReader> reader,
                           OpenRange(uri, 0, std::numeric_limits<uint64_t>::max()));
  const uint64_t size = reader->file_bytes();
  if (size > limit) {
    return absl::ResourceExhaustedError(absl::StrCat(uri, " has ", size, " bytes, more than ", limit));
  }
  std::string bytes(size, '\0');
  SAMOVAR_ASSIGN_OR_RETURN(const size_t count, reader->Read(bytes));
  if (count == size) return bytes;
  return absl::DataLossError(absl::StrCat(uri, ": of ", size, " bytes ", count, " could be read"));
}

absl::Status StorageTable::PutBytes(const std::string& uri, absl::string_view bytes) const {
  return Put(uri, [&](int fd) { return WriteAll(uri, bytes, fd); });
}

absl::Status StorageTable::PutMessage(const std::string& uri, const google::protobuf::MessageLite& message) const {
  if (!message.IsInitialized()) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot write ", uri, ": it lacks ", message.InitializationErrorString()));
  }
  if (message.ByteSizeLong() > kMaxMessageBytes) {
    return absl::InvalidArgumentError(absl::StrCat("cannot write ", uri, ": it has ", message.ByteSizeLong(),
                                                   " bytes, and the format at most ", kMaxMessageBytes,
                                                   "; a name that ends with .h5 makes it HDF5"));
  }
  return Put(uri, [&](int fd) {
    google::protobuf::io::FileOutputStream output(fd);
    if (message.SerializeToZeroCopyStream(&output) && output.Flush()) return absl::OkStatus();
    return ErrnoStatus(output.GetErrno() != 0 ? output.GetErrno() : EIO, "write", uri);
  });
}

}  // namespace samovar
