// The manifest of a partitioned data set, a directory with an LMDB for each partition; README.md describes the format.
// A set is named by its directory's path or URI; where a function takes no storage, by a path of this machine.
//
// Thread safety: all functions may be called from any thread.
#pragma once

#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/storage/storage_table.h"
#include "samovar/v1/dataset.pb.h"

namespace samovar {

inline constexpr absl::string_view kManifestName = "manifest";
// Beside a partition's data file, if it was written alone: the manifest of a set that has this partition only.
inline constexpr absl::string_view kReportName = "report";
inline constexpr uint32_t kManifestFormat = 1;
inline constexpr uint32_t kMaxSetPartitions = 65'536;

// Whether the directory is a partitioned data set, or was to be one: it has a manifest and no data.mdb.
bool IsPartitioned(const std::string& directory);
// The same of a directory in a storage. Errors of the storage.
absl::StatusOr<bool> IsPartitioned(const std::string& directory, const StorageTable& storage);

// "part-00007"
std::string PartitionName(uint32_t partition);

// Reads the set's manifest. Errors name the file and the partition and say what to do. NOT_FOUND: no manifest.
// INVALID_ARGUMENT: of a later format. DATA_LOSS: not a manifest, or a wrong one: names that lead out of the set, sizes
// that do not add up.
absl::StatusOr<v1::DatasetManifest> ReadManifest(const std::string& set, const StorageTable& storage = {});

// Whether a manifest is whole and true in itself. INVALID_ARGUMENT, with what is wrong.
absl::Status CheckManifest(const v1::DatasetManifest& manifest);

// Whether this can be the name of a partition's directory: a name of one directory in the set, without characters that
// are special to a file system.
bool IsPartitionDirectory(const std::string& name);

// The text of a manifest's file.
absl::StatusOr<std::string> TextOf(const v1::DatasetManifest& manifest);

// Whether `part` is what the partition's own report says. NOT_FOUND: there is no report. INVALID_ARGUMENT: the message
// names the partition and all that differs.
absl::Status CheckReport(const std::string& set, const v1::DatasetManifest& part, const StorageTable& storage);

// REQUIRES: the set's partitions are in place
absl::Status WriteManifest(const std::string& set, const v1::DatasetManifest& manifest,
                           const StorageTable& storage = {});

// The size of all partitions' data files together.
uint64_t BytesOf(const v1::DatasetManifest& manifest);

// The path, or the URI, of a partition's data file.
std::string PartitionFile(const std::string& set, const v1::DatasetPartition& partition);
// Whether the file is there and as large as the manifest says. NOT_FOUND, DATA_LOSS: the message names it.
absl::Status CheckPartitionSize(const std::string& set, const v1::DatasetPartition& partition,
                                const StorageTable& storage = {});
// Reads all of the file, piece by piece, and gives each piece to `take`; its first error ends it. DATA_LOSS: the file
// has not the size and the checksum of the manifest.
absl::Status ReadPartition(const std::string& set, const v1::DatasetPartition& partition,
                           absl::FunctionRef<absl::Status(absl::string_view piece)> take,
                           const StorageTable& storage = {});

// CRC-32 (as in zlib) of a file; a piece of it is given to `take` as above.
absl::StatusOr<uint32_t> ChecksumOf(const std::string& path,
                                    absl::FunctionRef<absl::Status(absl::string_view piece)> take);

}  // namespace samovar
