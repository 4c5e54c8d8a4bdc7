// The options of the commands about data sets. config/ fills them from the command line.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/import/images_import.h"
#include "common/storage/storage_table.h"

namespace samovar {

struct ImportIdxOptions {
  std::string images;
  std::string labels;
  std::string output;
  bool force = false;
  // How many partitions the set gets; 0: an LMDB is made.
  uint32_t partitions = 0;
  // Where what it reads is.
  StorageTable storage = {};
};

struct ImportCifar10Options {
  std::vector<std::string> inputs;
  std::string output;
  bool force = false;
  // How many partitions the set gets; 0: an LMDB is made.
  uint32_t partitions = 0;
  // Where what it reads is.
  StorageTable storage = {};
};

struct ImportLevelDbOptions {
  std::string input;
  std::string output;
  bool force = false;
  // How many partitions the set gets; 0: an LMDB is made.
  uint32_t partitions = 0;
  // Where what it reads is.
  StorageTable storage = {};
};

struct ImportImagesFlags {
  ImportImagesOptions images;
  std::string output;
  bool force = false;
  // How many partitions the set gets; 0: an LMDB is made.
  uint32_t partitions = 0;
  // Where what it reads is.
  StorageTable storage = {};
};

struct DataPartitionOptions {
  std::string source;
  std::string output;
  uint32_t partitions = 0;
  bool force = false;
  // Where what it reads is.
  StorageTable storage = {};
};

struct WritePartitionOptions {
  // The set's directory.
  std::string set;
  // The partition's name in it.
  std::string name;
  // Where the set goes.
  StorageTable storage = {};
};

struct WriteManifestOptions {
  std::string set;
  // Replace a set that is there.
  bool force = false;
  // Only look whether a set can be made there.
  bool check = false;
  // Where the set is.
  StorageTable storage = {};
};

struct DataMeanOptions {
  std::string path;
  std::string output;
  bool force = false;
  // Where what it reads is, and the mean.
  StorageTable storage = {};
};

struct DataInfoOptions {
  std::string path;
  // Compare the files of a partitioned set with its manifest.
  bool verify = false;
  // Leave encoded images undecoded: damaged ones are not found.
  bool quick = false;
  // Where what it reads is.
  StorageTable storage = {};
};

}  // namespace samovar
