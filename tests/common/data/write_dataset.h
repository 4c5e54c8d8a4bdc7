// Small data sets for tests.
#pragma once

#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "caffe.pb.h"
#include "common/data/record_shape.h"
#include "common/storage/lmdb.h"
#include "tests/support/status_matchers.h"

namespace samovar {

inline std::string RecordKey(uint64_t position) { return absl::StrFormat("%08d", position); }

// Adds records to an LMDB, which is made if it is not there.
inline void WriteRecords(const std::string& directory,
                         const std::vector<std::pair<std::string, std::string>>& records) {
  auto environment = LmdbEnvironment::Open(directory, {});
  REQUIRE_OK(environment);
  REQUIRE_OK((*environment)->Write([&](LmdbTransaction& transaction) -> absl::Status {
    for (const auto& [key, value] : records) {
      const absl::Status status = transaction.Put(key, value);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }));
}

// Value i is (first_value + i) mod 256.
inline caffe::Datum MakeDatum(const RecordShape& shape, int label, int first_value) {
  caffe::Datum datum;
  datum.set_channels(shape.channels);
  datum.set_height(shape.height);
  datum.set_width(shape.width);
  datum.set_label(label);
  for (size_t i = 0; i < shape.elements(); ++i) {
    datum.mutable_data()->push_back(static_cast<char>(static_cast<size_t>(first_value) + i));
  }
  return datum;
}

// Record i is MakeDatum(shape, i % 10, i) under RecordKey(i).
inline void WriteDataset(const std::string& directory, const RecordShape& shape, int count) {
  std::vector<std::pair<std::string, std::string>> records;
  for (int i = 0; i < count; ++i) {
    records.emplace_back(RecordKey(static_cast<uint64_t>(i)), MakeDatum(shape, i % 10, i).SerializeAsString());
  }
  WriteRecords(directory, records);
}

inline std::string ReadBytes(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  REQUIRE(stream.good());
  return {std::istreambuf_iterator<char>(stream), {}};
}

inline void WriteBytes(const std::string& file, const std::string& bytes) {
  std::ofstream stream(file, std::ios::binary | std::ios::trunc);
  stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  REQUIRE(stream.good());
}

}  // namespace samovar
