// The commands about a cluster that YARN runs.
#include "config/command_tree.h"

namespace samovar {
namespace {

// A day's work of a cluster of any size fits.
constexpr uint64_t kMaxSeconds = 10ull * 365 * 24 * 3600;
constexpr uint64_t kMaxMebibytes = 1 << 30;
constexpr uint64_t kMaxLogBytes = 32 << 20;

constexpr char kYarnExamples[] =
    "YARN (Hadoop 3.1 or later) places the processes on the nodes of the cluster, starts them again when they end or "
    "their node is\n"
    "lost, and adds and takes away workers. Nodes need nothing: YARN fetches the tarball from storage. The processes "
    "find each\n"
    "other by the service's home, a directory in storage, which also keeps the coordinator's jobs:\n"
    "  samovar yarn launch lenet --servers 2 --workers 8 --allow-plaintext\n"
    "  samovar yarn status lenet\n"
    "  samovar submit hdfs:///user/me/samovar/lenet --solver hdfs:///models/lenet_solver.prototxt --watch\n"
    "  samovar yarn stop lenet\n"
    "HADOOP_CONF_DIR names the directory of core-site.xml, hdfs-site.xml and yarn-site.xml (without it "
    "/etc/hadoop/conf), and\n"
    "HADOOP_USER_NAME the user. The resource manager must have its REST interface for services "
    "(yarn.webapp.api-service.enable).";
constexpr char kLaunchExamples[] =
    "A bundle of this machine is put into the directory bundles beside the home, once; a running service's bundle must "
    "not be\n"
    "replaced.\n"
    "Examples:\n"
    "  samovar yarn launch lenet --allow-plaintext\n"
    "  samovar yarn launch big --servers 4 --server-memory 8192 --workers 32 --worker-cpus 4 --spread --queue training "
    "\\\n"
    "      --home hdfs:///apps/samovar/big --bundle hdfs:///apps/samovar/samovar-VERSION-linux-x86_64.tar.gz "
    "--allow-plaintext\n"
    "  samovar yarn launch lenet --print > lenet.json";
constexpr char kTrainExamples[] =
    "Launches a service, submits the job, shows how it goes, writes the model, and ends the service. The solver, its "
    "nets and its\n"
    "data are checked before; workers read the data under the same URIs. Snapshots are exported to the service's home, "
    "so that a\n"
    "container that is lost with its disk costs iterations, and not the model. An interrupt (Ctrl-C) asks whether the "
    "service is to\n"
    "end as well; without a terminal it goes on.\n"
    "Examples:\n"
    "  samovar yarn train --solver hdfs:///models/lenet_solver.prototxt --servers 2 --workers 8 --output "
    "hdfs:///models/out \\\n"
    "      --allow-plaintext\n"
    "  samovar yarn train --solver lenet_solver.prototxt --output hdfs:///models/out --features ip2 --label label "
    "--allow-plaintext";
constexpr char kStatusExamples[] =
    "Containers that are READY run; what their cluster does shows \"samovar status HOME\".\n"
    "Examples:\n"
    "  samovar yarn status lenet\n"
    "  samovar yarn status lenet --json";
constexpr char kFlexExamples[] =
    "Workers may be taken away at any time: what they were computing is computed by others. Servers are only added, "
    "and "
    "serve the jobs\n"
    "that are submitted afterwards.\n"
    "Example:\n"
    "  samovar yarn flex lenet --workers 16";
constexpr char kLogsExamples[] =
    "Logs of containers that have ended are in YARN's collection, which Hadoop's own client reads: --application.\n"
    "Examples:\n"
    "  samovar yarn logs lenet\n"
    "  samovar yarn logs lenet worker-0 --bytes 1000000\n"
    "  samovar yarn logs lenet --application application_1700000000000_0001";
constexpr char kStopExamples[] =
    "Jobs and snapshots in the service's home stay: one that is launched with this home goes on with them.\n"
    "Example:\n"
    "  samovar yarn stop lenet";

}  // namespace

void CommandTree::AddYarnService(CLI::App* command, YarnOptions* options) {
  line.Require(command, command->add_option("name", options->name, "Names the service")->type_name("NAME"));
  AddYarnAccess(command, options);
}

void CommandTree::AddYarnAccess(CLI::App* command, YarnOptions* options) {
  command
      ->add_option("--resource-manager", options->resource_manager,
                   "Asks the resource manager with this web address, or these, instead of those of yarn-site.xml")
      ->type_name("HOST:PORT[,...]")
      ->default_str("");
  command->add_flag("--json", options->json, "Prints JSON");
}

void CommandTree::AddYarnPlan(CLI::App* command, YarnLaunchOptions* options) {
  ServicePlan* const plan = &options->plan;
  const auto add_count = [command](const char* name, int* value, int least, const char* what) {
    command->add_option(name, *value, what)->type_name("N")->check(Between(static_cast<uint64_t>(least), kMaxCount));
  };
  const auto add_memory = [command](const char* name, uint64_t* value, const char* what) {
    command->add_option(name, *value, what)->type_name("MIB")->check(Between(128, kMaxMebibytes));
  };
  const auto add_text = [command](const char* name, std::string* value, const char* type, const char* what) {
    return command->add_option(name, *value, what)->type_name(type)->default_str("");
  };
  add_count("--servers", &plan->servers, 1, "Runs so many servers; the first is the coordinator as well");
  add_count("--workers", &plan->workers, 0, "Runs so many workers");
  add_count("--server-cpus", &plan->server_cpus, 1,
            "Asks for so many virtual cores a server, and applies gradients on them");
  add_count("--worker-cpus", &plan->worker_cpus, 1, "Asks for so many virtual cores a worker, and computes on them");
  add_memory("--server-memory", &plan->server_memory,
             "Asks for so much memory a server; six tenths of it may hold parameters");
  add_memory("--worker-memory", &plan->worker_memory, "Asks for so much memory a worker");
  command
      ->add_option(
          "--cache-bytes", plan->cache_bytes,
          "Keeps so many bytes of partitions of data sets at most on a worker's node; 0: reads them where they are")
      ->type_name("N")
      ->check(Between(0, uint64_t{1} << 62));
  add_text("--home", &plan->home, "URI",
           "Makes this directory in storage the service's home; otherwise /user/USER/samovar/NAME of fs.defaultFS")
      ->transform(StoredPathValidator(storage_));
  add_text(
      "--bundle", &plan->bundle, "FILE",
      "Runs the programs of this tarball, in storage or of this machine; otherwise of the one beside this program's "
      "directory")
      ->transform(StoredPathValidator(storage_));
  add_text("--hadoop-conf", &options->hadoop_conf, "DIR",
           "Gives containers core-site.xml and hdfs-site.xml of this directory, which are put into storage beside the "
           "home: whoever may read that directory reads their keys; otherwise containers use those of their nodes")
      ->transform(LocalPathValidator());
  add_text("--queue", &plan->queue, "QUEUE", "Puts the service into this queue of YARN's");
  command->add_option("--lifetime", plan->lifetime_seconds, "Ends the service after so many seconds; otherwise never")
      ->type_name("SECONDS")
      ->default_str("")
      ->check(Between(1, kMaxSeconds));
  command->add_flag("--spread", plan->spread,
                    "Puts each server on a node of its own; with fewer nodes than servers the last wait for ever");
  add_text("--principal", &plan->principal, "PRINCIPAL",
           "On a cluster with Kerberos, has YARN make new tokens as this principal when the old ones end");
  add_text("--keytab", &plan->keytab, "URI", "Has the key of --principal: hdfs:, or file: on every node");
  command->add_flag("--allow-plaintext", plan->allow_plaintext,
                    "Accepts that anybody on the nodes' network can read and change the training");
}

void CommandTree::AddYarnTrain(CLI::App* yarn) {
  yarn_train_ = line.AddCommand(
      yarn, "train", "Trains a net in a service of its own, from a solver to a model in storage", kTrainExamples);
  AddJobFlags(yarn_train_, "solver,--solver", &yarn_train);
  line.Require(yarn_train_,
               yarn_train_
                   ->add_option("--output", yarn_train.output,
                                "Writes the model and the solver's state into this directory, JOB.caffemodel and "
                                "JOB.solverstate")
                   ->type_name("URI")
                   ->transform(StoredPathValidator(storage_)));
  yarn_train_
      ->add_option("--name", yarn_train.name,
                   "Names the service and the job; otherwise the end of the solver's snapshot_prefix does")
      ->type_name("NAME")
      ->default_str("")
      ->check(JobNameValidator());
  yarn_train_
      ->add_option("--features", yarn_train.features,
                   "Then writes these blobs for each record of the net's data in phase TEST, computed by this process, "
                   "into features/features.jsonl in the output")
      ->type_name("BLOB[,BLOB...]")
      ->default_str("");
  yarn_train_->add_option("--label", yarn_train.label, "Adds this blob, the label, at the end of each row")
      ->type_name("BLOB")
      ->default_str("");
  yarn_train_
      ->add_option("--features-model", yarn_train.features_model,
                   "Computes them with the net of this file instead of the solver's")
      ->type_name("FILE")
      ->transform(StoredPathValidator(storage_))
      ->default_str("");
  yarn_train_->add_option("--threads", yarn_train.threads, "Computes them with so many threads")
      ->type_name("N")
      ->check(Between(1, kMaxCount));
  yarn_train_->add_flag("--force", yarn_train.force, "Replaces files that are there already");
  yarn_train_->add_flag("--keep", yarn_train.keep, "Leaves the service running at the end");
  AddYarnAccess(yarn_train_, &yarn_train);
  AddYarnPlan(yarn_train_, &yarn_train);
}

void CommandTree::AddYarn() {
  CLI::App* yarn = line.AddCommand(line.app(), "yarn", "Runs a cluster as a service of YARN's", kYarnExamples);
  yarn_launch_ =
      line.AddCommand(yarn, "launch", "Begins a service: a coordinator, servers and workers", kLaunchExamples);
  AddYarnService(yarn_launch_, &yarn_launch);
  AddYarnPlan(yarn_launch_, &yarn_launch);
  yarn_launch_->add_flag("--print", yarn_launch.print,
                         "Only writes the service's specification, for `yarn app -launch`");
  yarn_status_ = line.AddCommand(yarn, "status", "Shows a service's components and containers", kStatusExamples);
  AddYarnService(yarn_status_, &yarn_status);
  yarn_flex_ =
      line.AddCommand(yarn, "flex", "Changes the number of a service's workers, or adds servers", kFlexExamples);
  AddYarnService(yarn_flex_, &yarn_flex);
  yarn_flex_->add_option("--workers", yarn_flex.workers, "Runs so many workers")
      ->type_name("N")
      ->default_str("")
      ->check(Between(0, kMaxCount));
  yarn_flex_->add_option("--servers", yarn_flex.servers, "Runs so many servers")
      ->type_name("N")
      ->default_str("")
      ->check(Between(1, kMaxCount));
  yarn_logs_ = line.AddCommand(yarn, "logs", "Shows the ends of the logs of a service's containers", kLogsExamples);
  AddYarnService(yarn_logs_, &yarn_logs);
  yarn_logs_->add_option("instance", yarn_logs.instance, "Shows those of this instance, or component, alone")
      ->type_name("INSTANCE");
  yarn_logs_->add_option("--file", yarn_logs.file, "Shows this file of the containers' logs")->type_name("NAME");
  yarn_logs_->add_option("--bytes", yarn_logs.bytes, "Shows so many bytes at the end of each")
      ->type_name("N")
      ->check(Between(1, kMaxLogBytes));
  yarn_logs_
      ->add_option("--application", yarn_logs.application,
                   "Shows all collected logs of this application of YARN's, by Hadoop's client")
      ->type_name("ID")
      ->default_str("");
  yarn_stop_ = line.AddCommand(yarn, "stop", "Ends a service", kStopExamples);
  AddYarnService(yarn_stop_, &yarn_stop);
  AddYarnTrain(yarn);
}

}  // namespace samovar
