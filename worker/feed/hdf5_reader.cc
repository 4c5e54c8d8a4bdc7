#include "worker/feed/hdf5_reader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/caffe/paths.h"
#include "common/data/hdf5_file.h"
#include "common/data/image_list.h"

namespace samovar {
namespace {

class Hdf5Reader : public RecordReader {
 public:
  explicit Hdf5Reader(std::string source) : source_(std::move(source)) {}

  absl::Status Add(const std::string& path, const std::vector<std::string>& names) {
    SAMOVAR_ASSIGN_OR_RETURN(std::unique_ptr<Hdf5File> file, Hdf5File::Open(path, names));
    if (files_.empty()) tops_ = file->row_shapes();
    for (size_t i = 0; i < names.size(); ++i) {
      if (file->row_shapes()[i] == tops_[i]) continue;
      return absl::InvalidArgumentError(absl::StrCat(path, ": the rows of \"", names[i], "\" are [",
                                                     absl::StrJoin(file->row_shapes()[i], ", "), "], but in the first file [",
                                                     absl::StrJoin(tops_[i], ", "), "]"));
    }
    size_ += file->rows();
    ends_.push_back(size_);
    files_.push_back(std::move(file));
    return absl::OkStatus();
  }

  const std::string& source() const override { return source_; }
  uint64_t size() const override { return size_; }
  const std::vector<TopShape>& tops() const override { return tops_; }

  absl::Status Read(uint64_t position, const Draw&, std::span<float* const> tops) override {
    const size_t file = static_cast<size_t>(std::upper_bound(ends_.begin(), ends_.end(), position) - ends_.begin());
    const uint64_t row = position - (file == 0 ? 0 : ends_[file - 1]);
    for (size_t i = 0; i < tops.size(); ++i) SAMOVAR_RETURN_IF_ERROR(files_[file]->ReadRow(i, row, tops[i]));
    return absl::OkStatus();
  }

 private:
  const std::string source_;
  std::vector<std::unique_ptr<Hdf5File>> files_;
  std::vector<uint64_t> ends_;  // of each file, the position behind its last row
  uint64_t size_ = 0;
  std::vector<TopShape> tops_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<RecordReader>> OpenHdf5Reader(const caffe::LayerParameter& layer, const std::string& source) {
  if (layer.top_size() == 0) return absl::InvalidArgumentError("has no tops; name one for each data set of the files");
  if (layer.has_transform_param()) {
    return absl::InvalidArgumentError("transform_param is not for HDF5Data; transform the values where the files are made");
  }
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<std::string> files, ReadFileList(source));
  const std::vector<std::string> names(layer.top().begin(), layer.top().end());
  auto reader = std::make_unique<Hdf5Reader>(source);
  for (const std::string& file : files) SAMOVAR_RETURN_IF_ERROR(reader->Add(FindFile(file, source), names));
  return reader;
}

}  // namespace samovar
