// StorageTable finds the storage of a URI by its scheme: the door that every path of a user goes through, for reading
// and for writing alike.
//
// A new one has the schemes that Samovar offers. A program makes one, in its main, and hands it to all that read and
// write, so that what is set up for a scheme is set up once. Copies share the storages. Options and readers hold a
// table by value, so that there is no state of the process, and a test can add a scheme of its own.
//
// Thread safety: as a container's; the storages may be used from any thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/storage/storage.h"
#include "google/protobuf/message_lite.h"

namespace samovar {

class StorageTable {
 public:
  StorageTable();

  // `scheme`: without the colon, two characters at least, of letters and digits. Replaces one of that name.
  void Add(const std::string& scheme, std::shared_ptr<Storage> storage);

  // A path without a scheme is of this machine; so is "C:/x", and "a:x", unless "a" is a scheme that there is.
  // INVALID_ARGUMENT, with the schemes that there are: a URI of another one, which would become a folder of the name
  // "hdfs:".
  absl::StatusOr<std::shared_ptr<Storage>> StorageFor(const std::string& uri) const;

  // StorageFor, and then the method of the storage.
  absl::StatusOr<std::string> Fetch(const std::string& uri) const;
  absl::Status Put(const std::string& uri, const std::function<absl::Status(int fd)>& write) const;
  // As Storage::Create. REQUIRES: no other caller has the same bytes. A file that has them is the caller's own, whose
  // answer was lost: OK.
  absl::Status Create(const std::string& uri, absl::string_view bytes) const;
  absl::StatusOr<StoredFile> Stat(const std::string& uri) const;
  absl::StatusOr<std::vector<StoredFile>> List(const std::string& uri) const;
  absl::Status Remove(const std::string& uri) const;
  absl::Status MakeDirectory(const std::string& uri) const;
  absl::Status CheckWritable(const std::string& uri) const;
  absl::StatusOr<std::unique_ptr<RangeReader>> OpenRange(const std::string& uri, uint64_t offset, uint64_t bytes) const;

  // Storage::Stop of all.
  void Stop() const;

  // Whether there is a file or a directory, or something that cannot be read. There is nothing
  // below a file.
  bool Exists(const std::string& uri) const;
  // The content of a file. RESOURCE_EXHAUSTED: it has more than `limit` bytes.
  absl::StatusOr<std::string> ReadBytes(const std::string& uri, uint64_t limit) const;
  // As Put, with these bytes.
  absl::Status PutBytes(const std::string& uri, absl::string_view bytes) const;
  // As Put, with the message in binary. INVALID_ARGUMENT: it is larger than 2 GiB, which is protobuf's limit, or lacks
  // a required field.
  absl::Status PutMessage(const std::string& uri, const google::protobuf::MessageLite& message) const;

 private:
  std::map<std::string, std::shared_ptr<Storage>> schemes_;
};

}  // namespace samovar
