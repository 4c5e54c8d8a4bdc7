// `samovar yarn train`: a job in a service of its own, from its launch to the model in storage.
#include <poll.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "cli/check/check_job.h"
#include "cli/choose_reporter.h"
#include "cli/commands.h"
#include "cli/report/exit_codes.h"
#include "cli/report/json_line.h"
#include "cli/report/status_table.h"
#include "cli/run/follow_job.h"
#include "cli/run/interruption.h"
#include "cli/run/waker.h"
#include "cli/submit_job.h"
#include "cli/yarn/launch.h"
#include "cli/yarn/resource_manager.h"
#include "common/base/clock.h"
#include "common/base/printable.h"
#include "common/base/status_macros.h"
#include "common/remote/json.h"

namespace samovar {
namespace {

// A busy cluster lets a service wait; whoever has no patience interrupts.
constexpr absl::Duration kLaunchPatience = absl::Minutes(30);
constexpr absl::Duration kTick = absl::Seconds(1);
// Ticks between two looks at the service itself.
constexpr int kServiceTicks = 5;

// "lenet_iter" -> "lenet-iter": as YARN takes names.
std::string ServiceName(const std::string& job_id) {
  std::string name;
  for (const char c : job_id) {
    const bool passes = absl::ascii_isalnum(static_cast<unsigned char>(c));
    name += passes ? absl::ascii_tolower(static_cast<unsigned char>(c)) : '-';
  }
  while (!name.empty() && name.back() == '-') name.pop_back();
  const bool begins_well = !name.empty() && absl::ascii_isalpha(static_cast<unsigned char>(name[0]));
  return begins_well ? name : absl::StrCat("job-", absl::StripPrefix(name, "-"));
}

class YarnTraining {
 public:
  YarnTraining(const YarnTrainOptions& options, Waker* waker, const Interruption* interruption)
      : options_(options), waker_(*waker), interruption_(*interruption), reporter_(ChooseReporter(options.json)) {}

  // The command's exit code.
  int Run() {
    if (const absl::Status status = Prepare(); !status.ok()) return Failed(status, kExitUsage);
    if (const absl::Status status = Launch(); !status.ok()) return Failed(status, LaunchCode(status));
    const int code = Train();
    if (code != kExitOk && interruption_.signal() != 0) return AfterInterruption();
    if (!options_.keep && !holds_result_) {
      End();
    } else if (code != kExitOk) {
      PrintWarning(
          absl::StrCat("service ", plan_.name, " goes on, since it holds what could not be brought. ", NextSteps()));
    }
    return code;
  }

 private:
  // Everything that can be known to be wrong, before anything is begun.
  absl::Status Prepare() {
    SAMOVAR_RETURN_IF_ERROR(CheckPlaintext(options_.plan));
    SAMOVAR_ASSIGN_OR_RETURN(configuration_, HadoopConfiguration::Load());
    SAMOVAR_ASSIGN_OR_RETURN(const ResourceManagerAccess access,
                             FindResourceManager(options_.resource_manager, configuration_));
    manager_ = std::make_unique<ResourceManager>(access);
    SAMOVAR_ASSIGN_OR_RETURN(
        job_, CheckJob(options_.solver, {options_.weights, options_.snapshot, options_.resume, options_.restore},
                       options_.choice));
    for (const std::string& warning : job_.warnings) PrintWarning(warning);
    if (!options_.name.empty()) job_.spec.set_job_id(options_.name);
    job_id_ = job_.spec.job_id();
    const std::string output(absl::StripSuffix(options_.output, "/"));
    export_.job = job_id_;
    export_.output = absl::StrCat(output, "/", job_id_, ".caffemodel");
    export_.force = options_.force;
    export_.json = options_.json;
    export_.storage = options_.storage;
    SAMOVAR_RETURN_IF_ERROR(CheckModelOutput(export_));
    if (options_.features.empty()) return absl::OkStatus();
    features_.files.model = options_.features_model.empty() ? job_.train_origin.file : options_.features_model;
    features_.files.weights = export_.output;
    features_.files.storage = options_.storage;
    features_.files.state = options_.choice.state;
    features_.blobs = options_.features;
    features_.label = options_.label;
    features_.output = absl::StrCat(output, "/features");
    features_.threads = options_.threads;
    features_.force = options_.force;
    if (!options_.storage.Exists(features_.files.model)) {
      return absl::NotFoundError(absl::StrCat("the net of the features, ", features_.files.model,
                                              ", is no file; name one with --features-model"));
    }
    if (options_.force || !options_.storage.Exists(absl::StrCat(features_.output, "/features.jsonl"))) {
      return absl::OkStatus();
    }
    return absl::AlreadyExistsError(
        absl::StrCat(features_.output, "/features.jsonl: exists already; --force replaces it"));
  }

  absl::Status Launch() {
    plan_ = options_.plan;
    plan_.name = ServiceName(job_id_);
    SAMOVAR_ASSIGN_OR_RETURN(
        plan_, LaunchService(plan_, options_.hadoop_conf, configuration_, options_.storage, manager_.get()));
    Tell("launched", absl::StrCat("service ", plan_.name, " was launched; its home is ", plan_.home));
    return absl::OkStatus();
  }

  // Whether anything was begun. What YARN refuses was not.
  static int LaunchCode(const absl::Status& status) {
    const bool is_usage = absl::IsInvalidArgument(status) || absl::IsNotFound(status) ||
                          absl::IsFailedPrecondition(status) || absl::IsAlreadyExists(status);
    return is_usage ? kExitUsage : kExitFailed;
  }

  // From the service's launch to the features.
  int Train() {
    SubmitOptions submit;
    static_cast<JobOptions&>(submit) = options_;
    submit.coordinator = plan_.home;
    submit.storage = options_.storage;
    submit.json = options_.json;
    submit.watch = true;
    submit.servers = options_.resume ? std::optional<int>() : plan_.servers;
    const JobClient client(submit, /*is_patient=*/true);
    if (const absl::Status status = AwaitServers(client); !status.ok()) return Failed(status, kExitFailed);
    int code = kExitFailed;
    const absl::StatusOr<std::string> id = SubmitChecked(submit, std::move(job_), client, &code);
    if (!id.ok()) return Failed(id.status(), code);
    submitted_ = true;
    holds_result_ = true;
    const absl::Status followed = Follow(client, *id);
    if (absl::IsCancelled(followed) && interruption_.signal() != 0) return kExitFailed;
    // The job has failed, or was cancelled.
    if (absl::IsAborted(followed)) holds_result_ = false;
    if (!followed.ok()) return Failed(Annotate(followed, absl::StrCat("job ", *id)), kExitFailed);
    const absl::Status exported = ExportModelOf(export_, client, &waker_, interruption_, reporter_.get());
    if (!exported.ok()) return Failed(exported, kExitFailed);
    holds_result_ = false;
    return options_.features.empty() ? kExitOk : RunFeatures(features_);
  }

  // Until the job has ended. A coordinator whose node is lost comes back when YARN has noticed, ten minutes later.
  absl::Status Follow(const JobClient& client, const std::string& id) {
    while (true) {
      const absl::Status status = FollowJob(client, id, reporter_.get(), &waker_, interruption_);
      if (!absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status)) return status;
      PrintWarning(absl::StrCat(status.message(), "; waits until YARN has started it again"));
      SAMOVAR_RETURN_IF_ERROR(AwaitServers(client));
    }
  }

  // Workers may come later; servers must be as many as are to share the model.
  absl::Status AwaitServers(const JobClient& client) {
    const absl::Time deadline = SteadyNow() + kLaunchPatience;
    for (int tick = 0; SteadyNow() < deadline; ++tick) {
      if (interruption_.signal() != 0) return absl::CancelledError("interrupted");
      const absl::StatusOr<v1::ClusterStatus> cluster = client.ClusterStatus();
      if (cluster.ok() && LiveServers(*cluster) >= plan_.servers) {
        Tell("ready", absl::StrCat(plan_.servers, plan_.servers == 1 ? " server runs" : " servers run"));
        return absl::OkStatus();
      }
      if (tick % kServiceTicks == 0) SAMOVAR_RETURN_IF_ERROR(CheckService());
      waker_.Wait(SteadyNow() + kTick);
    }
    return absl::DeadlineExceededError(absl::StrCat("service ", plan_.name, ": its ", plan_.servers,
                                                    " servers did not run in ", absl::FormatDuration(kLaunchPatience),
                                                    "; has YARN room for them?"));
  }

  absl::Status CheckService() {
    const absl::StatusOr<google::protobuf::Struct> service = manager_->DescribeParsed(plan_.name);
    // It may be busy; the wait has an end.
    if (absl::IsUnavailable(service.status())) return absl::OkStatus();
    SAMOVAR_RETURN_IF_ERROR(service.status());
    const std::string state = JsonText(*service, "state");
    if (state != "FAILED" && state != "STOPPED" && state != "SUCCEEDED") return absl::OkStatus();
    return absl::AbortedError(
        absl::StrCat("service ", plan_.name, " is ", state, ": ", Printable(JsonText(*service, "diagnostics"), 1000)));
  }

  // A service without a job has nothing to lose; about another the user is asked, once.
  int AfterInterruption() {
    const bool ends = !submitted_ || (isatty(STDIN_FILENO) != 0 && isatty(STDERR_FILENO) != 0 && AsksToEnd());
    if (ends) {
      End();
    } else {
      PrintWarning(
          absl::StrCat("no longer watched; job ", job_id_, " goes on in service ", plan_.name, ". ", NextSteps()));
    }
    return kExitSignal + interruption_.signal();
  }

  std::string NextSteps() const {
    return absl::StrCat("Next: samovar watch ", job_id_, " ", plan_.home, "; samovar model export ", job_id_, " ",
                        plan_.home, " --output ", export_.output, "; samovar yarn stop ", plan_.name);
  }

  // A second interrupt, and an end of the input, are a no.
  bool AsksToEnd() {
    std::cerr << "\nEnd service " << plan_.name << " as well? Its snapshots stay in " << plan_.home << " [y/N] "
              << std::flush;
    while (!interruption_.hurry()) {
      waker_.Wait(SteadyNow() + kTick, STDIN_FILENO);
      pollfd input = {STDIN_FILENO, POLLIN, 0};
      if (poll(&input, 1, 0) <= 0) continue;
      char answer = 'n';
      return read(STDIN_FILENO, &answer, 1) == 1 && (answer == 'y' || answer == 'Y');
    }
    return false;
  }

  void End() {
    const absl::Status ended = manager_->Destroy(plan_.name);
    if (ended.ok()) return Tell("stopped", absl::StrCat("service ", plan_.name, " has ended"));
    PrintWarning(absl::StrCat(ended.message(), "; end it with: samovar yarn stop ", plan_.name));
  }

  // On a terminal and in a log beside the reporter's own lines: standard error.
  void Tell(const std::string& event, const std::string& text) const {
    if (options_.json) {
      std::cout << JsonLine().Text("event", event).Text("service", plan_.name).Text("home", plan_.home).Finish()
                << std::endl;
    } else {
      std::cerr << text << std::endl;
    }
  }

  int Failed(const absl::Status& status, int code) {
    if (interruption_.signal() != 0 && absl::IsCancelled(status)) return code;
    if (options_.json) reporter_->Failed(std::string(status.message()));
    PrintError(status.message());
    return code;
  }

  const YarnTrainOptions& options_;
  Waker& waker_;
  const Interruption& interruption_;
  const std::unique_ptr<TrainReporter> reporter_;
  HadoopConfiguration configuration_;
  std::unique_ptr<ResourceManager> manager_;
  CheckedJob job_;
  std::string job_id_;
  ServicePlan plan_;
  ModelExportOptions export_;
  FeaturesOptions features_;
  bool submitted_ = false;
  // The service has a job whose model has not been brought.
  bool holds_result_ = false;
};

}  // namespace

int RunYarnTrain(const YarnTrainOptions& options) {
  Waker waker;
  // Before anything that starts a thread.
  // What waits for a storage hears of it at once.
  const Interruption interruption(&waker, /*takes_hangups=*/false, [&](int) {
    options.storage.Stop();
    options.choice.storage.Stop();
  });
  return YarnTraining(options, &waker, &interruption).Run();
}

}  // namespace samovar
