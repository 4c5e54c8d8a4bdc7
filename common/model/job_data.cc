#include "common/model/job_data.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/caffe/net_sources.h"
#include "common/storage/file_digest.h"

namespace samovar {
namespace {

const v1::NetFile* FindFile(const v1::JobSpec& spec, const std::string& path) {
  const auto found = std::find_if(spec.net_files().begin(), spec.net_files().end(),
                                  [&path](const v1::NetFile& file) { return file.path() == path; });
  return found == spec.net_files().end() ? nullptr : &*found;
}

// By phase and name.
using LayersByName = std::map<std::pair<bool, std::string>, const v1::DatasetSpec*>;

void AddLayers(bool train, const v1::DatasetSpec& data, LayersByName* layers) {
  layers->emplace(std::pair(train, data.layer()), &data);
  for (const v1::DatasetSpec& further : data.further()) layers->emplace(std::pair(train, further.layer()), &further);
}

LayersByName LayersOf(const v1::JobSpec& spec) {
  LayersByName layers;
  AddLayers(true, spec.train_data(), &layers);
  for (const v1::DatasetSpec& data : spec.test_data()) AddLayers(false, data, &layers);
  return layers;
}

std::string OtherRecords(const std::string& layer, const v1::DatasetSpec& before, const v1::DatasetSpec& now) {
  std::string where = now.uri();
  if (before.uri() != now.uri()) absl::StrAppend(&where, ", before ", before.uri());
  if (before.records() != now.records()) absl::StrAppend(&where, ": ", before.records(), ", then ", now.records());
  return absl::StrCat("data layer \"", layer, "\" reads other records than before (", where, ")");
}

}  // namespace

absl::Status AddNetFiles(const caffe::NetParameter& net, v1::JobSpec* spec, const StorageTable& storage) {
  for (const std::string& path : FilesNamedIn(net)) {
    if (FindFile(*spec, path) != nullptr) continue;
    SAMOVAR_ASSIGN_OR_RETURN(std::string digest, DigestOfFile(path, storage));
    v1::NetFile* const file = spec->add_net_files();
    file->set_path(path);
    file->set_digest(std::move(digest));
  }
  return absl::OkStatus();
}

absl::Status CheckNetFiles(const caffe::NetParameter& net, const v1::JobSpec& spec, const StorageTable& storage) {
  for (const std::string& path : FilesNamedIn(net)) {
    const v1::NetFile* const file = FindFile(spec, path);
    if (file == nullptr) continue;
    SAMOVAR_ASSIGN_OR_RETURN(const std::string digest, DigestOfFile(path, storage));
    const absl::Status same = CheckDigest(path, digest, file->digest());
    // It will be as wrong the next time.
    if (!same.ok()) return absl::InvalidArgumentError(same.message());
  }
  return absl::OkStatus();
}

std::vector<std::string> DescribeOtherData(const v1::JobSpec& before, const v1::JobSpec& now) {
  std::vector<std::string> differences;
  const LayersByName earlier = LayersOf(before);
  for (const auto& [name, data] : LayersOf(now)) {
    const auto found = earlier.find(name);
    if (found == earlier.end()) continue;
    const std::string& digest = found->second->digest();
    if (digest.empty() || data->digest().empty() || digest == data->digest()) continue;
    differences.push_back(OtherRecords(name.second, *found->second, *data));
  }
  for (const v1::NetFile& file : now.net_files()) {
    const v1::NetFile* const known = FindFile(before, file.path());
    if (known != nullptr && known->digest() != file.digest()) {
      differences.push_back(absl::StrCat("the nets read another file than before under the name ", file.path()));
    }
  }
  return differences;
}

}  // namespace samovar
