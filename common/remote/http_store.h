// HttpStore reads files of web servers: http: and https: URIs. There are no directories, and nothing can be written.
//
// Thread safety: all methods may be called from any thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/http/http_client.h"
#include "common/http/retries.h"
#include "common/remote/remote_store.h"

namespace samovar {

class HttpStore : public RemoteStore {
 public:
  explicit HttpStore(std::shared_ptr<HttpClient> http, const RetryPolicy& retries = {});

  absl::StatusOr<StoredFile> Stat(const std::string& uri) override;
  // INVALID_ARGUMENT: the web has no directories.
  absl::StatusOr<std::vector<StoredFile>> List(const std::string& uri) override;
  // INVALID_ARGUMENT: the server does not send parts of files, and the file has more than one.
  absl::Status Read(const std::string& uri, const StoredFile& file, uint64_t offset, std::span<char> out) override;
  // INVALID_ARGUMENT, all of them.
  absl::Status CheckWritable(const std::string& uri) override;
  absl::Status MakeDirectory(const std::string& uri) override;
  absl::Status Write(const std::string& uri, int fd, uint64_t bytes) override;
  absl::Status Create(const std::string& uri, absl::string_view bytes) override;
  absl::Status Remove(const std::string& uri) override;

 private:
  const std::shared_ptr<HttpClient> http_;
  const RetryPolicy retries_;
};

}  // namespace samovar
