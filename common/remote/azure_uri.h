// Azure's names of files: "wasb[s]://CONTAINER@ACCOUNT.blob.core.windows.net/PATH" and
// "abfs[s]://FILESYSTEM@ACCOUNT.dfs.core.windows.net/PATH", which are read by the same requests.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/remote/hadoop_configuration.h"

namespace samovar {

struct AzureUri {
  std::string account;
  std::string container;
  // "blob.core.windows.net", also of an abfs URI; another cloud's likewise.
  std::string suffix;
  // Without a slash at its beginning or end; empty: the container itself.
  std::string path;
};

// A URI without a host ("wasb:///PATH") is of the container that `fs.defaultFS` names. INVALID_ARGUMENT: what it lacks.
absl::StatusOr<AzureUri> ParseAzureUri(const std::string& uri, const HadoopConfiguration& configuration);

}  // namespace samovar
