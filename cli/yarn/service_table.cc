#include "cli/yarn/service_table.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/printable.h"
#include "common/remote/json.h"

namespace samovar {
namespace {

using google::protobuf::Struct;

constexpr size_t kMaxSaidBytes = 1000;

int Ready(const std::string& component, const std::vector<YarnContainer>& containers) {
  return static_cast<int>(std::count_if(containers.begin(), containers.end(), [&](const YarnContainer& container) {
    return container.state == "READY" && IsInstanceOf(container.instance, component);
  }));
}

}  // namespace

bool IsInstanceOf(const std::string& instance, const std::string& wanted) {
  if (wanted.empty() || instance == wanted) return true;
  return absl::StartsWith(instance, absl::StrCat(wanted, "-")) &&
         instance.find_first_not_of("0123456789", wanted.size() + 1) == std::string::npos;
}

int WantedContainers(const Struct& description, const std::string& component) {
  for (const Struct& found : JsonObjects(description, "components")) {
    if (JsonText(found, "name") == component) return static_cast<int>(JsonNumber(found, "number_of_containers"));
  }
  return -1;
}

std::string ServiceTable(const Struct& description, const std::vector<YarnContainer>& containers) {
  std::string text = absl::StrCat("service ", Printable(JsonText(description, "name")), " (",
                                  Printable(JsonText(description, "id")), "): ", JsonText(description, "state"), "\n");
  const std::string diagnostics = JsonText(description, "diagnostics");
  if (!diagnostics.empty()) absl::StrAppend(&text, Printable(diagnostics, kMaxSaidBytes), "\n");
  const std::vector<Struct> components = JsonObjects(description, "components");
  if (components.empty()) return absl::StrCat(text, "its master has not answered yet\n");
  absl::StrAppendFormat(&text, "\n%-14s %6s %6s %6s %8s  %s\n", "component", "ready", "wanted", "cpus", "MiB", "state");
  for (const Struct& component : components) {
    const std::string name = JsonText(component, "name");
    const Struct& resource = JsonObject(component, "resource");
    absl::StrAppendFormat(&text, "%-14s %6d %6d %6d %8d  %s\n", Printable(name), Ready(name, containers),
                          JsonNumber(component, "number_of_containers"), JsonNumber(resource, "cpus"),
                          JsonNumber(resource, "memory"), JsonText(component, "state"));
  }
  absl::StrAppendFormat(&text, "\n%-14s %-20s %-28s %s\n", "instance", "state", "host", "container");
  for (const YarnContainer& container : containers) {
    absl::StrAppendFormat(&text, "%-14s %-20s %-28s %s\n", Printable(container.instance), Printable(container.state),
                          Printable(container.host), Printable(container.id));
  }
  return text;
}

}  // namespace samovar
