// HadoopConfiguration is what a cluster's core-site.xml, hdfs-site.xml and yarn-site.xml say: where its file systems
// are, with which keys they are read, and where YARN is.
//
// Its values may be secrets: errors and logs name properties, never their values.
//
// Thread safety: immutable once read.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"

namespace samovar {

class HadoopConfiguration {
 public:
  // Without properties.
  HadoopConfiguration() = default;

  // The files of the directory that HADOOP_CONF_DIR names, or of /etc/hadoop/conf; where neither is there, no
  // properties. INVALID_ARGUMENT: a file is no configuration.
  static absl::StatusOr<HadoopConfiguration> Load();
  // As Load, of this directory; a file that is not there has no properties.
  static absl::StatusOr<HadoopConfiguration> FromDirectory(const std::string& directory);

  // For tests, and for what a program sets itself.
  void Set(const std::string& name, const std::string& value) { properties_[name] = value; }

  // The value, with "${name}" replaced by the value of another property, or of the environment's for "${env.NAME}";
  // `otherwise`: there is none.
  std::string Get(const std::string& name, const std::string& otherwise = "") const;
  bool Has(const std::string& name) const { return properties_.count(name) != 0; }

 private:
  absl::Status ReadFrom(const std::string& path);

  std::map<std::string, std::string> properties_;
};

}  // namespace samovar
