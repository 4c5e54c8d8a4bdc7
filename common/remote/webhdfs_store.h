// WebHdfsStore is a Hadoop file system by WebHDFS: the files of hdfs:, webhdfs: and swebhdfs: URIs.
//
// Requests carry the token of HADOOP_TOKEN_FILE_LOCATION if there is one; Kerberos' ticket where core-site.xml says
// hadoop.security.authentication=kerberos; else the user that HADOOP_USER_NAME names, or that this process runs as.
//
// Thread safety: all methods may be called from any thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "common/http/http_client.h"
#include "common/http/retries.h"
#include "common/remote/cluster_configuration.h"
#include "common/remote/hdfs_place.h"
#include "common/remote/remote_store.h"
#include "google/protobuf/struct.pb.h"

namespace samovar {

class WebHdfsStore : public RemoteStore {
 public:
  WebHdfsStore(std::shared_ptr<HttpClient> http, std::shared_ptr<ClusterConfiguration> configuration,
               const RetryPolicy& retries = {});

  absl::StatusOr<StoredFile> Stat(const std::string& uri) override;
  absl::StatusOr<std::vector<StoredFile>> List(const std::string& uri) override;
  absl::Status Read(const std::string& uri, const StoredFile& file, uint64_t offset, std::span<char> out) override;
  // A larger file is made of this first part, and the others appended to it: what a cut costs at most.
  static constexpr uint64_t kPartBytes = uint64_t{64} << 20;
  // Leavings of writers that were killed are removed, by the next writer of the same name, when they are so old.
  static constexpr absl::Duration kLeftAfter = absl::Hours(24);
  // Into a file of another name beside it, which is renamed when its length is right.
  absl::Status Write(const std::string& uri, int fd, uint64_t bytes) override;
  absl::Status Create(const std::string& uri, absl::string_view bytes) override;
  absl::Status MakeDirectory(const std::string& uri) override;
  // Looks at the nearest directory that there is.
  absl::Status CheckWritable(const std::string& uri) override;
  absl::Status Remove(const std::string& uri) override;

 private:
  // A place, and the credential of requests to it.
  struct Asker {
    std::string uri;
    HdfsPlace place = {};
    // "&user.name=..." or "&delegation=...": a secret.
    std::string credential = "";
    bool negotiate = false;
  };

  absl::StatusOr<Asker> Parse(const std::string& uri);
  // The answer of the namenode that is active to an operation on `path`; "op=X&..." Retried.
  absl::StatusOr<HttpResponse> AskNameNode(const Asker& asker, const std::string& path, const std::string& method,
                                           const std::string& operation);
  // The same once, with no wait: asks one namenode after the other until one is active.
  absl::StatusOr<HttpResponse> AskOnce(const Asker& asker, const std::string& path, const std::string& method,
                                       const std::string& operation, const RequestWatch& watch = nullptr);
  // As AskNameNode; the object in an answer that is a success.
  absl::StatusOr<google::protobuf::Struct> AskForObject(const Asker& asker, const std::string& path,
                                                        const std::string& method, const std::string& operation);
  // Where a datanode does the rest of an operation: a URL, with the credential in it.
  absl::StatusOr<std::string> AskForDataNode(const Asker& asker, const std::string& path, const std::string& method,
                                             const std::string& operation, const RequestWatch& watch);
  absl::StatusOr<StoredFile> StatPath(const Asker& asker, const std::string& path);
  // Returns when the file was changed last, in milliseconds by the namenode's clock.
  absl::StatusOr<uint64_t> Upload(const Asker& asker, const std::string& path, int fd, uint64_t bytes);
  // Makes the file, or appends to it, so that it has the bytes up to `end`. REQUIRES: it has those up to `begin`.
  absl::Status UploadPart(const Asker& asker, const std::string& path, int fd, uint64_t begin, uint64_t end);
  // Removes what writers of the path have left, if it is old at this time.
  void RemoveLeft(const Asker& asker, uint64_t now_milliseconds);

  const std::shared_ptr<HttpClient> http_;
  const std::shared_ptr<ClusterConfiguration> configuration_;
  const RetryPolicy retries_;
  absl::Mutex mu_;
  // Which of its namenodes answered last, by authority.
  std::map<std::string, size_t> active_ ABSL_GUARDED_BY(mu_);
};

}  // namespace samovar
