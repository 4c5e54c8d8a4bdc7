// Digests that tell the records of one source from others of the same number and shapes: from those that lie at the
// same path on another machine, or that lay there before. README.md says what goes into them, and which changes they
// cannot find.
//
// A digest covers a sample: the first record, the last one, and others at equal distances, the same wherever it is
// computed. So it is cheap for any number of records, finds another data set with certainty for all practical purposes,
// and finds a few changed records by chance.
//
// Thread safety: all functions may be called from any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/data/dataset.h"
#include "common/data/image_list.h"
#include "common/data/lmdb_records.h"

namespace samovar {

// Records of a sample of an LMDB or of an image list; and the bytes at each end of a longer record that are read. At
// most 1 MiB in all.
inline constexpr uint64_t kSampledRecords = 128;
inline constexpr uint64_t kSampledEndBytes = 4096;
// Rows of HDF5 files, which may have to be unpacked together with their neighbours.
inline constexpr uint64_t kSampledRows = 32;

// At most `most` positions of `count`, ascending, the first and the last among them. REQUIRES: most >= 2.
std::vector<uint64_t> SampledPositions(uint64_t count, uint64_t most);

// All of the following are of the first `count` records, which a source that was appended still has: they are those of
// the source before. REQUIRES: 1 <= count, and at most as many as there are.

// Number and sizes of all records; keys and values of the sample. A copy has the same digest, compacted or made anew.
// Errors of LmdbRecords::KeysAt.
absl::StatusOr<std::string> DigestOfRecords(const LmdbRecords& records, uint64_t count);

// The digest of a plain LMDB is that of its records. The digest of a partitioned set is made of its manifest: the
// number of records, and number, size and checksum of each partition; partitions are not opened.
absl::StatusOr<std::string> DigestOfDataset(const Dataset& dataset, uint64_t count);

// Name and label of each image; sizes and ends of the sample's files, which are found by `path_of`. Errors of reading
// one name the list's line (`list`).
absl::StatusOr<std::string> DigestOfImages(
    const std::string& list, std::span<const ListedImage> images, uint64_t count,
    absl::FunctionRef<absl::StatusOr<std::string>(const ListedImage& image)> path_of);

// The values of sampled rows. `files`: as the list names them. `read` gives all values of a row, top after top; its
// first error ends it.
absl::StatusOr<std::string> DigestOfRows(
    std::span<const std::string> files, uint64_t count,
    absl::FunctionRef<absl::StatusOr<std::span<const float>>(uint64_t position)> read);

}  // namespace samovar
