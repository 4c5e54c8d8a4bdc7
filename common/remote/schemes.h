// The schemes of URIs that Samovar's programs read and write: files of this machine, Hadoop's and Azure's storage, the
// web. A program makes its table once, and hands it to all that open files.
#pragma once

#include "common/remote/file_cache.h"
#include "common/storage/storage_table.h"

namespace samovar {

// file:, hdfs:, webhdfs:, swebhdfs:, wasb:, wasbs:, abfs:, abfss:, and for reading http: and https:. Nothing is read or
// connected before a URI is used: the cluster's configuration then is that of HADOOP_CONF_DIR, and copies are kept in
// `cache`'s directory. A large fetch is told of in the log.
StorageTable ProgramStorage(const FileCache::Options& cache = {});

}  // namespace samovar
