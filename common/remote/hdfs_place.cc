#include "common/remote/hdfs_place.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace samovar {
namespace {

constexpr int kUsualPort = 9870;
constexpr int kUsualSecurePort = 9871;

struct Parts {
  absl::string_view scheme;
  absl::string_view authority;
  absl::string_view path;
};

Parts Split(absl::string_view uri) {
  Parts parts;
  parts.scheme = uri.substr(0, uri.find(':'));
  absl::string_view rest = uri.substr(std::min(uri.size(), parts.scheme.size() + 1));
  if (absl::ConsumePrefix(&rest, "//")) {
    parts.authority = rest.substr(0, rest.find('/'));
    rest.remove_prefix(parts.authority.size());
  }
  parts.path = rest;
  return parts;
}

absl::string_view HostOf(absl::string_view authority) { return authority.substr(0, authority.rfind(':')); }

// The web address of a namenode in hdfs-site.xml; `key`: "" or ".NAMESERVICE.ID".
std::string WebAddress(const HadoopConfiguration& configuration, bool secure, const std::string& key) {
  return configuration.Get(absl::StrCat("dfs.namenode.http", secure ? "s" : "", "-address", key));
}

}  // namespace

absl::StatusOr<HdfsPlace> FindHdfsPlace(const std::string& uri, const HadoopConfiguration& configuration) {
  const Parts parts = Split(uri);
  const std::string by_default = configuration.Get("fs.defaultFS");
  const Parts of_default = Split(by_default);
  const bool default_is_hdfs = of_default.scheme == "hdfs" && !of_default.authority.empty();
  HdfsPlace place;
  place.path = parts.path.empty() ? "/" : std::string(parts.path);
  place.authority = std::string(parts.authority.empty() && default_is_hdfs ? of_default.authority : parts.authority);
  if (place.authority.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        uri, ": it names no namenode, and fs.defaultFS of core-site.xml (HADOOP_CONF_DIR) is of no HDFS either; ",
        "a URI is like hdfs://HOST/PATH"));
  }
  if (!absl::StartsWith(place.path, "/")) {
    return absl::InvalidArgumentError(absl::StrCat(uri, ": the path does not begin with a slash"));
  }
  const std::string policy = configuration.Get("dfs.http.policy");
  const bool secure = parts.scheme == "swebhdfs" || (parts.scheme == "hdfs" && policy == "HTTPS_ONLY");
  const std::string protocol = secure ? "https://" : "http://";
  const std::string nodes = configuration.Get(absl::StrCat("dfs.ha.namenodes.", place.authority));
  for (const absl::string_view node : absl::StrSplit(nodes, ',', absl::SkipWhitespace())) {
    const std::string key = absl::StrCat(".", place.authority, ".", absl::StripAsciiWhitespace(node));
    const std::string address = WebAddress(configuration, secure, key);
    if (address.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(uri, ": hdfs-site.xml has no dfs.namenode.http", secure ? "s" : "", "-address", key));
    }
    place.namenodes.push_back(protocol + address);
  }
  if (!place.namenodes.empty()) return place;
  if (parts.scheme != "hdfs") {
    place.namenodes.push_back(protocol + place.authority);
    return place;
  }
  const absl::string_view host = HostOf(place.authority);
  std::string address = WebAddress(configuration, secure, "");
  const bool is_configured = default_is_hdfs && HostOf(of_default.authority) == host && !address.empty();
  if (!is_configured) address = absl::StrCat(host, ":", secure ? kUsualSecurePort : kUsualPort);
  // The address that a namenode listens on may be all of its host's.
  if (HostOf(address) == "0.0.0.0") address = absl::StrCat(host, address.substr(address.rfind(':')));
  place.namenodes.push_back(protocol + address);
  return place;
}

}  // namespace samovar
