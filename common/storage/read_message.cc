#include "common/storage/read_message.h"

#include "absl/strings/str_cat.h"
#include "common/base/read_file.h"
#include "common/base/status_macros.h"
#include "google/protobuf/io/zero_copy_stream_impl.h"

namespace samovar {

absl::Status ReadMessage(const std::string& path, absl::string_view what, google::protobuf::MessageLite* message,
                         const StorageTable& storage) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string local, storage.Fetch(path));
  const absl::Status read = ReadLocalMessage(local, what, message);
  return local == path ? read : Annotate(read, path);
}

absl::Status ReadLocalMessage(const std::string& path, absl::string_view what, google::protobuf::MessageLite* message) {
  SAMOVAR_ASSIGN_OR_RETURN(const int fd, OpenForReading(path, kMaxMessageBytes));
  google::protobuf::io::FileInputStream input(fd);
  input.SetCloseOnDelete(true);
  // The partial form, since the other one logs missing fields.
  if (message->ParsePartialFromZeroCopyStream(&input) && message->IsInitialized()) return absl::OkStatus();
  if (input.GetErrno() != 0) return ErrnoStatus(input.GetErrno(), "read", path);
  return absl::DataLossError(absl::StrCat(path, ": this is not ", what, ", or it is damaged"));
}

}  // namespace samovar
