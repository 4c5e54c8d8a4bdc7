#include "common/remote/azure_access.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/http/retries.h"
#include "common/remote/json.h"
#include "common/remote/run_program.h"

namespace samovar {
namespace {

// An old one that all clouds and emulators know.
constexpr char kVersion[] = "2020-10-02";
constexpr absl::Duration kIdentityTimeout = absl::Seconds(2);
// A token is asked for anew this long before it ends.
constexpr absl::Duration kBeforeExpiry = absl::Minutes(5);
constexpr absl::Duration kKeyProgramTimeout = absl::Seconds(30);

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : std::string(absl::StripAsciiWhitespace(value));
}

std::string UsualEndpoint(const AzureUri& uri) { return absl::StrCat("https://", uri.account, ".", uri.suffix); }

absl::StatusOr<AzureAccess> WithKey(absl::string_view encoded, std::string endpoint, absl::string_view where) {
  AzureAccess access;
  access.endpoint = std::move(endpoint);
  if (encoded.empty() || !absl::Base64Unescape(encoded, &access.secret)) {
    return absl::FailedPreconditionError(absl::StrCat("the account's key in ", where, " is not in base64"));
  }
  return access;
}

AzureAccess WithSas(absl::string_view sas, std::string endpoint) {
  absl::ConsumePrefix(&sas, "?");
  return {.kind = AzureAccess::Kind::kSas, .secret = std::string(sas), .endpoint = std::move(endpoint)};
}

// "Name=value;Name=value".
std::map<std::string, std::string> FieldsOf(const std::string& connection_string) {
  std::map<std::string, std::string> fields;
  for (const absl::string_view field : absl::StrSplit(connection_string, ';', absl::SkipWhitespace())) {
    const std::pair<std::string, std::string> pair = absl::StrSplit(field, absl::MaxSplits('=', 1));
    fields[absl::AsciiStrToLower(absl::StripAsciiWhitespace(pair.first))] = pair.second;
  }
  return fields;
}

// NOT_FOUND: the environment has nothing of this account.
absl::StatusOr<AzureAccess> FromEnvironment(const AzureUri& uri) {
  auto fields = FieldsOf(Environment("AZURE_STORAGE_CONNECTION_STRING"));
  std::string endpoint = fields["blobendpoint"];
  while (absl::EndsWith(endpoint, "/")) endpoint.pop_back();
  const bool is_ours =
      fields["accountname"] == uri.account ||
      (fields["accountname"].empty() && absl::StrContains(endpoint, absl::StrCat("://", uri.account, ".")));
  if (is_ours) {
    if (endpoint.empty()) {
      const std::string suffix = fields["endpointsuffix"];
      const std::string protocol = fields["defaultendpointsprotocol"];
      endpoint = absl::StrCat(protocol.empty() ? "https" : protocol, "://", uri.account, ".",
                              suffix.empty() ? uri.suffix : absl::StrCat("blob.", suffix));
    }
    if (!fields["sharedaccesssignature"].empty()) return WithSas(fields["sharedaccesssignature"], endpoint);
    return WithKey(fields["accountkey"], endpoint, "AZURE_STORAGE_CONNECTION_STRING");
  }
  if (Environment("AZURE_STORAGE_ACCOUNT") == uri.account) {
    const std::string sas = Environment("AZURE_STORAGE_SAS_TOKEN");
    if (!sas.empty()) return WithSas(sas, UsualEndpoint(uri));
    const std::string key = Environment("AZURE_STORAGE_KEY");
    if (!key.empty()) return WithKey(key, UsualEndpoint(uri), "AZURE_STORAGE_KEY");
  }
  return absl::NotFoundError("");
}

// The endpoint of an account that Hadoop's configuration says is an emulator's.
std::string ConfiguredEndpoint(const AzureUri& uri, const HadoopConfiguration& configuration) {
  const std::string emulated = configuration.Get("fs.azure.storage.emulator.account.name");
  if (!emulated.empty() && (emulated == uri.account || emulated == absl::StrCat(uri.account, ".", uri.suffix))) {
    return absl::StrCat("http://127.0.0.1:10000/", uri.account);
  }
  return UsualEndpoint(uri);
}

absl::StatusOr<std::string> Decrypted(const std::string& key, const std::string& property,
                                      const HadoopConfiguration& configuration) {
  const std::string script = configuration.Get("fs.azure.shellkeyprovider.script");
  if (script.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        property, " is encrypted, and fs.azure.shellkeyprovider.script names no program that decrypts it"));
  }
  absl::StatusOr<std::string> decrypted = RunProgram({script, key}, kKeyProgramTimeout);
  if (decrypted.ok()) return std::string(absl::StripAsciiWhitespace(*decrypted));
  return absl::FailedPreconditionError(
      absl::StrCat("fs.azure.shellkeyprovider.script did not decrypt ", property, ": ", decrypted.status().message()));
}

// NOT_FOUND: the configuration has nothing of this account.
absl::StatusOr<AzureAccess> FromConfiguration(const AzureUri& uri, const HadoopConfiguration& configuration) {
  const std::string endpoint = ConfiguredEndpoint(uri, configuration);
  const std::string host = absl::StrCat(uri.account, ".", uri.suffix);
  const std::string dfs_host = absl::StrCat(uri.account, ".dfs.", absl::StripPrefix(uri.suffix, "blob."));
  for (const std::string& place : {host, dfs_host}) {
    const std::string sas = configuration.Get(absl::StrCat("fs.azure.sas.", uri.container, ".", place));
    if (!sas.empty()) return WithSas(sas, endpoint);
  }
  for (const std::string& place : {host, dfs_host}) {
    const std::string property = absl::StrCat("fs.azure.account.key.", place);
    std::string key = configuration.Get(property);
    if (key.empty()) continue;
    const std::string provider = configuration.Get(absl::StrCat("fs.azure.account.keyprovider.", place));
    if (absl::EndsWith(provider, "ShellDecryptionKeyProvider")) {
      SAMOVAR_ASSIGN_OR_RETURN(key, Decrypted(key, property, configuration));
    }
    return WithKey(key, endpoint, property);
  }
  return absl::NotFoundError("");
}

absl::StatusOr<AzureAccess> FromIdentity(const AzureUri& uri, HttpClient* http, const std::string& identity_url) {
  const absl::StatusOr<HttpResponse> response = http->Send({.url = identity_url,
                                                            .headers = {"Metadata: true"},
                                                            .direct = true,
                                                            .connect_timeout = kIdentityTimeout,
                                                            .stall = kIdentityTimeout});
  if (response.ok() && MayPassLater(response->status)) {
    return absl::UnavailableError(absl::StrCat("this machine's identity: its end point answers ", response->status));
  }
  const bool answered = response.ok() && response->ok();
  const auto token = answered ? ParseJson(response->body) : absl::NotFoundError("");
  if (!token.ok() || JsonText(*token, "access_token").empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("there is no credential for the account ", uri.account,
                     ": set AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT with AZURE_STORAGE_KEY or "
                     "AZURE_STORAGE_SAS_TOKEN, or let HADOOP_CONF_DIR name the directory of a core-site.xml that has "
                     "fs.azure.account.key.",
                     uri.account, ".blob.core.windows.net; this machine has no identity of Azure's either"));
  }
  return AzureAccess{.kind = AzureAccess::Kind::kBearer,
                     .secret = JsonText(*token, "access_token"),
                     .endpoint = UsualEndpoint(uri),
                     .expires = SteadyNow() + absl::Seconds(JsonNumber(*token, "expires_in")) - kBeforeExpiry};
}

std::string HmacBase64(const std::string& key, const std::string& text) {
  unsigned char sum[EVP_MAX_MD_SIZE];
  unsigned int bytes = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()),
       text.size(), sum, &bytes);
  return absl::Base64Escape(absl::string_view(reinterpret_cast<const char*>(sum), bytes));
}

// "\nname:value" for each parameter, names in lower case and sorted, values decoded and joined by commas.
std::string CanonicalQuery(absl::string_view query) {
  std::map<std::string, std::vector<std::string>> values;
  for (const absl::string_view field : absl::StrSplit(query, '&', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> pair = absl::StrSplit(field, absl::MaxSplits('=', 1));
    values[absl::AsciiStrToLower(pair.first)].push_back(DecodeUrl(pair.second).value_or(std::string(pair.second)));
  }
  std::string canonical;
  for (auto& [name, all] : values) {
    std::sort(all.begin(), all.end());
    absl::StrAppend(&canonical, "\n", name, ":", absl::StrJoin(all, ","));
  }
  return canonical;
}

// The text that "Authorize with Shared Key" of Azure's REST reference has signed.
std::string StringToSign(const HttpRequest& request, absl::string_view account) {
  std::map<std::string, std::string> headers;
  for (const absl::string_view header : request.headers) {
    const std::pair<absl::string_view, absl::string_view> pair = absl::StrSplit(header, absl::MaxSplits(':', 1));
    headers[absl::AsciiStrToLower(pair.first)] = std::string(absl::StripAsciiWhitespace(pair.second));
  }
  std::string text = absl::StrCat(request.method, "\n");
  if (request.body.size() > 0) headers["content-length"] = absl::StrCat(request.body.size());
  // The date is in x-ms-date.
  for (const char* name : {"content-encoding", "content-language", "content-length", "content-md5", "content-type", "-",
                           "if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range"}) {
    absl::StrAppend(&text, headers[name], "\n");
  }
  for (const auto& [name, value] : headers) {
    if (absl::StartsWith(name, "x-ms-")) absl::StrAppend(&text, name, ":", value, "\n");
  }
  const absl::string_view url = request.url;
  const size_t path = url.find('/', url.find("://") + 3);
  const size_t query = url.find('?');
  absl::StrAppend(&text, "/", account, url.substr(path, query == absl::string_view::npos ? query : query - path));
  if (query != absl::string_view::npos) text += CanonicalQuery(url.substr(query + 1));
  return text;
}

}  // namespace

absl::StatusOr<AzureAccess> FindAzureAccess(const AzureUri& uri, const HadoopConfiguration& configuration,
                                            HttpClient* http, const std::string& identity_url) {
  absl::StatusOr<AzureAccess> access = FromEnvironment(uri);
  if (!absl::IsNotFound(access.status())) return access;
  access = FromConfiguration(uri, configuration);
  if (!absl::IsNotFound(access.status())) return access;
  return FromIdentity(uri, http, identity_url);
}

void AuthorizeAzureRequest(const AzureAccess& access, absl::string_view account, absl::Time now, HttpRequest* request) {
  request->headers.push_back(absl::StrCat("x-ms-version: ", kVersion));
  request->headers.push_back(
      absl::StrCat("x-ms-date: ", absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT", now, absl::UTCTimeZone())));
  switch (access.kind) {
    case AzureAccess::Kind::kSharedKey:
      request->headers.push_back(absl::StrCat("Authorization: SharedKey ", account, ":",
                                              HmacBase64(access.secret, StringToSign(*request, account))));
      break;
    case AzureAccess::Kind::kSas:
      absl::StrAppend(&request->url, absl::StrContains(request->url, '?') ? "&" : "?", access.secret);
      break;
    case AzureAccess::Kind::kBearer:
      request->headers.push_back(absl::StrCat("Authorization: Bearer ", access.secret));
      break;
  }
}

}  // namespace samovar
