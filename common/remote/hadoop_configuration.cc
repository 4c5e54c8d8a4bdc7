#include "common/remote/hadoop_configuration.h"

#include <unistd.h>

#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/read_file.h"
#include "common/base/status_macros.h"
#include "common/remote/xml.h"

namespace samovar {
namespace {

constexpr char kUsualDirectory[] = "/etc/hadoop/conf";
constexpr const char* kFiles[] = {"core-site.xml", "hdfs-site.xml", "yarn-site.xml"};
constexpr uint64_t kMaxFileBytes = 16 << 20;
// As Hadoop has it; what refers to itself ends there.
constexpr int kMaxSubstitutions = 20;

}  // namespace

absl::StatusOr<HadoopConfiguration> HadoopConfiguration::Load() {
  const char* directory = std::getenv("HADOOP_CONF_DIR");
  return FromDirectory(directory != nullptr && *directory != '\0' ? directory : kUsualDirectory);
}

absl::StatusOr<HadoopConfiguration> HadoopConfiguration::FromDirectory(const std::string& directory) {
  HadoopConfiguration configuration;
  for (const char* file : kFiles) {
    const std::string path = absl::StrCat(directory, "/", file);
    if (access(path.c_str(), F_OK) == 0) SAMOVAR_RETURN_IF_ERROR(configuration.ReadFrom(path));
  }
  return configuration;
}

absl::Status HadoopConfiguration::ReadFrom(const std::string& path) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxFileBytes));
  const absl::StatusOr<XmlElement> root = ParseXml(text);
  if (!root.ok()) return absl::InvalidArgumentError(absl::StrCat(path, ": ", root.status().message()));
  if (root->name != "configuration") {
    return absl::InvalidArgumentError(absl::StrCat(path, ": begins with <", root->name, ">, not <configuration>"));
  }
  for (const XmlElement& property : root->children) {
    const std::string name = property.ChildText("name");
    if (property.name == "property" && !name.empty()) properties_[name] = property.ChildText("value");
  }
  return absl::OkStatus();
}

std::string HadoopConfiguration::Get(const std::string& name, const std::string& otherwise) const {
  const auto found = properties_.find(name);
  if (found == properties_.end()) return otherwise;
  std::string value = found->second;
  for (int i = 0; i < kMaxSubstitutions; ++i) {
    const size_t begin = value.find("${");
    const size_t end = value.find('}', begin == std::string::npos ? 0 : begin);
    if (begin == std::string::npos || end == std::string::npos) break;
    const std::string inner = value.substr(begin + 2, end - begin - 2);
    std::string replacement;
    if (const auto other = properties_.find(inner); other != properties_.end()) {
      replacement = other->second;
    } else if (const char* variable = absl::StartsWith(inner, "env.") ? std::getenv(inner.c_str() + 4) : nullptr) {
      replacement = variable;
    } else {
      break;
    }
    value.replace(begin, end - begin + 1, replacement);
  }
  return value;
}

}  // namespace samovar
