// Delegation tokens that Hadoop gives to a container in a file, which HADOOP_TOKEN_FILE_LOCATION names.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace samovar {

struct HadoopToken {
  std::string kind;     // "HDFS_DELEGATION_TOKEN"
  std::string service;  // "ha-hdfs:NAMESERVICE" or "address:port"
  // As WebHDFS takes it in its parameter `delegation`. A secret.
  std::string url_text;
};

// The tokens in the bytes of such a file. INVALID_ARGUMENT: they are no token file, or one of a format that this
// program does not know.
absl::StatusOr<std::vector<HadoopToken>> ParseHadoopTokens(absl::string_view bytes);

// The url_text of a token for a name service or host: the one whose service names it, or the only one that there is for
// HDFS. Empty: the variable is not set, or the file has none. Reads the file.
absl::StatusOr<std::string> FindHdfsToken(absl::string_view authority);

}  // namespace samovar
