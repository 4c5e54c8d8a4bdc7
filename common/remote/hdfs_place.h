// Where the files of an hdfs: or webhdfs: URI are: the web addresses of its namenodes, and the path.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/remote/hadoop_configuration.h"

namespace samovar {

struct HdfsPlace {
  // "http://host:port" each; several where one stands by for another.
  std::vector<std::string> namenodes = {};
  // The name in the URI, or in fs.defaultFS: a host with its port, or a name service.
  std::string authority;
  // Begins with a slash.
  std::string path;
};

// `webhdfs://HOST:PORT/PATH` names a namenode's web address, `swebhdfs:` one with TLS. For `hdfs://NAME/PATH` the
// address is in hdfs-site.xml: of each namenode of the name service NAME, or of the host NAME, whose usual one is port
// 9870. Without a name, it is that of fs.defaultFS. INVALID_ARGUMENT names the missing setting.
absl::StatusOr<HdfsPlace> FindHdfsPlace(const std::string& uri, const HadoopConfiguration& configuration);

}  // namespace samovar
