// Reads records as a feed does.
#pragma once

#include <string>
#include <vector>

#include "tests/support/status_matchers.h"
#include "worker/feed/record_reader.h"

namespace samovar {

// Room for one record of a reader, and what the last Read wrote there.
class Record {
 public:
  explicit Record(const RecordReader& reader) {
    for (const TopShape& shape : reader.tops()) tops_.emplace_back(ElementsOf(shape), -1.0f);
    for (std::vector<float>& top : tops_) pointers_.push_back(top.data());
  }

  absl::Status TryRead(RecordReader* reader, uint64_t position, const Draw& draw = {}) {
    return reader->Read(position, draw, pointers_);
  }

  // The values of each top.
  std::vector<std::vector<float>> Read(RecordReader* reader, uint64_t position, const Draw& draw = {}) {
    REQUIRE_OK(TryRead(reader, position, draw));
    return tops_;
  }

 private:
  std::vector<std::vector<float>> tops_;
  std::vector<float*> pointers_;
};

using Values = std::vector<std::vector<float>>;

}  // namespace samovar
