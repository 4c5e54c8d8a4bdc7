#include "cli/yarn/service_spec.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "cli/report/json_line.h"
#include "common/base/version.h"

namespace samovar {
namespace {

// The instance "server-0", the service and the user make up a host's name of 63 characters.
constexpr size_t kMaxNameBytes = 40;
// Parts of a container's memory, in percent: what a server holds of models, beside copies and buffers.
constexpr uint64_t kParameterPercent = 60;
// More containers than a service has.
constexpr uint64_t kAnyCount = 100000;

// The start script starts programs again; YARN gives a container that has ended another place, and by default ends the
// service after the tenth.
constexpr std::pair<const char*, const char*> kProperties[] = {
    {"yarn.service.container-failure.retry.max", "0"},
    {"yarn.service.container-failure-per-component.threshold", "1000000"},
    // A master that was started again waits so long for its predecessor's containers before it asks for new ones. The
    // default is two minutes, in which nothing of a lost node is replaced.
    {"yarn.service.container-recovery.timeout.ms", "10000"},
    // After so many containers that failed there within six hours a node gets no more. By default they are three, which
    // containers that YARN itself takes away can be, and a small cluster may have no other node.
    {"yarn.service.node-blacklist.threshold", "10"},
    {"yarn.service.readiness-check-interval.seconds", "5"},
    {"yarn.service.rolling-log.include-pattern", ".*"},
};

// Neither a shell within double quotes nor YARN's replacement of ${...} sees anything special in these.
bool PassesThroughShell(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains("._~:/@%+,=-", c);
  });
}

bool IsName(absl::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes && absl::ascii_islower(static_cast<unsigned char>(name[0])) &&
         name.back() != '-' && std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_islower(static_cast<unsigned char>(c)) ||
                  absl::ascii_isdigit(static_cast<unsigned char>(c)) || c == '-';
         });
}

std::string List(const std::vector<std::string>& json) { return absl::StrCat("[", absl::StrJoin(json, ","), "]"); }

std::string FileName(const std::string& uri) { return uri.substr(uri.rfind('/') + 1); }

std::string File(const std::string& type, const std::string& source, const std::string& name) {
  return JsonLine().Text("type", type).Text("src_file", source).Text("dest_file", name).Finish();
}

// Constraints may name the component itself alone.
std::string Placement(JsonLine constraint, const std::string& component) {
  constraint.Text("scope", "NODE").Raw("target_tags", List({JsonString(component)}));
  return JsonLine().Raw("constraints", List({constraint.Finish()})).Finish();
}

// No two containers of the component on one node: one more reason for the coordinator to be one of the servers.
std::string Apart(const std::string& component) {
  return Placement(JsonLine().Text("type", "ANTI_AFFINITY"), component);
}

// Any number of them. Where one component has a constraint and another has none, the resource manager fails at each
// container that it is to replace (a null pointer in 3.3).
std::string Anywhere(const std::string& component) {
  return Placement(JsonLine()
                       .Text("type", "AFFINITY_WITH_CARDINALITY")
                       .Integer("min_cardinality", 0)
                       .Integer("max_cardinality", kAnyCount),
                   component);
}

struct Role {
  std::string component;
  int containers = 0;
  int cpus = 0;
  uint64_t memory = 0;
  // Arguments of the start script behind the home.
  std::string flags;
  // Empty: none.
  std::string placement;
};

std::string Component(const ServicePlan& plan, const Role& role) {
  JsonLine line;
  line.Text("name", role.component)
      .Integer("number_of_containers", static_cast<uint64_t>(role.containers))
      .Text("restart_policy", "ALWAYS")
      .Raw("resource", JsonLine()
                           .Integer("cpus", static_cast<uint64_t>(role.cpus))
                           .Text("memory", absl::StrCat(role.memory))
                           .Finish())
      .Text("launch_command", absl::StrCat("sh samovar/*/deploy/yarn/container.sh ", role.component,
                                           // YARN puts the instance's number here.
                                           " ${COMPONENT_ID} ", plan.home, role.flags))
      .Raw("readiness_check", JsonLine().Text("type", "DEFAULT").Finish());
  if (!role.placement.empty()) line.Raw("placement_policy", role.placement);
  return line.Finish();
}

std::vector<std::string> Components(const ServicePlan& plan) {
  const std::string server_flags = absl::StrCat(" --apply-threads ", plan.server_cpus, " --parameter-memory ",
                                                std::max<uint64_t>(1, plan.server_memory * kParameterPercent / 100),
                                                plan.allow_plaintext ? " --allow-plaintext" : "");
  const Role server = {kServerComponent,   plan.servers, plan.server_cpus,
                       plan.server_memory, server_flags, plan.spread ? Apart(kServerComponent) : ""};
  Role worker = {kWorkerComponent,   plan.workers, plan.worker_cpus,
                 plan.worker_memory, "",           plan.spread ? Anywhere(kWorkerComponent) : ""};
  worker.flags = absl::StrCat(" --threads ", plan.worker_cpus);
  if (plan.cache_bytes > 0) absl::StrAppend(&worker.flags, " --cache cache --cache-bytes ", plan.cache_bytes);
  return {Component(plan, server), Component(plan, worker)};
}

}  // namespace

absl::Status CheckServicePlan(const ServicePlan& plan) {
  if (!IsName(plan.name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", plan.name, "\" is no name of a YARN service: small letters, digits and \"-\", a letter ",
                     "first, ", kMaxNameBytes, " characters at most"));
  }
  std::vector<std::pair<std::string, std::string>> uris = {{"--home", plan.home}, {"--bundle", plan.bundle}};
  for (const std::string& file : plan.configuration) uris.emplace_back("--hadoop-conf", file);
  for (const auto& [flag, uri] : uris) {
    if (PassesThroughShell(uri)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(flag, " ", uri, ": YARN gives it to a shell; use letters, digits and ._~:/@%+,=- only"));
  }
  return absl::OkStatus();
}

absl::Status CheckPlaintext(const ServicePlan& plan) {
  if (plan.allow_plaintext) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "the containers talk to each other in plain text, over the nodes' network: accept that with --allow-plaintext");
}

std::string ServiceSpecification(const ServicePlan& plan) {
  JsonLine properties;
  for (const auto& [name, value] : kProperties) properties.Text(name, value);
  // A node unpacks the bundle once for all of its containers, as the directory "samovar" in each one's own.
  std::vector<std::string> files = {File("ARCHIVE", plan.bundle, "samovar")};
  for (const std::string& file : plan.configuration) files.push_back(File("STATIC", file, FileName(file)));
  JsonLine service;
  service.Text("name", plan.name)
      .Text("version", std::string(Version()))
      .Text("description", absl::StrCat("Samovar, a cluster whose home is ", plan.home));
  if (!plan.queue.empty()) service.Text("queue", plan.queue);
  if (!plan.principal.empty()) {
    service.Raw("kerberos_principal",
                JsonLine().Text("principal_name", plan.principal).Text("keytab", plan.keytab).Finish());
  }
  if (plan.lifetime_seconds.has_value()) service.Integer("lifetime", *plan.lifetime_seconds);
  return service
      .Raw("configuration", JsonLine().Raw("properties", properties.Finish()).Raw("files", List(files)).Finish())
      .Raw("components", List(Components(plan)))
      .Finish();
}

}  // namespace samovar
