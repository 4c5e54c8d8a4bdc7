#include "worker/feed/net_feed.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/feed/open_reader.h"

namespace samovar {
namespace {

// The net's data layers must be the job's.
absl::Status CheckLayers(const caffe::NetParameter& net, const std::vector<const caffe::LayerParameter*>& layers,
                         const std::vector<const v1::DatasetSpec*>& specs) {
  bool same = layers.size() == specs.size();
  for (size_t i = 0; same && i < layers.size(); ++i) same = layers[i]->name() == specs[i]->layer();
  if (same) return absl::OkStatus();
  const std::string here = layers.empty() ? "none" : absl::StrCat("\"", layers[0]->name(), "\"");
  return absl::InvalidArgumentError(absl::StrCat("net \"", net.name(), "\" has ", layers.size(),
                                                 " data layers (the first: ", here, "), but the job has records for ",
                                                 specs.size(), " (\"", specs[0]->layer(), "\")"));
}

// Another machine's copy may be good: an error in the data here is not the net's fault.
absl::Status DataFault(const absl::Status& status) {
  if (!absl::IsInvalidArgument(status) && !absl::IsUnimplemented(status)) return status;
  return absl::FailedPreconditionError(status.message());
}

}  // namespace

std::vector<const v1::DatasetSpec*> LayersOf(const v1::DatasetSpec& data) {
  if (data.records() == 0) return {};
  std::vector<const v1::DatasetSpec*> layers = {&data};
  for (const v1::DatasetSpec& further : data.further()) layers.push_back(&further);
  return layers;
}

ShapesByLayer TopShapesOf(const v1::DatasetSpec& data) {
  ShapesByLayer shapes;
  for (const v1::DatasetSpec* layer : LayersOf(data)) {
    std::vector<TopShape>& tops = shapes[layer->layer()];
    for (const v1::RecordTop& top : layer->tops()) tops.emplace_back(top.shape().begin(), top.shape().end());
  }
  return shapes;
}

absl::Status DivideBatches(uint32_t parts, v1::DatasetSpec* data) {
  const auto divide = [parts](v1::DatasetSpec* layer) {
    if (parts == 0 || layer->batch_size() % parts != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("a batch of ", layer->batch_size(), " records has no ", parts, " equal parts"));
    }
    layer->set_batch_size(layer->batch_size() / parts);
    return absl::OkStatus();
  };
  SAMOVAR_RETURN_IF_ERROR(divide(data));
  for (v1::DatasetSpec& further : *data->mutable_further()) SAMOVAR_RETURN_IF_ERROR(divide(&further));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<NetFeed>> NetFeed::Open(const caffe::NetParameter& net, const v1::DatasetSpec& data,
                                                       const Options& options) {
  const std::vector<const v1::DatasetSpec*> specs = LayersOf(data);
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<const caffe::LayerParameter*> layers, FindFedLayers(net));
  SAMOVAR_RETURN_IF_ERROR(CheckLayers(net, layers, specs));
  std::vector<std::unique_ptr<BatchFeed>> feeds;
  for (size_t i = 0; i < layers.size(); ++i) {
    BatchFeed::Options feed;
    auto reader = OpenReader(*layers[i], options.phase, specs[i]->uri(), options.partitions, options.storage);
    if (!reader.ok()) return DataFault(reader.status());
    feed.reader = *std::move(reader);
    feed.phase = options.phase;
    feed.spec = *specs[i];
    feed.batches = options.batches;
    feed.seed = options.seed;
    feed.threads = options.threads;
    // Other records than the job's are its end: no worker may compute with them, and no second look makes them others.
    SAMOVAR_ASSIGN_OR_RETURN(feeds.emplace_back(), BatchFeed::Create(std::move(feed)));
  }
  std::vector<std::string> names;
  for (const caffe::LayerParameter* layer : layers) names.push_back(layer->name());
  return std::unique_ptr<NetFeed>(new NetFeed(std::move(feeds), std::move(names)));
}

bool NetFeed::adapts() const {
  const auto one_record = [](const auto& feed) { return feed->batch_size() == 1; };
  return std::all_of(feeds_.begin(), feeds_.end(), one_record) &&
         std::any_of(feeds_.begin(), feeds_.end(), [](const auto& feed) { return feed->adapts(); });
}

template <typename Adapt>
absl::StatusOr<ShapesByLayer> NetFeed::AdaptEach(Adapt adapt) {
  ShapesByLayer shapes;
  for (size_t i = 0; i < feeds_.size(); ++i) {
    if (feeds_[i]->adapts()) SAMOVAR_RETURN_IF_ERROR(adapt(feeds_[i].get()));
    shapes[layers_[i]] = feeds_[i]->tops();
  }
  return shapes;
}

absl::StatusOr<ShapesByLayer> NetFeed::AdaptToIteration(uint64_t t, uint32_t batch) {
  return AdaptEach([&](BatchFeed* feed) { return feed->AdaptToIteration(t, batch); });
}

absl::StatusOr<ShapesByLayer> NetFeed::AdaptToRecord(uint64_t begin) {
  return AdaptEach([&](BatchFeed* feed) { return feed->AdaptToRecord(begin); });
}

std::vector<size_t> NetFeed::BatchElements() const {
  std::vector<size_t> elements;
  for (const auto& feed : feeds_) {
    for (const TopShape& top : feed->tops()) elements.push_back(feed->batch_size() * ElementsOf(top));
  }
  return elements;
}

template <typename Fill>
absl::Status NetFeed::FillEach(std::span<const std::span<float>> tops, Fill fill) {
  size_t all = 0;
  for (const auto& feed : feeds_) all += feed->tops().size();
  if (all != tops.size())
    return absl::InvalidArgumentError(absl::StrCat("room for ", tops.size(), " tops, but records have ", all));
  for (const auto& feed : feeds_) {
    SAMOVAR_RETURN_IF_ERROR(fill(feed.get(), tops.first(feed->tops().size())));
    tops = tops.subspan(feed->tops().size());
  }
  return absl::OkStatus();
}

absl::Status NetFeed::FillIteration(uint64_t t, uint32_t batch, std::span<const std::span<float>> tops) {
  return FillEach(tops, [&](BatchFeed* feed, auto own) { return feed->FillIteration(t, batch, own); });
}

absl::Status NetFeed::FillRange(uint64_t begin, uint64_t end, std::span<const std::span<float>> tops) {
  return FillEach(tops, [&](BatchFeed* feed, auto own) {
    const auto scaled = [&](uint64_t of_first) {
      return of_first / batch_size() * feed->batch_size() + of_first % batch_size() * feed->batch_size() / batch_size();
    };
    const bool whole = (begin % batch_size() * feed->batch_size()) % batch_size() == 0 &&
                       (end % batch_size() * feed->batch_size()) % batch_size() == 0;
    if (whole) return feed->FillRange(scaled(begin), scaled(end), own);
    return absl::InvalidArgumentError(
        absl::StrCat("data layers with batches of ", batch_size(), " and ", feed->batch_size(),
                     " records are read by whole batches only, not from ", begin, " to ", end));
  });
}

}  // namespace samovar
