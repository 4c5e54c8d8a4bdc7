#include "common/remote/schemes.h"

#include <memory>
#include <string>

#include "common/http/http_client.h"
#include "common/remote/azure_store.h"
#include "common/remote/cluster_configuration.h"
#include "common/remote/http_store.h"
#include "common/remote/remote_storage.h"
#include "common/remote/webhdfs_store.h"
#include "common/telemetry/log.h"

namespace samovar {
namespace {

// A web server is not part of the cluster: one that is not there is told soon.
constexpr absl::Duration kWebPatience = absl::Seconds(10);

}  // namespace

StorageTable ProgramStorage(const FileCache::Options& cache_options,
                            const std::function<void(const std::string& news)>& tell) {
  using Tell = std::function<void(const std::string&)>;
  const Tell tell_fetch = tell ? tell : Tell([](const std::string& text) { LogInfo(text); });
  const Tell tell_wait = tell ? tell : Tell([](const std::string& text) { LogWarning(text); });
  const auto http = std::make_shared<HttpClient>();
  const auto configuration = std::make_shared<ClusterConfiguration>();
  const auto stopper = std::make_shared<Stopper>();
  FileCache::Options cached = cache_options;
  cached.stopper = stopper;
  const auto cache = std::make_shared<FileCache>(cached);
  const auto news = std::make_shared<WaitNews>(tell_wait);
  const RetryPolicy of_cluster = {.stopper = stopper, .news = news};
  const RetryPolicy of_web = {.patience = kWebPatience, .stopper = stopper, .news = news};
  const auto storage_of = [&](std::shared_ptr<RemoteStore> store) {
    return std::make_shared<RemoteStorage>(std::move(store), cache, tell_fetch, stopper);
  };
  const auto hdfs = storage_of(std::make_shared<WebHdfsStore>(http, configuration, of_cluster));
  const auto azure = storage_of(std::make_shared<AzureStore>(http, configuration, of_cluster));
  const auto web = storage_of(std::make_shared<HttpStore>(http, of_web));
  StorageTable table;
  // A line a scheme.
  table.Add("hdfs", hdfs);
  table.Add("webhdfs", hdfs);
  table.Add("swebhdfs", hdfs);
  table.Add("wasb", azure);
  table.Add("wasbs", azure);
  table.Add("abfs", azure);
  table.Add("abfss", azure);
  table.Add("http", web);
  table.Add("https", web);
  return table;
}

}  // namespace samovar
