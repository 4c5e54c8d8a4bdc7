#include "common/remote/azure_uri.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace samovar {
namespace {

absl::Status NoUri(const std::string& uri, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(
      uri, ": ", why, "; a URI is like wasbs://CONTAINER@ACCOUNT.blob.core.windows.net/PATH, or abfss:// with dfs"));
}

bool IsLabel(absl::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char character) {
    return absl::ascii_isalnum(character) || character == '-' || character == '$' || character == '_';
  });
}

// "//host/path" after the scheme's colon: the host, which is taken off `rest`.
absl::string_view TakeHost(absl::string_view* rest) {
  if (!absl::ConsumePrefix(rest, "//")) return "";
  const absl::string_view host = rest->substr(0, rest->find('/'));
  rest->remove_prefix(host.size());
  return host;
}

}  // namespace

absl::StatusOr<AzureUri> ParseAzureUri(const std::string& uri, const HadoopConfiguration& configuration) {
  absl::string_view rest = uri;
  rest.remove_prefix(std::min(rest.size(), uri.find(':') + 1));
  std::string host(TakeHost(&rest));
  if (host.empty()) {
    const std::string by_default = configuration.Get("fs.defaultFS");
    absl::string_view of_default = by_default;
    of_default.remove_prefix(std::min(of_default.size(), by_default.find(':') + 1));
    if (absl::StartsWith(by_default, "wasb") || absl::StartsWith(by_default, "abfs"))
      host = std::string(TakeHost(&of_default));
    if (host.empty()) {
      return NoUri(uri, "it names no container, and fs.defaultFS of core-site.xml (HADOOP_CONF_DIR) names none either");
    }
  }
  const size_t at = host.find('@');
  if (at == std::string::npos) return NoUri(uri, "there is no CONTAINER@ before the host");
  AzureUri result;
  result.container = host.substr(0, at);
  const std::string server = absl::AsciiStrToLower(host.substr(at + 1));
  const size_t dot = server.find('.');
  result.account = server.substr(0, dot);
  if (!IsLabel(result.container)) return NoUri(uri, "the container's name has characters that none may have");
  if (!IsLabel(result.account)) return NoUri(uri, "the account's name has characters that none may have");
  result.suffix = dot == std::string::npos ? "blob.core.windows.net" : server.substr(dot + 1);
  if (absl::StartsWith(result.suffix, "dfs.")) result.suffix = absl::StrCat("blob.", result.suffix.substr(4));
  if (!absl::StartsWith(result.suffix, "blob.")) return NoUri(uri, "the host is of neither blob nor dfs storage");
  // Further slashes belong to the name.
  absl::ConsumePrefix(&rest, "/");
  while (absl::ConsumeSuffix(&rest, "/")) {
  }
  result.path = std::string(rest);
  return result;
}

}  // namespace samovar
