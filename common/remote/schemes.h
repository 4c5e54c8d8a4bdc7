// The schemes of URIs that Samovar's programs read and write: files of this machine, Hadoop's and Azure's storage, the
// web. A program makes its table once, and hands it to all that open files.
#pragma once

#include <functional>
#include <string>

#include "common/remote/file_cache.h"
#include "common/storage/storage_table.h"

namespace samovar {

// file:, hdfs:, webhdfs:, swebhdfs:, wasb:, wasbs:, abfs:, abfss:, and for reading http: and https:. Nothing is read or
// connected before a URI is used: the cluster's configuration then is that of HADOOP_CONF_DIR, and copies are kept in
// `cache`'s directory. `tell` hears of large fetches, before they begin, and of long waits; none: the log has them.
StorageTable ProgramStorage(const FileCache::Options& cache = {},
                            const std::function<void(const std::string& news)>& tell = nullptr);

}  // namespace samovar
