// `samovar yarn`: a cluster of Samovar that YARN places, restarts and scales.
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/report/exit_codes.h"
#include "cli/report/json_line.h"
#include "cli/yarn/launch.h"
#include "cli/yarn/resource_manager.h"
#include "cli/yarn/service_table.h"
#include "common/base/status_macros.h"
#include "common/remote/json.h"

namespace samovar {
namespace {

using google::protobuf::Struct;

int Ended(const absl::Status& status) {
  if (status.ok()) return kExitOk;
  PrintError(status.message());
  const bool is_usage = absl::IsInvalidArgument(status) || absl::IsNotFound(status) ||
                        absl::IsFailedPrecondition(status) || absl::IsAlreadyExists(status);
  return is_usage ? kExitUsage : kExitFailed;
}

absl::StatusOr<std::unique_ptr<ResourceManager>> Connect(const YarnOptions& options) {
  SAMOVAR_ASSIGN_OR_RETURN(const HadoopConfiguration configuration, HadoopConfiguration::Load());
  SAMOVAR_ASSIGN_OR_RETURN(const ResourceManagerAccess access,
                           FindResourceManager(options.resource_manager, configuration));
  return std::make_unique<ResourceManager>(access);
}

absl::Status Launch(const YarnLaunchOptions& options) {
  SAMOVAR_ASSIGN_OR_RETURN(const HadoopConfiguration configuration, HadoopConfiguration::Load());
  ServicePlan plan = options.plan;
  plan.name = options.name;
  SAMOVAR_RETURN_IF_ERROR(CheckPlaintext(plan));
  if (options.print) {
    SAMOVAR_ASSIGN_OR_RETURN(
        plan, CompletePlan(std::move(plan), options.hadoop_conf, configuration, options.storage, /*dry=*/true));
    if (!options.plan.bundle.empty() && options.plan.bundle == plan.bundle) {
      std::cout << ServiceSpecification(plan) << "\n";
      return absl::OkStatus();
    }
    PrintWarning(absl::StrCat("nothing was put into storage; before a launch: samovar fs cp ",
                              plan.bundle.substr(plan.bundle.rfind('/') + 1), " ", plan.bundle));
    std::cout << ServiceSpecification(plan) << "\n";
    return absl::OkStatus();
  }
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<ResourceManager> manager, Connect(options));
  SAMOVAR_ASSIGN_OR_RETURN(plan,
                           LaunchService(plan, options.hadoop_conf, configuration, options.storage, manager.get()));
  if (options.json) {
    std::cout << JsonLine()
                     .Text("event", "launched")
                     .Text("service", plan.name)
                     .Text("home", plan.home)
                     .Text("bundle", plan.bundle)
                     .Finish()
              << std::endl;
    return absl::OkStatus();
  }
  std::cout << "service " << plan.name << " was launched; its home is " << plan.home << "\n"
            << "  its containers:  samovar yarn status " << plan.name << "\n"
            << "  its cluster:     samovar status " << plan.home << "\n"
            << "  a job:           samovar submit " << plan.home << " --solver SOLVER --watch\n"
            << "  its end:         samovar yarn stop " << plan.name << std::endl;
  return absl::OkStatus();
}

absl::Status ShowStatus(const YarnStatusOptions& options) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<ResourceManager> manager, Connect(options));
  if (options.json) {
    SAMOVAR_ASSIGN_OR_RETURN(const std::string text, manager->Describe(options.name));
    std::cout << text << (absl::EndsWith(text, "\n") ? "" : "\n");
    return absl::OkStatus();
  }
  SAMOVAR_ASSIGN_OR_RETURN(const Struct description, manager->DescribeParsed(options.name));
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<YarnContainer> containers, manager->Containers(description));
  std::cout << ServiceTable(description, containers);
  return absl::OkStatus();
}

// Gives a component another number of containers.
absl::Status FlexComponent(const YarnFlexOptions& options, const std::string& component, int wanted, int before,
                           ResourceManager* manager) {
  if (wanted != before) SAMOVAR_RETURN_IF_ERROR(manager->SetCount(options.name, component, wanted));
  if (options.json) {
    std::cout << JsonLine()
                     .Text("event", "flexed")
                     .Text("component", component)
                     .Integer("before", static_cast<uint64_t>(before))
                     .Integer("wanted", static_cast<uint64_t>(wanted))
                     .Finish()
              << std::endl;
  } else {
    std::cout << component << ": " << before << " -> " << wanted << " containers" << std::endl;
  }
  return absl::OkStatus();
}

absl::Status Flex(const YarnFlexOptions& options) {
  if (!options.workers.has_value() && !options.servers.has_value()) {
    return absl::InvalidArgumentError("nothing is to be changed: give --workers N, --servers N or both");
  }
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<ResourceManager> manager, Connect(options));
  SAMOVAR_ASSIGN_OR_RETURN(const Struct description, manager->DescribeParsed(options.name));
  const int workers = WantedContainers(description, kWorkerComponent);
  const int servers = WantedContainers(description, kServerComponent);
  if (workers < 0 || servers < 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "service ", options.name, " has not the components ", kServerComponent, " and ", kWorkerComponent,
        " (yet): it is being launched, or is none of Samovar; see `samovar yarn status ", options.name, "`"));
  }
  // YARN takes the container away within a quarter of a second, and the share of the model in it.
  if (options.servers.has_value() && *options.servers < servers) {
    return absl::FailedPreconditionError(absl::StrCat("service ", options.name, " has ", servers,
                                                      " servers, which hold its jobs' models; servers are only added"));
  }
  if (options.servers.has_value()) {
    SAMOVAR_RETURN_IF_ERROR(FlexComponent(options, kServerComponent, *options.servers, servers, manager.get()));
  }
  if (!options.workers.has_value()) return absl::OkStatus();
  return FlexComponent(options, kWorkerComponent, *options.workers, workers, manager.get());
}

// Hadoop's own client takes this process's place.
absl::Status ShowCollected(const std::string& application) {
  std::cout.flush();
  execlp("yarn", "yarn", "logs", "-applicationId", application.c_str(), nullptr);
  return absl::FailedPreconditionError(absl::StrCat("Hadoop's client `yarn` cannot be started (", std::strerror(errno),
                                                    "); on a machine that has it: yarn logs ", "-applicationId ",
                                                    application));
}

absl::Status ShowLogs(const YarnLogsOptions& options) {
  if (!options.application.empty()) return ShowCollected(options.application);
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<ResourceManager> manager, Connect(options));
  SAMOVAR_ASSIGN_OR_RETURN(const Struct description, manager->DescribeParsed(options.name));
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<YarnContainer> containers, manager->Containers(description));
  int shown = 0;
  absl::Status failure;
  for (const YarnContainer& container : containers) {
    if (!IsInstanceOf(container.instance, options.instance)) continue;
    ++shown;
    const absl::StatusOr<std::string> text = manager->Log(container, options.file, options.bytes);
    if (!text.ok()) {
      PrintWarning(text.status().message());
      failure = text.status();
      continue;
    }
    if (options.json) {
      std::cout << JsonLine()
                       .Text("instance", container.instance)
                       .Text("container", container.id)
                       .Text("host", container.host)
                       .Text("file", options.file)
                       .Text("text", *text)
                       .Finish()
                << "\n";
      continue;
    }
    std::cout << "==> " << container.instance << " (" << container.id << " on " << container.host << ") "
              << options.file << " <==\n"
              << *text << (text->empty() || absl::EndsWith(*text, "\n") ? "" : "\n");
  }
  if (shown > 0) return failure.ok() ? failure : absl::UnavailableError("not all logs could be read");
  return absl::NotFoundError(absl::StrCat("service ", options.name, " has no container",
                                          options.instance.empty() ? "" : absl::StrCat(" of ", options.instance),
                                          " now; those that have ended: samovar yarn logs ", options.name,
                                          " --application ", JsonText(description, "id")));
}

absl::Status Stop(const YarnStopOptions& options) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<ResourceManager> manager, Connect(options));
  SAMOVAR_RETURN_IF_ERROR(manager->Destroy(options.name));
  if (options.json) {
    std::cout << JsonLine().Text("event", "stopped").Text("service", options.name).Finish() << std::endl;
  } else {
    std::cout << "service " << options.name << " has ended; its home keeps its jobs and snapshots" << std::endl;
  }
  return absl::OkStatus();
}

}  // namespace

int RunYarnLaunch(const YarnLaunchOptions& options) { return Ended(Launch(options)); }
int RunYarnStatus(const YarnStatusOptions& options) { return Ended(ShowStatus(options)); }
int RunYarnFlex(const YarnFlexOptions& options) { return Ended(Flex(options)); }
int RunYarnLogs(const YarnLogsOptions& options) { return Ended(ShowLogs(options)); }
int RunYarnStop(const YarnStopOptions& options) { return Ended(Stop(options)); }

}  // namespace samovar
