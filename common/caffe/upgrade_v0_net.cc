#include "common/caffe/upgrade_v0_net.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/base/suggest.h"

namespace samovar {
namespace {

using caffe::V0LayerParameter;
using caffe::V1LayerParameter;
using google::protobuf::FieldDescriptor;
using Where = std::function<std::string(const std::vector<FieldStep>& path)>;

constexpr char kPadding[] = "padding";

const std::map<std::string, V1LayerParameter::LayerType>& Types() {
  static const auto* const types = new std::map<std::string, V1LayerParameter::LayerType>{
      {"accuracy", V1LayerParameter::ACCURACY},
      {"bnll", V1LayerParameter::BNLL},
      {"concat", V1LayerParameter::CONCAT},
      {"conv", V1LayerParameter::CONVOLUTION},
      {"data", V1LayerParameter::DATA},
      {"dropout", V1LayerParameter::DROPOUT},
      {"euclidean_loss", V1LayerParameter::EUCLIDEAN_LOSS},
      {"flatten", V1LayerParameter::FLATTEN},
      {"hdf5_data", V1LayerParameter::HDF5_DATA},
      {"hdf5_output", V1LayerParameter::HDF5_OUTPUT},
      {"im2col", V1LayerParameter::IM2COL},
      {"images", V1LayerParameter::IMAGE_DATA},
      {"infogain_loss", V1LayerParameter::INFOGAIN_LOSS},
      {"innerproduct", V1LayerParameter::INNER_PRODUCT},
      {"lrn", V1LayerParameter::LRN},
      {"multinomial_logistic_loss", V1LayerParameter::MULTINOMIAL_LOGISTIC_LOSS},
      {"pool", V1LayerParameter::POOLING},
      {"relu", V1LayerParameter::RELU},
      {"sigmoid", V1LayerParameter::SIGMOID},
      {"softmax", V1LayerParameter::SOFTMAX},
      {"softmax_loss", V1LayerParameter::SOFTMAX_LOSS},
      {"split", V1LayerParameter::SPLIT},
      {"tanh", V1LayerParameter::TANH},
      {"window_data", V1LayerParameter::WINDOW_DATA},
  };
  return *types;
}

absl::Status Wrong(const std::string& where, absl::string_view message) {
  return absl::InvalidArgumentError(where.empty() ? std::string(message) : absl::StrCat(where, ": ", message));
}

// Where a field of the first form goes: message and field of the second form, for each type that has it.
struct Target {
  const char* field;
  const char* type;
  const char* message;
  const char* to;
};
constexpr Target kTargets[] = {
    {"num_output", "conv", "convolution_param", "num_output"},
    {"num_output", "innerproduct", "inner_product_param", "num_output"},
    {"biasterm", "conv", "convolution_param", "bias_term"},
    {"biasterm", "innerproduct", "inner_product_param", "bias_term"},
    {"weight_filler", "conv", "convolution_param", "weight_filler"},
    {"weight_filler", "innerproduct", "inner_product_param", "weight_filler"},
    {"bias_filler", "conv", "convolution_param", "bias_filler"},
    {"bias_filler", "innerproduct", "inner_product_param", "bias_filler"},
    {"pad", "conv", "convolution_param", "pad"},
    {"pad", "pool", "pooling_param", "pad"},
    {"kernelsize", "conv", "convolution_param", "kernel_size"},
    {"kernelsize", "pool", "pooling_param", "kernel_size"},
    {"group", "conv", "convolution_param", "group"},
    {"stride", "conv", "convolution_param", "stride"},
    {"stride", "pool", "pooling_param", "stride"},
    {"pool", "pool", "pooling_param", "pool"},
    {"dropout_ratio", "dropout", "dropout_param", "dropout_ratio"},
    {"local_size", "lrn", "lrn_param", "local_size"},
    {"alpha", "lrn", "lrn_param", "alpha"},
    {"beta", "lrn", "lrn_param", "beta"},
    {"k", "lrn", "lrn_param", "k"},
    {"source", "data", "data_param", "source"},
    {"source", "hdf5_data", "hdf5_data_param", "source"},
    {"source", "images", "image_data_param", "source"},
    {"source", "window_data", "window_data_param", "source"},
    {"source", "infogain_loss", "infogain_loss_param", "source"},
    {"batchsize", "data", "data_param", "batch_size"},
    {"batchsize", "hdf5_data", "hdf5_data_param", "batch_size"},
    {"batchsize", "images", "image_data_param", "batch_size"},
    {"batchsize", "window_data", "window_data_param", "batch_size"},
    {"scale", "", "transform_param", "scale"},
    {"meanfile", "", "transform_param", "mean_file"},
    {"cropsize", "", "transform_param", "crop_size"},
    {"mirror", "", "transform_param", "mirror"},
    {"rand_skip", "data", "data_param", "rand_skip"},
    {"rand_skip", "images", "image_data_param", "rand_skip"},
    {"shuffle_images", "images", "image_data_param", "shuffle"},
    {"new_height", "images", "image_data_param", "new_height"},
    {"new_width", "images", "image_data_param", "new_width"},
    {"concat_dim", "concat", "concat_param", "concat_dim"},
    {"det_fg_threshold", "window_data", "window_data_param", "fg_threshold"},
    {"det_bg_threshold", "window_data", "window_data_param", "bg_threshold"},
    {"det_fg_fraction", "window_data", "window_data_param", "fg_fraction"},
    {"det_context_pad", "window_data", "window_data_param", "context_pad"},
    {"det_crop_mode", "window_data", "window_data_param", "crop_mode"},
    {"hdf5_output_param", "hdf5_output", "", "hdf5_output_param"},
};

const Target* FindTarget(const std::string& field, const std::string& type) {
  const auto* const found = std::find_if(std::begin(kTargets), std::end(kTargets), [&](const Target& target) {
    return field == target.field && (type == target.type || *target.type == '\0');
  });
  return found == std::end(kTargets) ? nullptr : found;
}

// Numbers change between signed, unsigned and repeated; enums keep their names.
void CopyField(const google::protobuf::Message& from, const FieldDescriptor* source, google::protobuf::Message* to,
               const FieldDescriptor* target) {
  const auto* const read = from.GetReflection();
  const auto* const write = to->GetReflection();
  const auto number = [&]() -> uint32_t {
    return source->cpp_type() == FieldDescriptor::CPPTYPE_INT32 ? static_cast<uint32_t>(read->GetInt32(from, source))
                                                                : read->GetUInt32(from, source);
  };
  switch (target->cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
      return target->is_repeated() ? write->AddUInt32(to, target, number()) : write->SetUInt32(to, target, number());
    case FieldDescriptor::CPPTYPE_INT32:
      return write->SetInt32(to, target, static_cast<int32_t>(number()));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return write->SetFloat(to, target, read->GetFloat(from, source));
    case FieldDescriptor::CPPTYPE_BOOL:
      return write->SetBool(to, target, read->GetBool(from, source));
    case FieldDescriptor::CPPTYPE_STRING:
      return write->SetString(to, target, read->GetString(from, source));
    case FieldDescriptor::CPPTYPE_ENUM:
      return write->SetEnum(to, target, target->enum_type()->FindValueByName(read->GetEnum(from, source)->name()));
    default:
      write->MutableMessage(to, target)->CopyFrom(read->GetMessage(from, source));
  }
}

absl::Status UpgradeLayer(const Where& where, int index, const V1LayerParameter& connection,
                          V1LayerParameter* upgraded) {
  const V0LayerParameter& layer = connection.layer();
  const auto type = Types().find(layer.type());
  if (type == Types().end()) {
    std::vector<std::string> names = {kPadding};
    for (const auto& [name, unused] : Types()) names.push_back(name);
    return Wrong(where({{"layers", index}, {"layer"}, {"type"}}),
                 absl::StrCat("layer \"", layer.name(), "\" has the type \"", layer.type(),
                              "\", which Caffe's first form does not have", DidYouMean(layer.type(), names)));
  }
  upgraded->set_name(layer.name());
  upgraded->set_type(type->second);
  *upgraded->mutable_bottom() = connection.bottom();
  *upgraded->mutable_top() = connection.top();
  *upgraded->mutable_blobs() = layer.blobs();
  *upgraded->mutable_blobs_lr() = layer.blobs_lr();
  *upgraded->mutable_weight_decay() = layer.weight_decay();
  std::vector<const FieldDescriptor*> fields;
  layer.GetReflection()->ListFields(layer, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->name() == "name" || field->name() == "type" || field->is_repeated()) continue;
    const Target* const target = FindTarget(field->name(), layer.type());
    if (target == nullptr) {
      return Wrong(where({{"layers", index}, {"layer"}, {field->name()}}),
                   absl::StrCat("layer \"", layer.name(), "\": ", field->name(), " has no meaning for type \"",
                                layer.type(), "\"; remove it"));
    }
    google::protobuf::Message* message = upgraded;
    if (*target->message != '\0') {
      message = upgraded->GetReflection()->MutableMessage(upgraded,
                                                          upgraded->GetDescriptor()->FindFieldByName(target->message));
    }
    CopyField(layer, field, message, message->GetDescriptor()->FindFieldByName(target->to));
  }
  return absl::OkStatus();
}

// Takes the padding layer below the connection's layer, if there is one, into it. `last`: by blob, the layer that wrote
// it last.
absl::Status JoinPadding(const Where& where, int index, const caffe::NetParameter& net,
                         const std::map<std::string, int>& last, V1LayerParameter* connection) {
  for (int i = 0; i < connection->bottom_size(); ++i) {
    const auto below = last.find(connection->bottom(i));
    if (below == last.end() || !IsV0Padding(net.layers(below->second))) continue;
    const V1LayerParameter& padding = net.layers(below->second);
    const std::string& type = connection->layer().type();
    if ((type != "conv" && type != "pool") || connection->bottom_size() != 1 || padding.bottom_size() != 1 ||
        padding.top_size() != 1) {
      return Wrong(where({{"layers", index}}),
                   absl::StrCat("layer \"", connection->layer().name(), "\" reads the padding layer \"",
                                padding.layer().name(), "\"; only a conv or pool layer with one bottom can"));
    }
    connection->mutable_layer()->set_pad(padding.layer().pad());
    connection->set_bottom(i, padding.bottom(0));
  }
  return absl::OkStatus();
}

}  // namespace

bool IsV0Padding(const V1LayerParameter& layer) { return layer.layer().type() == kPadding; }

bool IsV0Net(const caffe::NetParameter& net) {
  return std::any_of(net.layers().begin(), net.layers().end(),
                     [](const V1LayerParameter& layer) { return layer.has_layer(); });
}

absl::Status UpgradeV0Net(const Where& where, caffe::NetParameter* net) {
  std::map<std::string, int> last;
  google::protobuf::RepeatedPtrField<V1LayerParameter> upgraded;
  for (int i = 0; i < net->layers_size(); ++i) {
    V1LayerParameter connection = net->layers(i);
    if (!connection.has_layer()) {
      return Wrong(
          where({{"layers", i}}),
          "the net has layers of Caffe's first form and of its second; write all of them as layer { type: \"...\" }");
    }
    SAMOVAR_RETURN_IF_ERROR(JoinPadding(where, i, *net, last, &connection));
    for (const std::string& top : connection.top()) last[top] = i;
    if (IsV0Padding(connection)) continue;
    SAMOVAR_RETURN_IF_ERROR(UpgradeLayer(where, i, connection, upgraded.Add()));
  }
  net->mutable_layers()->Swap(&upgraded);
  return absl::OkStatus();
}

}  // namespace samovar
