#include "common/caffe/net_sources.h"

#include "common/caffe/paths.h"

namespace samovar {
void ResolveSources(const std::string& file, caffe::NetParameter* net) {
  const auto resolved = [&file](const std::string& path) { return ResolvePath(path, file); };
  for (caffe::LayerParameter& layer : *net->mutable_layer()) {
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

}  // namespace samovar
