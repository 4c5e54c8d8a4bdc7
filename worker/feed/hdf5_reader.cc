#include "worker/feed/hdf5_reader.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/data/hdf5_file.h"
#include "common/data/image_list.h"
#include "common/data/records_digest.h"
#include "common/storage/paths.h"

namespace samovar {
namespace {

// Files that are open at a time: a process has not so many handles that a long list could have all of them.
constexpr size_t kMaxOpen = 32;
// The cache of all files together, for Hdf5File::Open; each data set has at least the library's default.
constexpr size_t kCacheBytes = size_t{256} << 20;
constexpr size_t kMinCacheBytes = size_t{1} << 20;

class Hdf5Reader : public RecordReader {
 public:
  // `files`: how many will be added.
  Hdf5Reader(std::string source, std::vector<std::string> names, size_t files, const StorageTable& storage)
      : source_(std::move(source)),
        names_(std::move(names)),
        cache_bytes_(std::max(kMinCacheBytes, kCacheBytes / std::min(files, kMaxOpen) / names_.size())),
        storage_(storage) {}

  // Errors name the list and the line.
  absl::Status Add(const ListedFile& listed) {
    const std::string place = PlaceOf(source_, listed);
    const std::string path = FindFile(listed.name, source_);
    absl::StatusOr<std::unique_ptr<Hdf5File>> opened = Open(path, place);
    if (!opened.ok()) return opened.status();
    return Annotate(Add(listed.name, path, place, *std::move(opened)), place);
  }

  // `name`: as the list has it.
  absl::Status Add(const std::string& name, const std::string& path, const std::string& place,
                   std::unique_ptr<Hdf5File> file) {
    if (files_.empty()) tops_ = file->row_shapes();
    for (size_t i = 0; i < names_.size(); ++i) {
      if (file->row_shapes()[i] == tops_[i]) continue;
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": the rows of \"", names_[i], "\" are [", absl::StrJoin(file->row_shapes()[i], ", "),
                       "], but in ", files_[0].path, " [", absl::StrJoin(tops_[i], ", "), "]; make them alike"));
    }
    size_ += file->rows();
    files_.push_back({name, path, place, size_, file->rows(), nullptr, 0});
    Keep(&files_.back(), std::move(file));
    return absl::OkStatus();
  }

  const std::string& source() const override { return source_; }
  uint64_t size() const override { return size_; }
  const std::vector<TopShape>& tops() const override { return tops_; }

  absl::StatusOr<std::vector<std::string>> Names() const override {
    std::vector<std::string> names;
    for (uint64_t row = 0; row < size_; ++row) names.push_back(absl::StrCat(row));
    return names;
  }

  absl::StatusOr<std::string> Digest(uint64_t count) override {
    std::vector<std::string> files;
    for (const OpenedFile& file : files_) {
      if (file.end - file.rows < count) files.push_back(file.name);
    }
    size_t elements = 0;
    for (const TopShape& top : tops_) elements += ElementsOf(top);
    std::vector<float> row(elements);
    std::vector<float*> tops;
    for (size_t i = 0, at = 0; i < tops_.size(); at += ElementsOf(tops_[i++])) tops.push_back(row.data() + at);
    return DigestOfRows(files, count, [&](uint64_t position) -> absl::StatusOr<std::span<const float>> {
      SAMOVAR_RETURN_IF_ERROR(Read(position, Draw{}, tops));
      return row;
    });
  }

  absl::Status Read(uint64_t position, const Draw&, std::span<float* const> tops) override {
    const auto listed = std::upper_bound(files_.begin(), files_.end(), position,
                                         [](uint64_t at, const OpenedFile& file) { return at < file.end; });
    if (listed->file == nullptr) SAMOVAR_RETURN_IF_ERROR(Reopen(&*listed));
    listed->last_use = ++uses_;
    const uint64_t row = position - (listed->end - listed->rows);
    for (size_t i = 0; i < tops.size(); ++i) SAMOVAR_RETURN_IF_ERROR(listed->file->ReadRow(i, row, tops[i]));
    return absl::OkStatus();
  }

 private:
  struct OpenedFile {
    std::string name;  // as the list has it
    std::string path;
    std::string place;               // in the list, for messages
    uint64_t end;                    // the position behind its last row
    uint64_t rows;                   // at least 1
    std::unique_ptr<Hdf5File> file;  // null: not open now
    uint64_t last_use;
  };

  absl::StatusOr<std::unique_ptr<Hdf5File>> Open(const std::string& path, const std::string& place) const {
    const absl::StatusOr<std::string> local = storage_.Fetch(path);
    if (!local.ok()) return Annotate(local.status(), place);
    auto file = Hdf5File::Open(*local, names_, cache_bytes_);
    if (file.ok()) return file;
    std::error_code error;
    const bool there = std::filesystem::exists(*local, error);
    return Annotate(absl::Status(file.status().code(),
                                 absl::StrCat(file.status().message(), there ? "" : WhereLookedFor(path, source_))),
                    place);
  }

  absl::Status Reopen(OpenedFile* listed) {
    SAMOVAR_ASSIGN_OR_RETURN(std::unique_ptr<Hdf5File> file, Open(listed->path, listed->place));
    if (file->rows() != listed->rows || file->row_shapes() != tops_)
      return absl::DataLossError(
          absl::StrCat(listed->path, ": was changed while it was in use; restore it, or begin anew"));
    Keep(listed, std::move(file));
    return absl::OkStatus();
  }

  // Closes the one that was not used for longest if there are too many.
  void Keep(OpenedFile* listed, std::unique_ptr<Hdf5File> file) {
    if (open_ == kMaxOpen) {
      OpenedFile* oldest = nullptr;
      for (OpenedFile& other : files_) {
        if (other.file != nullptr && (oldest == nullptr || other.last_use < oldest->last_use)) oldest = &other;
      }
      oldest->file.reset();
      --open_;
    }
    listed->file = std::move(file);
    ++open_;
  }

  const std::string source_;
  const std::vector<std::string> names_;
  const size_t cache_bytes_;
  const StorageTable storage_;
  std::vector<OpenedFile> files_;
  size_t open_ = 0;
  uint64_t uses_ = 0;
  uint64_t size_ = 0;
  std::vector<TopShape> tops_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<RecordReader>> OpenHdf5Reader(const caffe::LayerParameter& layer,
                                                             const std::string& source, const StorageTable& storage) {
  if (layer.top_size() == 0) return absl::InvalidArgumentError("has no tops; name one for each data set of the files");
  if (layer.has_transform_param()) {
    return absl::InvalidArgumentError(
        "transform_param is not for HDF5Data; transform the values where the files are made");
  }
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<ListedFile> files, ReadFileList(source, storage));
  const std::vector<std::string> names(layer.top().begin(), layer.top().end());
  auto reader = std::make_unique<Hdf5Reader>(source, names, files.size(), storage);
  for (const ListedFile& file : files) SAMOVAR_RETURN_IF_ERROR(reader->Add(file));
  return reader;
}

}  // namespace samovar
