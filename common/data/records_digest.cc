#include "common/data/records_digest.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <limits>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/base/digest.h"
#include "common/base/read_file.h"
#include "common/base/status_macros.h"
#include "samovar/v1/dataset.pb.h"

namespace samovar {
namespace {

constexpr uint64_t kSizesAtOnce = 4096;

void AddNumber(uint64_t number, Digest* digest) { digest->AddField(absl::StrCat(number)); }

// Labels stand at the end of a Datum.
void AddEnds(absl::string_view bytes, Digest* digest) {
  AddNumber(bytes.size(), digest);
  if (bytes.size() <= 2 * kSampledEndBytes) return digest->AddField(bytes);
  digest->AddField(bytes.substr(0, kSampledEndBytes));
  digest->AddField(bytes.substr(bytes.size() - kSampledEndBytes));
}

// Reads the part of [offset, offset + count) that the file has.
absl::StatusOr<std::string> ReadPiece(int file, uint64_t offset, uint64_t count, const std::string& path) {
  std::string piece(count, '\0');
  size_t have = 0;
  while (have < piece.size()) {
    const ssize_t got = pread(file, piece.data() + have, piece.size() - have, static_cast<off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, "read", path);
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  piece.resize(have);
  return piece;
}

// As AddEnds, of a file's bytes.
absl::Status AddFileEnds(const std::string& path, Digest* digest) {
  SAMOVAR_ASSIGN_OR_RETURN(const int file, OpenForReading(path, std::numeric_limits<int64_t>::max()));
  const absl::Cleanup closer = [file] { close(file); };
  struct stat status;
  if (fstat(file, &status) != 0) return ErrnoStatus(errno, "read", path);
  const auto bytes = static_cast<uint64_t>(status.st_size);
  AddNumber(bytes, digest);
  const bool whole = bytes <= 2 * kSampledEndBytes;
  SAMOVAR_ASSIGN_OR_RETURN(const std::string head, ReadPiece(file, 0, whole ? bytes : kSampledEndBytes, path));
  digest->AddField(head);
  if (whole) return absl::OkStatus();
  SAMOVAR_ASSIGN_OR_RETURN(const std::string tail, ReadPiece(file, bytes - kSampledEndBytes, kSampledEndBytes, path));
  digest->AddField(tail);
  return absl::OkStatus();
}

// Block by block: a call for each size would take longer than the digest itself.
void AddSizes(const LmdbRecords& records, uint64_t count, Digest* digest) {
  std::vector<uint64_t> sizes;
  sizes.reserve(std::min(count, kSizesAtOnce));
  for (uint64_t position = 0; position < count; ++position) {
    sizes.push_back(records.value(position).size());
    if (sizes.size() < kSizesAtOnce && position + 1 < count) continue;
    digest->Add({reinterpret_cast<const char*>(sizes.data()), sizes.size() * sizeof(sizes[0])});
    sizes.clear();
  }
}

std::string DigestOfManifest(const v1::DatasetManifest& manifest) {
  Digest digest;
  digest.AddField("partitioned set");
  for (const uint64_t number : {manifest.records(), uint64_t{manifest.channels()}, uint64_t{manifest.height()},
                                uint64_t{manifest.width()}, uint64_t{manifest.encoded()}}) {
    AddNumber(number, &digest);
  }
  for (const v1::DatasetPartition& partition : manifest.partitions()) {
    for (const uint64_t number : {partition.records(), partition.bytes(), uint64_t{partition.crc32()}})
      AddNumber(number, &digest);
  }
  return digest.Hex();
}

}  // namespace

std::vector<uint64_t> SampledPositions(uint64_t count, uint64_t most) {
  const uint64_t sampled = std::min(count, most);
  std::vector<uint64_t> positions;
  positions.reserve(sampled);
  // Whole steps first, so that no product overflows.
  const uint64_t gaps = std::max<uint64_t>(1, sampled - 1);
  const uint64_t step = (count - 1) / gaps, rest = (count - 1) % gaps;
  for (uint64_t i = 0; i < sampled; ++i) positions.push_back(i * step + i * rest / gaps);
  return positions;
}

absl::StatusOr<std::string> DigestOfRecords(const LmdbRecords& records, uint64_t count) {
  Digest digest;
  digest.AddField("LMDB");
  AddNumber(count, &digest);
  AddSizes(records, count, &digest);
  const std::vector<uint64_t> positions = SampledPositions(count, kSampledRecords);
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<std::string> keys, records.KeysAt(positions));
  for (size_t i = 0; i < positions.size(); ++i) {
    digest.AddField(keys[i]);
    AddEnds(records.value(positions[i]), &digest);
  }
  return digest.Hex();
}

absl::StatusOr<std::string> DigestOfDataset(const Dataset& dataset, uint64_t count) {
  if (dataset.manifest() != nullptr) return DigestOfManifest(*dataset.manifest());
  return DigestOfRecords(*dataset.lmdb(), count);
}

absl::StatusOr<std::string> DigestOfImages(
    const std::string& list, std::span<const ListedImage> images, uint64_t count,
    absl::FunctionRef<absl::StatusOr<std::string>(const ListedImage& image)> path_of) {
  Digest digest;
  digest.AddField("images");
  AddNumber(count, &digest);
  for (const ListedImage& image : images.first(count)) {
    digest.AddField(image.name);
    digest.AddField(absl::StrCat(image.label));
  }
  for (const uint64_t position : SampledPositions(count, kSampledRecords)) {
    const absl::StatusOr<std::string> path = path_of(images[position]);
    const absl::Status added = path.ok() ? AddFileEnds(*path, &digest) : path.status();
    SAMOVAR_RETURN_IF_ERROR(Annotate(added, PlaceOf(list, images[position])));
  }
  return digest.Hex();
}

absl::StatusOr<std::string> DigestOfRows(
    std::span<const std::string> files, uint64_t count,
    absl::FunctionRef<absl::StatusOr<std::span<const float>>(uint64_t position)> read) {
  Digest digest;
  digest.AddField("HDF5");
  AddNumber(count, &digest);
  AddNumber(files.size(), &digest);
  for (const std::string& file : files) digest.AddField(file);
  for (const uint64_t position : SampledPositions(count, kSampledRows)) {
    SAMOVAR_ASSIGN_OR_RETURN(const std::span<const float> row, read(position));
    digest.AddField({reinterpret_cast<const char*>(row.data()), row.size_bytes()});
  }
  return digest.Hex();
}

}  // namespace samovar
