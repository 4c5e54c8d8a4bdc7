// AzureStore is Azure's blob storage by its REST interface: the files of wasb[s] and abfs[s] URIs.
//
// With any scheme of a URI, connections are TLS, unless a connection string or an emulator's name says otherwise. A
// blob's name has no directories; what stands before a slash is listed as one, and is there as long as something is in
// it, or an empty blob stands for it: one with the metadata hdi_isfolder, or whose name is the directory's with slashes
// behind it. "a//b" is listed in a as "/b".
//
// Thread safety: all methods may be called from any thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/http/http_client.h"
#include "common/http/retries.h"
#include "common/remote/azure_access.h"
#include "common/remote/azure_uri.h"
#include "common/remote/cluster_configuration.h"
#include "common/remote/remote_store.h"

namespace samovar {

class AzureStore : public RemoteStore {
 public:
  AzureStore(std::shared_ptr<HttpClient> http, std::shared_ptr<ClusterConfiguration> configuration,
             const RetryPolicy& retries = {});

  absl::StatusOr<StoredFile> Stat(const std::string& uri) override;
  absl::StatusOr<std::vector<StoredFile>> List(const std::string& uri) override;
  // Every piece is compared with the MD5 that the service sends with it.
  absl::Status Read(const std::string& uri, const StoredFile& file, uint64_t offset, std::span<char> out) override;
  // Every request's bytes are checked by the service against their MD5; the blob carries that of its content.
  absl::Status Write(const std::string& uri, int fd, uint64_t bytes) override;
  absl::Status Create(const std::string& uri, absl::string_view bytes) override;
  absl::Status Remove(const std::string& uri) override;
  // There are no directories to be made.
  absl::Status MakeDirectory(const std::string& uri) override;
  // Whether there is the container, and the credential is accepted.
  absl::Status CheckWritable(const std::string& uri) override;

 private:
  // A request without what authorizes it: what follows the blob's path in the URL, and the rest.
  struct Call {
    std::string method = "GET";
    // Empty, or "?name=value&..."
    std::string query = "";
    std::vector<std::string> headers = {};
    HttpBody body = {};
    // Made anew for each attempt.
    std::function<std::function<absl::Status(absl::string_view)>()> make_sink = nullptr;
    // The error of an answer that says that all is well; such a request is made again.
    std::function<absl::Status(const HttpResponse&)> check = nullptr;
    // The container's URL instead of the blob's.
    bool of_container = false;
  };

  absl::StatusOr<AzureUri> Parse(const std::string& uri);
  absl::StatusOr<AzureAccess> Access(const AzureUri& uri) ABSL_LOCKS_EXCLUDED(mu_);
  void ForgetAccess(const AzureUri& uri) ABSL_LOCKS_EXCLUDED(mu_);
  // The answer, whatever its status, after the retries that the policy allows. An answer that refuses the credential is
  // asked for once more with one that was found anew: keys change.
  absl::StatusOr<HttpResponse> Ask(const AzureUri& uri, const Call& call);
  // A directory's entries.
  struct Entries {
    std::map<std::string, StoredFile> files = {};
    // There is a blob "DIRECTORY/".
    bool has_marker = false;
    // "/" and so on: there are names with so many slashes behind the directory's.
    std::string further = "";
  };
  // One page of the listing of what begins with "DIRECTORY/" and `slashes`; returns the marker of the next one, empty
  // at the end.
  absl::StatusOr<std::string> ListPage(const std::string& uri, const AzureUri& parsed, const std::string& slashes,
                                       const std::string& marker, size_t max_results, Entries* entries);
  // All of it, with names that have further slashes in front.
  absl::StatusOr<Entries> ListAll(const std::string& uri, const AzureUri& parsed);
  // The blobs "DIRECTORY/", "DIRECTORY//" and so on that stand for a directory in which nothing else is.
  // FAILED_PRECONDITION: something is.
  absl::StatusOr<std::vector<std::string>> ListMarkers(const std::string& uri, const AzureUri& parsed);
  absl::Status WriteBlocks(const std::string& uri, const AzureUri& parsed, int fd, uint64_t bytes);

  const std::shared_ptr<HttpClient> http_;
  const std::shared_ptr<ClusterConfiguration> configuration_;
  const RetryPolicy retries_;
  absl::Mutex mu_;
  // By account and container.
  std::map<std::pair<std::string, std::string>, AzureAccess> accesses_ ABSL_GUARDED_BY(mu_);
};

}  // namespace samovar
