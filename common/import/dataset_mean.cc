#include "common/import/dataset_mean.h"

#include <numeric>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace samovar {
namespace {

constexpr uint64_t kRecordsPerProgress = 1000;

template <typename Pixel>
void AddTo(const Pixel* __restrict pixels, size_t count, double* __restrict sums) {
  for (size_t i = 0; i < count; ++i) sums[i] += static_cast<double>(pixels[i]);
}

absl::StatusOr<std::vector<double>> Sums(const Dataset& dataset,
                                         const std::function<void(uint64_t done, uint64_t total)>& progress) {
  const RecordShape shape = dataset.shape();
  std::vector<double> sums(shape.elements());
  caffe::Datum datum;
  for (uint64_t i = 0; i < dataset.size(); ++i) {
    SAMOVAR_RETURN_IF_ERROR(dataset.Read(i, &datum));
    const RecordShape record = {datum.channels(), datum.height(), datum.width()};
    if (record != shape) {
      return absl::InvalidArgumentError(absl::StrCat(dataset.NameOf(i), ": is ", ToString(record),
                                                     ", but the first record is ", ToString(shape),
                                                     "; a mean needs records of one size, so import the "
                                                     "images with --resize"));
    }
    if (!datum.data().empty()) {
      AddTo(reinterpret_cast<const uint8_t*>(datum.data().data()), sums.size(), sums.data());
    } else {
      AddTo(datum.float_data().data(), sums.size(), sums.data());
    }
    if (progress && ((i + 1) % kRecordsPerProgress == 0 || i + 1 == dataset.size())) progress(i + 1, dataset.size());
  }
  return sums;
}

}  // namespace

absl::StatusOr<DatasetMean> ComputeMean(const Dataset& dataset,
                                        const std::function<void(uint64_t done, uint64_t total)>& progress) {
  SAMOVAR_ASSIGN_OR_RETURN(std::vector<double> means, Sums(dataset, progress));
  for (double& mean : means) mean /= static_cast<double>(dataset.size());
  const RecordShape shape = dataset.shape();
  DatasetMean result;
  result.blob.set_num(1);
  result.blob.set_channels(shape.channels);
  result.blob.set_height(shape.height);
  result.blob.set_width(shape.width);
  for (const double mean : means) result.blob.add_data(static_cast<float>(mean));
  const auto plane = static_cast<std::ptrdiff_t>(means.size()) / shape.channels;
  for (auto begin = means.begin(); begin != means.end(); begin += plane) {
    result.channel_means.push_back(std::accumulate(begin, begin + plane, 0.0) / static_cast<double>(plane));
  }
  return result;
}

}  // namespace samovar
