#include "common/caffe/model_file.h"

#include <unistd.h>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/read_file.h"
#include "common/base/status_macros.h"
#include "common/caffe/blob_proto.h"
#include "common/caffe/hdf5_archive.h"
#include "common/caffe/hdf5_model.h"
#include "common/caffe/upgrade_net.h"
#include "common/storage/read_message.h"
#include "common/storage/write_file.h"

namespace samovar {
namespace {

absl::StatusOr<bool> BeginsAsHdf5(const std::string& path) {
  SAMOVAR_ASSIGN_OR_RETURN(const int fd, OpenForReading(path, kMaxHdf5Bytes));
  const absl::Cleanup close_file = [fd] { close(fd); };
  char start[8];
  const ssize_t got = pread(fd, start, sizeof(start), 0);
  return got == static_cast<ssize_t>(sizeof(start)) && IsHdf5(absl::string_view(start, sizeof(start)));
}

absl::Status CheckModel(caffe::NetParameter* model) {
  SAMOVAR_RETURN_IF_ERROR(UpgradeModel(model));
  if (model->layer_size() == 0) return absl::DataLossError("no layers; this is not a .caffemodel, or it is damaged");
  for (caffe::LayerParameter& layer : *model->mutable_layer()) {
    for (int i = 0; i < layer.blobs_size(); ++i) {
      SAMOVAR_RETURN_IF_ERROR(
          CheckBlob(absl::StrCat("blob ", i, " of layer \"", layer.name(), "\""), layer.mutable_blobs(i)));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status WriteModel(const std::string& path, const caffe::NetParameter& model, const StorageTable& storage) {
  if (!absl::EndsWith(path, ".h5")) return storage.PutMessage(path, model);
  const absl::StatusOr<std::string> bytes = EncodeHdf5Model(model);
  if (!bytes.ok()) return CannotWrite(path, bytes.status());
  return storage.PutBytes(path, *bytes);
}

absl::StatusOr<caffe::NetParameter> ReadModel(const std::string& path, const StorageTable& storage) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string local, storage.Fetch(path));
  SAMOVAR_ASSIGN_OR_RETURN(const bool hdf5, BeginsAsHdf5(local));
  if (hdf5) {
    SAMOVAR_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(local, kMaxHdf5Bytes));
    absl::StatusOr<caffe::NetParameter> model = DecodeHdf5Model(bytes);
    if (!model.ok()) return Annotate(model.status(), path);
    return model;
  }
  caffe::NetParameter model;
  SAMOVAR_RETURN_IF_ERROR(ReadLocalMessage(local, "a .caffemodel", &model));
  SAMOVAR_RETURN_IF_ERROR(Annotate(CheckModel(&model), path));
  return model;
}

}  // namespace samovar
