#include "common/caffe/net_sources.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/storage/named_file.h"
#include "common/storage/paths.h"

namespace samovar {

void ResolveSources(const std::string& file, const NetOrigin& origin, const StorageTable& storage,
                    caffe::NetParameter* net, std::vector<std::string>* warnings) {
  for (int i = 0; i < net->layer_size(); ++i) {
    caffe::LayerParameter& layer = *net->mutable_layer(i);
    const auto resolved = [&](const std::string& path) {
      const NamedFile found = FindNamedFile(path, file, storage);
      if (!found.warning.empty()) {
        std::string warning =
            absl::StrCat(origin.layers[static_cast<size_t>(i)], ": layer \"", layer.name(), "\": ", found.warning);
        if (std::find(warnings->begin(), warnings->end(), warning) == warnings->end())
          warnings->push_back(std::move(warning));
      }
      return ResolvePath(found.path, "");
    };
    if (layer.data_param().has_source()) layer.mutable_data_param()->set_source(resolved(layer.data_param().source()));
    if (layer.hdf5_data_param().has_source()) {
      layer.mutable_hdf5_data_param()->set_source(resolved(layer.hdf5_data_param().source()));
    }
    if (layer.memory_data_param().has_source()) {
      layer.mutable_memory_data_param()->set_source(resolved(layer.memory_data_param().source()));
    }
    if (layer.infogain_loss_param().has_source()) {
      layer.mutable_infogain_loss_param()->set_source(resolved(layer.infogain_loss_param().source()));
    }
    if (layer.transform_param().has_mean_file()) {
      layer.mutable_transform_param()->set_mean_file(resolved(layer.transform_param().mean_file()));
    }
    const caffe::ImageDataParameter& images = layer.image_data_param();
    if (images.has_source()) layer.mutable_image_data_param()->set_source(resolved(images.source()));
    if (images.has_root_folder()) layer.mutable_image_data_param()->set_root_folder(resolved(images.root_folder()));
  }
}

std::vector<std::string> FilesNamedIn(const caffe::NetParameter& net) {
  std::vector<std::string> files;
  const auto add = [&files](const std::string& path) {
    if (std::find(files.begin(), files.end(), path) == files.end()) files.push_back(path);
  };
  for (const caffe::LayerParameter& layer : net.layer()) {
    const std::string& type = layer.type();
    const bool transforms = type == "Data" || type == "ImageData" || type == "MemoryData";
    if (transforms && layer.transform_param().has_mean_file()) add(layer.transform_param().mean_file());
    if (type == "InfogainLoss" && layer.infogain_loss_param().has_source()) add(layer.infogain_loss_param().source());
  }
  return files;
}

absl::StatusOr<caffe::NetParameter> WithFetchedFiles(const caffe::NetParameter& net, const StorageTable& storage) {
  caffe::NetParameter local = net;
  for (caffe::LayerParameter& layer : *local.mutable_layer()) {
    const std::string uri = layer.infogain_loss_param().source();
    if (layer.type() != "InfogainLoss" || uri.empty() || !storage.StorageFor(uri).ok()) continue;
    const absl::StatusOr<std::string> fetched = storage.Fetch(uri);
    if (!fetched.ok())
      return Annotate(fetched.status(), absl::StrCat("layer \"", layer.name(), "\": infogain_loss_param.source"));
    layer.mutable_infogain_loss_param()->set_source(*fetched);
  }
  return local;
}

}  // namespace samovar
