#include "cli/yarn/resource_manager.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "cli/report/json_line.h"
#include "common/base/printable.h"
#include "common/base/status_macros.h"
#include "common/remote/json.h"

namespace samovar {
namespace {

using google::protobuf::Struct;

constexpr int kUsualPort = 8088;
constexpr int kUsualSecurePort = 8090;
constexpr size_t kMaxSaidBytes = 400;
constexpr char kServices[] = "/app/v1/services";

std::string UserName() {
  const char* user = std::getenv("HADOOP_USER_NAME");
  if (user != nullptr && *user != '\0') return user;
  const passwd* self = getpwuid(geteuid());
  return self != nullptr ? self->pw_name : absl::StrCat(geteuid());
}

// The web address of a resource manager; `suffix`: "" or ".ID". Empty: the configuration does not name it.
std::string WebAddress(const HadoopConfiguration& configuration, bool secure, const std::string& suffix) {
  const std::string key = absl::StrCat("yarn.resourcemanager.webapp.", secure ? "https." : "", "address", suffix);
  const std::string host = configuration.Get(absl::StrCat("yarn.resourcemanager.hostname", suffix));
  const std::string address = configuration.Get(key);
  const bool names_host = !address.empty() && !absl::StartsWith(address, "0.0.0.0:") && !absl::StartsWith(address, "$");
  if (names_host) return address;
  if (host.empty() || host == "0.0.0.0") return "";
  const size_t colon = address.rfind(':');
  return absl::StrCat(host, colon == std::string::npos ? absl::StrCat(":", secure ? kUsualSecurePort : kUsualPort)
                                                       : address.substr(colon));
}

bool IsStandby(const HttpResponse& response) {
  return (response.status >= 300 && response.status < 400) || absl::StrContains(response.body, "This is standby RM");
}

// The text that a node manager has put into a frame of its own; all of it if there is none.
std::string LogContents(std::string answer) {
  const std::string intro = "LogContents:\n";
  const size_t begin = answer.find(intro);
  const size_t end = answer.rfind("\nEnd of LogType:");
  if (begin == std::string::npos || end == std::string::npos || end < begin + intro.size() - 1) return answer;
  // The line break before the end is the node manager's; of an empty log it is that of the beginning.
  const size_t first = begin + intro.size();
  return answer.substr(first, end < first ? 0 : end - first);
}

// A service's name goes into a URL; YARN itself refuses others.
std::string ServicePath(const std::string& name) { return absl::StrCat(kServices, "/", EncodeUrlValue(name)); }

}  // namespace

absl::StatusOr<ResourceManagerAccess> FindResourceManager(const std::string& addresses,
                                                          const HadoopConfiguration& configuration) {
  ResourceManagerAccess access;
  access.negotiate = configuration.Get("hadoop.security.authentication") == "kerberos";
  if (!access.negotiate) access.user = UserName();
  const bool secure = configuration.Get("yarn.http.policy") == "HTTPS_ONLY";
  const std::string protocol = secure ? "https://" : "http://";
  for (const absl::string_view given : absl::StrSplit(addresses, ',', absl::SkipWhitespace())) {
    absl::string_view address = absl::StripAsciiWhitespace(given);
    while (absl::EndsWith(address, "/")) address.remove_suffix(1);
    access.origins.push_back(absl::StrContains(address, "://") ? std::string(address)
                                                               : absl::StrCat(protocol, address));
  }
  if (!access.origins.empty()) return access;
  for (const absl::string_view id :
       absl::StrSplit(configuration.Get("yarn.resourcemanager.ha.rm-ids"), ',', absl::SkipWhitespace())) {
    const std::string address = WebAddress(configuration, secure, absl::StrCat(".", absl::StripAsciiWhitespace(id)));
    if (!address.empty()) access.origins.push_back(protocol + address);
  }
  if (access.origins.empty()) {
    const std::string address = WebAddress(configuration, secure, "");
    if (!address.empty()) access.origins.push_back(protocol + address);
  }
  if (!access.origins.empty()) return access;
  return absl::InvalidArgumentError(
      "no resource manager is known: HADOOP_CONF_DIR (without it /etc/hadoop/conf) has no yarn-site.xml that names "
      "one; "
      "set it on a node or client of the cluster, or give --resource-manager HOST:8088");
}

absl::Status IsTaken(const std::string& name) {
  return absl::AlreadyExistsError(absl::StrCat("there is a service ", name, " already; end it with `samovar yarn stop ",
                                               name, "`, or choose another name"));
}

absl::StatusOr<HttpResponse> ResourceManager::Send(const std::string& method, const std::string& url,
                                                   absl::string_view body) {
  HttpRequest request = {.method = method, .url = url, .body = {.bytes = body}, .negotiate = access_.negotiate};
  if (!access_.user.empty()) {
    absl::StrAppend(&request.url, absl::StrContains(url, "?") ? "&" : "?", "user.name=", EncodeUrlValue(access_.user));
  }
  if (!body.empty()) request.headers.emplace_back("Content-Type: application/json");
  return http_.Send(request);
}

absl::StatusOr<HttpResponse> ResourceManager::AskOnce(const std::string& method, const std::string& path,
                                                      absl::string_view body) {
  absl::StatusOr<HttpResponse> response;
  for (const std::string& origin : access_.origins) {
    response = Send(method, origin + path, body);
    if (response.ok() && !IsStandby(*response)) return response;
    if (!response.ok() && !absl::IsUnavailable(response.status())) return response;
  }
  if (!response.ok()) return response;
  return absl::UnavailableError(absl::StrCat("no resource manager is active among ", access_.origins.size(),
                                             "; the last asked was ", access_.origins.back()));
}

absl::StatusOr<HttpResponse> ResourceManager::Ask(const std::string& method, const std::string& path,
                                                  absl::string_view body) {
  // Only what may be done twice is asked twice: a second launch would find the service of the first.
  if (method == "POST") return AskOnce(method, path, body);
  // With 500 YARN refuses for good what it does not like.
  std::optional<HttpResponse> refused;
  const auto attempt = [&](const RequestWatch&) -> absl::StatusOr<HttpResponse> {
    SAMOVAR_ASSIGN_OR_RETURN(HttpResponse response, AskOnce(method, path, body));
    if (response.status != 500) return response;
    refused = std::move(response);
    return absl::InternalError("refused");
  };
  const absl::StatusOr<HttpResponse> response = WithRetries(access_.retries, access_.origins.front(), attempt);
  if (refused.has_value()) return *std::move(refused);
  return response;
}

absl::Status ResourceManager::Failure(const std::string& name, const HttpResponse& response) const {
  const absl::StatusOr<Struct> object = ParseJson(response.body);
  std::string said = object.ok() ? JsonText(*object, "diagnostics") : "";
  if (said.empty() && object.ok()) said = JsonText(JsonObject(*object, "RemoteException"), "message");
  said = Printable(said, kMaxSaidBytes);
  const std::string text =
      absl::StrCat("service ", name, ": YARN answers ", response.status, said.empty() ? "" : ": ", said);
  if (response.status == 404 && !object.ok()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the resource manager at ", address(), " has no REST interface for services: set ",
        "yarn.webapp.api-service.enable to true in its yarn-site.xml, and restart it; or `samovar yarn launch "
        "--print` writes the specification for `yarn app -launch ",
        name, " FILE`"));
  }
  if (response.status == 404 || absl::StrContains(said, "doesn't exist")) {
    return absl::NotFoundError(
        absl::StrCat("there is no service ", name, access_.user.empty() ? "" : " of the user ", access_.user));
  }
  if (response.status == 401 || response.status == 403) return absl::PermissionDeniedError(text);
  if (absl::StrContains(said, "already ") || response.status == 409) {
    return IsTaken(name);
  }
  if (response.status == 400) return absl::InvalidArgumentError(text);
  // The resource manager asks the service's master, whose node may just have been lost.
  if (absl::StrContains(said, "ConnectException") || absl::StrContains(said, "failed on ")) {
    return absl::UnavailableError(absl::StrCat(
        text, ". The service's master does not answer; YARN starts another one when it has noticed, and containers go ",
        "on meanwhile"));
  }
  return absl::InternalError(text);
}

absl::Status ResourceManager::Launch(const std::string& name, const std::string& specification) {
  SAMOVAR_ASSIGN_OR_RETURN(const HttpResponse response, Ask("POST", kServices, specification));
  return response.ok() ? absl::OkStatus() : Failure(name, response);
}

absl::Status ResourceManager::Surprise(const std::string& name, const HttpResponse& response,
                                       absl::string_view expected) const {
  return absl::InternalError(
      absl::StrCat("service ", name, ": ", address(), " answers ", response.status, " without ", expected, " (",
                   response.body.empty() ? "nothing" : Printable(response.body, kMaxSaidBytes),
                   "); look whether YARN's resource manager is there, or name it: --resource-manager HOST:8088"));
}

absl::StatusOr<std::string> ResourceManager::Describe(const std::string& name) {
  SAMOVAR_ASSIGN_OR_RETURN(HttpResponse response, Ask("GET", ServicePath(name), ""));
  if (!response.ok()) return Failure(name, response);
  const absl::StatusOr<Struct> service = ParseJson(response.body);
  if (!service.ok() || JsonText(*service, "name") != name) return Surprise(name, response, "a service of this name");
  return std::move(response.body);
}

absl::StatusOr<Struct> ResourceManager::DescribeParsed(const std::string& name) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string text, Describe(name));
  return ParseJson(text);
}

absl::Status ResourceManager::SetCount(const std::string& name, const std::string& component, int containers) {
  const std::string body =
      JsonLine().Text("name", component).Integer("number_of_containers", static_cast<uint64_t>(containers)).Finish();
  SAMOVAR_ASSIGN_OR_RETURN(
      const HttpResponse response,
      Ask("PUT", absl::StrCat(ServicePath(name), "/components/", EncodeUrlValue(component)), body));
  return response.ok() ? absl::OkStatus() : Failure(name, response);
}

absl::Status ResourceManager::Destroy(const std::string& name) {
  SAMOVAR_ASSIGN_OR_RETURN(const HttpResponse response, Ask("DELETE", ServicePath(name), ""));
  if (!response.ok()) return Failure(name, response);
  // "Successfully destroyed service lenet"
  const absl::StatusOr<Struct> said = ParseJson(response.body);
  const bool is_done = said.ok() && absl::StrContains(JsonText(*said, "diagnostics"), name);
  return is_done ? absl::OkStatus() : Surprise(name, response, "a word that the service has ended");
}

absl::StatusOr<Struct> ResourceManager::AskForObject(const std::string& path) {
  SAMOVAR_ASSIGN_OR_RETURN(const HttpResponse response, Ask("GET", path, ""));
  absl::StatusOr<Struct> object = ParseJson(response.body);
  if (response.ok() && object.ok()) return object;
  return absl::InternalError(
      absl::StrCat("the resource manager at ", address(), " answers ", response.status, " to ", path));
}

absl::StatusOr<std::vector<YarnContainer>> ResourceManager::Containers(const Struct& description) {
  std::vector<YarnContainer> containers;
  for (const Struct& component : JsonObjects(description, "components")) {
    for (const Struct& container : JsonObjects(component, "containers")) {
      YarnContainer& added = containers.emplace_back();
      added.id = JsonText(container, "id");
      added.instance = JsonText(container, "component_instance_name");
      added.state = JsonText(container, "state");
      added.host = JsonText(container, "bare_host");
    }
  }
  std::sort(containers.begin(), containers.end(),
            [](const YarnContainer& a, const YarnContainer& b) { return a.instance < b.instance; });
  if (containers.empty()) return containers;
  // Services name hosts only; there may be several node managers on one.
  const std::string application = absl::StrCat("/ws/v1/cluster/apps/", JsonText(description, "id"), "/appattempts");
  SAMOVAR_ASSIGN_OR_RETURN(const Struct attempts, AskForObject(application));
  std::map<std::string, std::string> urls;
  for (const Struct& attempt : JsonObjects(JsonObject(attempts, "appAttempts"), "appAttempt")) {
    const std::string id = JsonText(attempt, "appAttemptId");
    SAMOVAR_ASSIGN_OR_RETURN(const Struct found, AskForObject(absl::StrCat(application, "/", id, "/containers")));
    for (const Struct& container : JsonObjects(found, "container")) {
      urls[JsonText(container, "containerId")] = JsonText(container, "nodeHttpAddress");
    }
  }
  for (YarnContainer& container : containers) container.node_url = urls[container.id];
  return containers;
}

absl::StatusOr<std::string> ResourceManager::Log(const YarnContainer& container, const std::string& file,
                                                 uint64_t bytes) {
  if (container.node_url.empty()) {
    return absl::NotFoundError(absl::StrCat(container.instance, " (", container.id, "): its node is not known"));
  }
  const std::string node =
      absl::StrContains(container.node_url, "://") ? container.node_url : absl::StrCat("http://", container.node_url);
  // A negative size: from the end.
  const std::string url =
      absl::StrCat(node, "/ws/v1/node/containers/", container.id, "/logs/", EncodeUrlValue(file), "?size=-", bytes);
  SAMOVAR_ASSIGN_OR_RETURN(HttpResponse response, Send("GET", url, ""));
  if (response.ok()) return LogContents(std::move(response.body));
  return absl::NotFoundError(absl::StrCat(container.instance, ": its node manager at ", HttpOrigin(url), " answers ",
                                          response.status, " for ", file));
}

}  // namespace samovar
