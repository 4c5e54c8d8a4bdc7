#include "config/server_flags.h"

#include "config/command_line.h"

namespace samovar {
namespace {

// Their list is one message.
constexpr int kMaxEndedJobs = 1000;
constexpr int kMaxMebibytes = 1 << 30;

constexpr char kServerDescription[] =
    "Holds a share of the parameters of training jobs, applies the solver to the gradients that workers push,\n"
    "and keeps snapshots. One server of a cluster is its coordinator: it runs the jobs and hands out the work.";
constexpr char kExamples[] =
    "Examples:\n"
    "  samovar-server --coordinator --listen 127.0.0.1:7100 --state /var/lib/samovar/0\n"
    "  samovar-server --join 127.0.0.1:7100 --state /var/lib/samovar/1\n"
    "  samovar-server --coordinator --home hdfs:///samovar/home --listen 10.0.0.4:7100 --allow-plaintext --state "
    "/var/lib/samovar/0\n"
    "  samovar-server --join hdfs:///samovar/home --listen 0.0.0.0:7100 --allow-plaintext --state /var/lib/samovar/1\n"
    "  samovar-server --config server.toml\n"
    "where server.toml holds the same names without dashes, a line each; flags win over it:\n"
    "  listen = \"127.0.0.1:7101\"\n"
    "  join = \"127.0.0.1:7100\"\n"
    "  state = \"/var/lib/samovar/1\"\n"
    "  apply-threads = 4\n"
    "On one machine, \"samovar train\" starts its servers itself.";

}  // namespace

void AddServerFlags(const StorageTable& storage, CommandLine* line, ServerFlags* flags) {
  CLI::App* app = line->app();
  app->footer(kExamples);
  line->AcceptConfigFile();
  app->add_option("--listen", flags->listen, "Accepts connections here; with port 0 the system chooses one")
      ->type_name("HOST:PORT")
      ->check(AddressValidator(/*any_port=*/true));
  app->add_option("--advertise", flags->advertise,
                  "Tells others to connect to this address, instead of that of --listen. Where that is 0.0.0.0, a "
                  "server that joins "
                  "announces the address of its route to the coordinator, and a coordinator must be given one")
      ->type_name("HOST:PORT")
      ->check(AddressValidator(/*any_port=*/false));
  app->add_option("--http", flags->http,
                  "Serves pages for people and monitors here, in plain text, to all who reach the address: the "
                  "dashboard at /, /healthz, /readyz, /metrics, /api/v1/status; \"none\": serves none")
      ->type_name("HOST:PORT|none")
      ->check(HttpValidator());
  app->add_flag("--coordinator", flags->coordinator, "Makes this server the cluster's coordinator");
  app->add_option("--join", flags->join,
                  "Joins the cluster of the coordinator at this address, or of this home: a path or URI, where the "
                  "coordinator says where it is")
      ->type_name("HOST:PORT|HOME")
      ->transform(CoordinatorValidator(storage));
  app->add_option("--home", flags->home,
                  "With --coordinator, keeps the cluster's epoch, the coordinator's address and its jobs in this "
                  "directory, a URI or a path that all machines see: a coordinator that is started anywhere with the "
                  "same home takes the cluster over, and the one before ends with exit code 3")
      ->type_name("HOME")
      ->transform(HomeValidator(storage));
  line->Require(
      app, app->add_option("--state", flags->state,
                           "Keeps snapshots in this directory, a coordinator also its jobs, and makes it if need be")
               ->type_name("DIR")
               ->transform(LocalPathValidator()));
  app->add_option("--apply-threads", flags->apply_threads, "Sets the number of threads that apply gradients")
      ->type_name("N")
      ->check(Between(1, kMaxCount));
  app->add_option("--parameter-memory", flags->parameter_memory,
                  "Holds so much of jobs' weights, solver states and frozen copies at most; 0 means three quarters of "
                  "the memory that "
                  "the machine, its control group and its resource limits leave this process")
      ->type_name("MIB")
      ->check(Between(0, kMaxMebibytes));
  app->add_option("--server-patience", flags->server_patience,
                  "Makes a coordinator's jobs wait so long for a server that they have lost before they fail")
      ->type_name("MINUTES")
      ->check(Between(1, kMaxCount));
  app->add_option("--max-running-jobs", flags->max_running_jobs,
                  "With --coordinator, runs so many jobs at the same time; others wait")
      ->type_name("N")
      ->check(Between(1, kMaxCount));
  app->add_option("--keep-ended-jobs", flags->keep_ended_jobs,
                  "With --coordinator, remembers so many ended jobs; servers remove the snapshots of older ones")
      ->type_name("N")
      ->check(Between(1, kMaxEndedJobs));
  app->add_option("--snapshots", flags->snapshots,
                  "With --coordinator, also exports the snapshots of jobs that name no place of their own "
                  "(--export-snapshots), each job's into a directory of its own in this one, a URI or a path that all "
                  "machines see: a server that loses its disk takes its share from there. What is there of a job goes "
                  "when the job is forgotten")
      ->type_name("DIR")
      ->transform(HomeValidator(storage));
  app->add_flag("--forget-jobs", flags->forget_jobs,
                "With --coordinator, begins without the jobs of its earlier starts, instead of going on with them");
  app->add_flag(
      "--allow-plaintext", flags->allow_plaintext,
      "Accepts that anybody on the network of a --listen address beyond this machine can read and change the training");
  AddProcessOptions(app, &flags->ready_fd, &flags->log_level, &flags->log_format, &flags->die_with_parent);
}

Parsed<ServerFlags> ParseServerFlags(int argc, const char* const* argv, const StorageTable& storage,
                                     std::ostream* errors) {
  Parsed<ServerFlags> parsed;
  ServerFlags& flags = parsed.flags;
  CommandLine line("samovar-server", kServerDescription, errors);
  AddServerFlags(storage, &line, &flags);

  parsed.exit_code = line.Parse(argc, argv);
  if (parsed.exit_code.has_value()) return parsed;
  if (flags.coordinator && !flags.join.empty()) {
    parsed.exit_code = line.UsageError("--coordinator and --join exclude each other: a cluster has one coordinator");
  } else if (!flags.coordinator && flags.join.empty()) {
    parsed.exit_code =
        line.UsageError("either --coordinator or --join HOST:PORT must be given; --join takes a cluster's home, too");
  } else if (!flags.coordinator && !flags.home.empty()) {
    parsed.exit_code = line.UsageError("--home is the coordinator's; a server that joins names it with --join");
  } else if (!flags.coordinator && !flags.snapshots.empty()) {
    parsed.exit_code = line.UsageError("--snapshots is the coordinator's: its jobs have their snapshots exported");
  } else if (flags.state.empty()) {
    parsed.exit_code = line.UsageError("--state names no directory");
  }
  return parsed;
}

}  // namespace samovar
