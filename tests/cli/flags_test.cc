#include <fstream>
#include <string>
#include <variant>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/cli/parsed_line.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

TEST_CASE(
    "a path that is written or kept is of this machine: its scheme is taken off, or refused before anything begins") {
  CHECK(std::get<TrainOptions>(Cli("samovar train --solver s --state file:///d").parsed.flags).state == "/d");
  for (const char* const line :
       {"train --solver s --state wasb:///d", "train --solver s --export-snapshots hdfs://n/d",
        "train --solver s --restore abfs://c/d", "train --solver s --snapshot wasb:///d.solverstate",
        "features --model m --weights w --blobs b --output wasb:///x",
        "model export j localhost:1 --output wasb:///m.caffemodel", "snapshot export j localhost:1 --output wasb:///m",
        "data import idx --images i --labels l --output wasb:///x", "data mean s --output wasb:///mean"}) {
    INFO(line);
    CheckRefused(Cli(absl::StrCat("samovar ", line)), "not offered");
  }
}

TEST_CASE("train has friendly defaults and takes all its flags") {
  const TrainOptions defaults = std::get<TrainOptions>(Cli("samovar train --solver s").parsed.flags);
  CHECK(defaults.solver == "s");
  CHECK(std::get<TrainOptions>(Cli("samovar train s --workers 3").parsed.flags).solver == "s");
  CHECK(std::get<CheckOptions>(Cli("samovar check --solver s").parsed.flags).solver == "s");
  CheckRefused(Cli("samovar train s --solver t"), "--solver");
  CHECK(defaults.servers == 2);
  CHECK(defaults.workers == 2);
  CHECK(defaults.threads == 1);
  CHECK(defaults.channels == 0);
  CHECK_FALSE(defaults.seed.has_value());
  CHECK_FALSE(defaults.resume);

  const auto outcome =
      Cli("samovar train --solver=a.prototxt --servers 3 --workers 4 --threads 2 --channels 8 --seed "
          "18446744073709551615 --resume "
          "--state d "
          "--json --log-level debug");
  REQUIRE_FALSE(outcome.parsed.exit_code.has_value());
  const TrainOptions& train = std::get<TrainOptions>(outcome.parsed.flags);
  CHECK(train.solver == "a.prototxt");
  CHECK(train.servers == 3);
  CHECK(train.workers == 4);
  CHECK(train.threads == 2);
  CHECK(train.channels == 8);
  CHECK(train.seed == 18446744073709551615u);
  CHECK(train.resume);
  CHECK(train.state == "d");
  CHECK(train.json);
  CHECK(train.log_level == "debug");
  CHECK(train.dashboard.empty());
}

TEST_CASE("plan has friendly defaults, takes all its flags, and says which do not go together") {
  const PlanOptions defaults = std::get<PlanOptions>(Cli("samovar plan s --workers 8").parsed.flags);
  CHECK(defaults.solver == "s");
  CHECK(defaults.workers == 8);
  CHECK(defaults.vm == "D4s_v5");
  CHECK_FALSE(defaults.servers.has_value());
  CHECK(defaults.mode.mode.empty());
  CHECK(defaults.mode.encoding.empty());
  const PlanOptions plan = std::get<PlanOptions>(
      Cli("samovar plan --solver s --workers 3 --servers 2 --vm here --network 1gbit --latency 0.2 --threads 2 --mode "
          "sync --parts 4 --encoding int8 --shape 1x2x2 --records 9 --images-per-second 10 --one-machine --json")
          .parsed.flags);
  CHECK(plan.servers == 2);
  CHECK(plan.network == "1gbit");
  CHECK(plan.latency_ms == 0.2);
  CHECK(plan.mode.parts == 4u);
  CHECK(plan.mode.encoding == "int8");
  CHECK(plan.records == 9);
  CHECK(plan.images_per_second == 10);
  CHECK(plan.one_machine);
  CHECK(plan.json);
  CheckRefused(Cli("samovar plan s"), "--workers");
  CheckRefused(Cli("samovar plan s --workers 0"), "--workers");
  CheckRefused(Cli("samovar plan s --workers 2 --delay 3"), "--delay is for --mode bounded");
  CheckRefused(Cli("samovar plan s --workers 2 --mode fast"), "--mode");
}

TEST_CASE("a training's dashboard is on a free port of this machine, unless an address is given") {
  const auto place = [](const std::string& flags) {
    const auto outcome = Cli(absl::StrCat("samovar train --solver s ", flags));
    REQUIRE_FALSE(outcome.parsed.exit_code.has_value());
    return std::get<TrainOptions>(outcome.parsed.flags).dashboard;
  };
  CHECK(place("") == "");
  CHECK(place("--dashboard") == "127.0.0.1:0");
  CHECK(place("--dashboard --json") == "127.0.0.1:0");
  CHECK(place("--dashboard=0.0.0.0:7180") == "0.0.0.0:7180");
  CHECK(place("--dashboard 127.0.0.1:7180") == "127.0.0.1:7180");
  CheckRefused(Cli("samovar train --solver s --dashboard=7180"), R"("7180" is neither HOST:PORT)");
}

TEST_CASE("a mistyped flag or command is answered with the one that was meant") {
  CheckRefused(Cli("samovar train --slover s"), R"(samovar: error: unknown flag "--slover"; did you mean "--solver"?)");
  CheckRefused(Cli("samovar train --solver s --wokers=3"), R"(unknown flag "--wokers"; did you mean "--workers"?)");
  CheckRefused(Cli("samovar trian --solver s"), R"(unknown command "trian"; did you mean "train"?)");
  CheckRefused(Cli("samovar data improt idx"), R"(unknown command "improt"; did you mean "import"?)");
  CheckRefused(Cli("samovar completion bahs"), R"(did you mean "bash"?)");
  CheckRefused(Cli("samovar frobnicate"), R"(unknown command "frobnicate")");
}

TEST_CASE("a usage error says which help to read") {
  CheckRefused(Cli("samovar data import idx --images a"), R"(Run "samovar data import idx --help")");
}

TEST_CASE("what is missing is named") {
  CheckRefused(Cli("samovar"),
               "samovar needs a command: train, check, test, features, time, plan, status, submit, jobs, watch, logs, "
               "cancel, forget, history, plot, model, snapshot, data, fs, yarn, doctor, version, completion");
  CheckRefused(Cli("samovar data"),
               "samovar data needs a command: import, partition, write-partition, write-manifest, mean, info");
  CheckRefused(Cli("samovar train"), "--solver is missing");
  CheckRefused(Cli("samovar status"), "address is missing");
  CheckRefused(Cli("samovar logs"), "job is missing");
  CheckRefused(Cli("samovar watch lenet"), "address is missing");
  CheckRefused(Cli("samovar watch"), "address is missing");
  CheckRefused(Cli("samovar logs h:1"), "job is missing; name one, or a member with --worker or --server");
  CheckRefused(Cli("samovar plot -o x.svg"), "run is missing");
  CheckRefused(Cli("samovar plot lenet h:1"), "--output is missing");
  CheckRefused(Cli("samovar history lenet h:1 --csv --json"), "--csv and --json exclude each other");
  CheckRefused(Cli("samovar submit h:1 --solver s --parts 2"), "--parts is for --mode sync");
  CheckRefused(Cli("samovar train --solver"), "--solver");
}

TEST_CASE("values out of range are refused with the range") {
  CheckRefused(Cli("samovar train --solver s --workers 0"), R"(--workers: "0" is not a whole number from 1 to 256)");
  CheckRefused(Cli("samovar train --solver s --servers 257"), "from 1 to 256");
  for (const char* const name : {"-v", ".", "..", ".lenet"}) {
    const std::string line = absl::StrCat("--solver s --name=", name);
    CheckRefused(Cli(absl::StrCat("samovar submit h:1 ", line)), "begin with a letter, a digit or '_'");
    CheckRefused(Cli(absl::StrCat("samovar yarn train --output /out ", line)), "begin with a letter, a digit or '_'");
  }
  CheckRefused(Cli("samovar submit h:1 --solver s --name a/b"), "use 1 to 64 letters");
  CheckRefused(Cli("samovar train --solver s --threads -1"), "from 1 to 256");
  CheckRefused(Cli("samovar train --solver s --channels 9"), R"(--channels: "9" is not a whole number from 0 to 8)");
  CheckRefused(Cli("samovar train --solver s --threads 1.5"), "from 1 to 256");
  CheckRefused(Cli("samovar train --solver s --seed -1"), "--seed");
  CheckRefused(Cli("samovar train --solver s --seed 18446744073709551616"), "--seed");
  CheckRefused(Cli("samovar train --solver s --log-level loud"), "is none of trace, debug, info, warning, error, off");
  CheckRefused(Cli("samovar status nowhere"), R"("nowhere" is not HOST:PORT)");
  CheckRefused(Cli("samovar status host:0"), "there is no port 0");
}

TEST_CASE("watch and logs take a cluster alone where no job is meant") {
  const auto cluster = std::get<WatchOptions>(Cli("samovar watch h:1 --plain").parsed.flags);
  CHECK(cluster.job.empty());
  CHECK(cluster.coordinator == "h:1");
  CHECK(cluster.plain);
  CHECK(std::get<WatchOptions>(Cli("samovar watch --coordinator h:1").parsed.flags).coordinator == "h:1");
  const auto job = std::get<WatchOptions>(Cli("samovar watch lenet --coordinator h:1").parsed.flags);
  CHECK(job.job == "lenet");
  CHECK(job.coordinator == "h:1");
  const auto worker = std::get<LogsOptions>(Cli("samovar logs h:1 --worker w1 --lines 5 -f").parsed.flags);
  CHECK(worker.worker == "w1");
  CHECK(worker.coordinator == "h:1");
  CHECK(worker.lines == 5);
  CHECK(worker.follow);
  CHECK(std::get<LogsOptions>(Cli("samovar logs --server s:1 h:1").parsed.flags).server == "s:1");
  CheckRefused(Cli("samovar logs lenet h:1 --worker w"), "exclude each other");
  CheckRefused(Cli("samovar logs h:1 --worker w --server s:1"), "exclude each other");
  CheckRefused(Cli("samovar logs lenet h:1 --lines 5"), "--lines is for --worker and --server");
}

TEST_CASE("what names no cluster is refused with what does") {
  const TempDir dir;
  std::ofstream(dir.File("solver.prototxt")) << "net: \"net.prototxt\"";
  const std::string tells = "its coordinator's HOST:PORT, or by its home";
  for (const char* command : {"submit --solver s", "jobs", "status", "watch lenet", "cancel lenet"}) {
    CheckRefused(Cli(absl::StrCat("samovar ", command, " ", dir.File("solver.prototxt"))), "is a file");
    CheckRefused(Cli(absl::StrCat("samovar ", command, " ", dir.File("solver.prototxt"))), tells);
    CheckRefused(Cli(absl::StrCat("samovar ", command, " http://127.0.0.1:7100")), "on a web server");
    CheckRefused(Cli(absl::StrCat("samovar ", command, " https://host/home")), tells);
    CheckRefused(Cli(absl::StrCat("samovar ", command, " solver.prototxt")), tells);
  }
}

TEST_CASE("event files for TensorBoard are written to this machine, by a command that follows a job") {
  CHECK(std::get<TrainOptions>(Cli("samovar train s --tensorboard file:///d").parsed.flags).tensorboard == "/d");
  CHECK(std::get<WatchOptions>(Cli("samovar watch j h:1 --tensorboard d").parsed.flags).tensorboard == "d");
  CHECK(
      std::get<SubmitOptions>(Cli("samovar submit h:1 --solver s --watch --tensorboard d").parsed.flags).tensorboard ==
      "d");
  CheckRefused(Cli("samovar submit h:1 --solver s --tensorboard d"), "--tensorboard is for --watch");
  CheckRefused(Cli("samovar train s --tensorboard hdfs:///d"), "--tensorboard");
  CheckRefused(Cli("samovar history j h:1 --tensorboard d --csv"), "--tensorboard excludes --csv and --json");
}

TEST_CASE("no job has the name of a directory, or one that no version has allowed") {
  CheckRefused(Cli("samovar forget -- .. h:1"), R"(".." is a directory, and no job's name)");
  CheckRefused(Cli("samovar forget . h:1"), "no job's name");
  for (const char* command : {"forget", "watch", "cancel", "history", "logs"})
    CheckRefused(Cli(absl::StrCat("samovar ", command, " a/b h:1")), "use 1 to 64 letters");
}

TEST_CASE("resume and restart exclude each other") {
  CheckRefused(Cli("samovar train --solver s --resume --restart"), "--resume and --restart exclude each other");
}

TEST_CASE("train takes a mode, and what goes with it only with it") {
  const auto mode = [](const std::string& flags) {
    return std::get<TrainOptions>(Cli("samovar train --solver s " + flags).parsed.flags).mode;
  };
  CHECK(mode("").mode.empty());
  CHECK(mode("--mode bounded").mode == "bounded");
  CHECK_FALSE(mode("--mode bounded").delay.has_value());
  CHECK(mode("--mode bounded --delay 0").delay == 0u);
  CHECK(mode("--mode sync --parts 4").parts == 4u);
  CHECK(mode("").staleness_scaling.empty());
  CHECK_FALSE(mode("").delay_compensation.has_value());
  CHECK(mode("--staleness-scaling none").staleness_scaling == "none");
  CHECK(mode("--delay-compensation 0.04").delay_compensation == 0.04f);
  CheckRefused(Cli("samovar train --solver s --staleness-scaling half"), "stretched, none");
  for (const char* lambda : {"-1", "nan", "1e9", "x"}) {
    CheckRefused(Cli(std::string("samovar train --solver s --delay-compensation ") + lambda),
                 "is not a number from 0 to 1000");
  }
  const ModeChoice late = mode("--mode bounded --push-every 500 --delay 500");
  CHECK(late.push_every == 500u);
  CHECK(late.delay == 500u);
  CHECK(mode("--mode bounded --delay 1000000").delay == 1'000'000u);
  CheckRefused(Cli("samovar train --solver s --mode bounded --delay 1000001"), "--delay");
  CHECK_FALSE(mode("").push_every.has_value());
  CHECK(mode("--push-every 8").push_every == 8u);
  for (const char* count : {"0", "1001", "x"})
    CheckRefused(Cli(std::string("samovar train --solver s --push-every ") + count), "--push-every");
  CheckRefused(Cli("samovar train --solver s --mode turbo"), "async, bounded, sync");
  CheckRefused(Cli("samovar train --solver s --delay 3"), "--delay is for --mode bounded");
  CHECK(mode("--encoding topk --topk-ratio 0.125").topk_ratio == 0.125);
  CheckRefused(Cli("samovar train --solver s --topk-ratio 0.1"), "--topk-ratio is for --encoding topk");
  CheckRefused(Cli("samovar train --solver s --encoding topk --topk-ratio 0"), "\"0\" is not a number above 0");
  CheckRefused(Cli("samovar train --solver s --mode async --parts 2"), "--parts is for --mode sync");
  CheckRefused(Cli("samovar train --solver s --mode sync --parts 0"), "--parts");
}

TEST_CASE("train begins from weights or from a snapshot, and a resumed run from neither") {
  const auto outcome = Cli("samovar train --solver s --weights a.caffemodel,b.caffemodel");
  REQUIRE_FALSE(outcome.parsed.exit_code.has_value());
  CHECK(std::get<TrainOptions>(outcome.parsed.flags).weights == "a.caffemodel,b.caffemodel");
  CHECK(std::get<TrainOptions>(outcome.parsed.flags).snapshot.empty());
  const auto snapshot = Cli("samovar train --solver s --snapshot a.solverstate --restart");
  REQUIRE_FALSE(snapshot.parsed.exit_code.has_value());
  CHECK(std::get<TrainOptions>(snapshot.parsed.flags).snapshot == "a.solverstate");
  CheckRefused(Cli("samovar train --solver s --weights a --snapshot b"), "--weights and --snapshot exclude each other");
  CheckRefused(Cli("samovar train --solver s --weights a --resume"), "--resume and --weights exclude each other");
  CheckRefused(Cli("samovar train --solver s --snapshot a --resume"), "--resume and --snapshot exclude each other");
  for (const char* other : {"--resume", "--weights a", "--snapshot a"}) {
    CheckRefused(Cli(absl::StrCat("samovar submit h:1 --solver s --restore d ", other)), "--restore excludes");
  }
}

TEST_CASE("snapshots are exported to a directory, of a job as it goes or once") {
  const auto submitted = Cli("samovar submit h:1 --solver s --export-snapshots out --restore in");
  REQUIRE_FALSE(submitted.parsed.exit_code.has_value());
  CHECK(std::get<SubmitOptions>(submitted.parsed.flags).export_snapshots == "out");
  CHECK(std::get<SubmitOptions>(submitted.parsed.flags).restore == "in");
  const auto exported = Cli("samovar snapshot export lenet 127.0.0.1:7100 --output out");
  REQUIRE_FALSE(exported.parsed.exit_code.has_value());
  CHECK(std::get<SnapshotExportOptions>(exported.parsed.flags).job == "lenet");
  CHECK(std::get<SnapshotExportOptions>(exported.parsed.flags).output == "out");
  CheckRefused(Cli("samovar snapshot export lenet 127.0.0.1:7100"), "--output");
}

TEST_CASE("unexpected arguments are named") {
  CheckRefused(Cli("samovar check a b"), R"(unexpected argument "b")");
  CheckRefused(Cli("samovar train --solver s check"), R"(unexpected argument "check")");
}

TEST_CASE("help is written to stdout, with examples, and is no error") {
  for (const char* line : {"samovar --help", "samovar train --help", "samovar check -h",
                           "samovar data import idx --help", "samovar status --help", "samovar completion --help"}) {
    INFO(line);
    const auto outcome = Cli(line);
    CHECK(outcome.parsed.exit_code == 0);
    CHECK(outcome.err.empty());
    CHECK(absl::StrContains(outcome.out, "Usage: samovar"));
    CHECK(absl::StrContains(outcome.out, "\n  samovar "));
  }
  CHECK(absl::StrContains(Cli("samovar train --help").out, "--solver SOLVER"));
}

TEST_CASE("each subcommand fills its own options") {
  CHECK(std::get<CheckOptions>(Cli("samovar check s.prototxt").parsed.flags).solver == "s.prototxt");
  const auto status = Cli("samovar status 127.0.0.1:7100 --json");
  CHECK(std::get<StatusOptions>(status.parsed.flags).coordinator == "127.0.0.1:7100");
  CHECK(std::get<StatusOptions>(status.parsed.flags).json);
  const auto submit =
      Cli("samovar submit 127.0.0.1:7100 --solver s --name n --servers 3 --weight 5 --mode bounded --delay 2 "
          "--push-every 2 --seed 7 --watch");
  const SubmitOptions& job = std::get<SubmitOptions>(submit.parsed.flags);
  CHECK(job.coordinator == "127.0.0.1:7100");
  CHECK(job.solver == "s");
  CHECK(job.name == "n");
  CHECK(job.servers == 3);
  CHECK(job.weight == 5);
  CHECK(job.mode.delay == 2u);
  CHECK(job.mode.push_every == 2u);
  CHECK(job.seed == 7u);
  CHECK(job.watch);
  CHECK_FALSE(
      std::get<SubmitOptions>(Cli("samovar submit --solver s --coordinator h:1").parsed.flags).servers.has_value());
  CHECK(std::get<JobsOptions>(Cli("samovar jobs --coordinator h:1").parsed.flags).coordinator == "h:1");
  for (const char* line : {"samovar logs lenet h:1 --follow", "samovar logs lenet --coordinator h:1 --follow"}) {
    const auto logs = Cli(line);
    CHECK(std::get<LogsOptions>(logs.parsed.flags).job == "lenet");
    CHECK(std::get<LogsOptions>(logs.parsed.flags).coordinator == "h:1");
    CHECK(std::get<LogsOptions>(logs.parsed.flags).follow);
  }
  CHECK(std::get<WatchOptions>(Cli("samovar watch lenet h:1").parsed.flags).job == "lenet");
  CHECK(std::get<CancelOptions>(Cli("samovar cancel lenet h:1").parsed.flags).job == "lenet");
  CHECK(std::get<ForgetOptions>(Cli("samovar forget lenet h:1").parsed.flags).coordinator == "h:1");
  // A job of an older version, which could have such a name.
  CHECK(std::get<ForgetOptions>(Cli("samovar forget -- -v h:1").parsed.flags).job == "-v");
  const auto history = std::get<HistoryOptions>(Cli("samovar history lenet h:1 --csv --from 7").parsed.flags);
  CHECK(history.job == "lenet");
  CHECK(history.coordinator == "h:1");
  CHECK(history.csv);
  CHECK(history.from == 7);
  CHECK_FALSE(history.points.has_value());
  CHECK(std::get<HistoryOptions>(Cli("samovar history lenet h:1 --points 0").parsed.flags).points == 0u);
  for (const char* line : {"samovar plot lenet a.log -o x.svg --coordinator h:1 --log",
                           "samovar plot --output x.svg --coordinator h:1 --log lenet a.log"}) {
    const auto plot = std::get<PlotOptions>(Cli(line).parsed.flags);
    CHECK(plot.runs == std::vector<std::string>{"lenet", "a.log"});
    CHECK(plot.output == "x.svg");
    CHECK(plot.coordinator == "h:1");
    CHECK(plot.log);
  }
  const auto exported = Cli("samovar model export lenet h:1 --output f --iteration 500");
  CHECK(std::get<ModelExportOptions>(exported.parsed.flags).output == "f");
  CHECK(std::get<ModelExportOptions>(exported.parsed.flags).iteration == 500u);
  const auto idx = Cli("samovar data import idx --images i --labels l --output o --force");
  CHECK(std::get<ImportIdxOptions>(idx.parsed.flags).images == "i");
  CHECK(std::get<ImportIdxOptions>(idx.parsed.flags).labels == "l");
  CHECK(std::get<ImportIdxOptions>(idx.parsed.flags).output == "o");
  CHECK(std::get<ImportIdxOptions>(idx.parsed.flags).force);
  CHECK(std::get<DataInfoOptions>(Cli("samovar data info d").parsed.flags).path == "d");
  CHECK_FALSE(std::get<DataInfoOptions>(Cli("samovar data info d").parsed.flags).verify);
  CHECK(std::get<DataInfoOptions>(Cli("samovar data info d --verify").parsed.flags).verify);
  const auto partition =
      std::get<DataPartitionOptions>(Cli("samovar data partition s d --partitions 8 --force").parsed.flags);
  CHECK(partition.source == "s");
  CHECK(partition.output == "d");
  CHECK(partition.partitions == 8);
  CHECK(partition.force);
  CheckRefused(Cli("samovar data partition s d"), "--partitions is missing");
  CheckRefused(Cli("samovar data partition s --partitions 2"), "output is missing");
  CheckRefused(Cli("samovar data partition s d --partitions 0"), "--partitions");
  const auto part = std::get<WritePartitionOptions>(Cli("samovar data write-partition s --name part-1").parsed.flags);
  CHECK(part.set == "s");
  CHECK(part.name == "part-1");
  CheckRefused(Cli("samovar data write-partition s"), "--name is missing");
  const auto joined = std::get<WriteManifestOptions>(Cli("samovar data write-manifest s --force --check").parsed.flags);
  CHECK(joined.set == "s");
  CHECK(joined.force);
  CHECK(joined.check);
  CHECK_FALSE(std::get<WriteManifestOptions>(Cli("samovar data write-manifest s").parsed.flags).check);
  CHECK(std::get<ImportIdxOptions>(idx.parsed.flags).partitions == 0);
  CHECK(std::get<ImportIdxOptions>(
            Cli("samovar data import idx --images i --labels l --output o --partitions 3").parsed.flags)
            .partitions == 3);
  const auto cifar = Cli("samovar data import cifar10 --input a --input b --output o");
  CHECK(std::get<ImportCifar10Options>(cifar.parsed.flags).inputs == std::vector<std::string>{"a", "b"});
  CHECK(std::get<ImportCifar10Options>(cifar.parsed.flags).output == "o");
  CHECK_FALSE(std::get<ImportCifar10Options>(cifar.parsed.flags).force);
  const auto mean = Cli("samovar data mean d --output m --force");
  CHECK(std::get<DataMeanOptions>(mean.parsed.flags).path == "d");
  CHECK(std::get<DataMeanOptions>(mean.parsed.flags).output == "m");
  CHECK(std::get<DataMeanOptions>(mean.parsed.flags).force);
  CHECK(std::get<CompletionFlags>(Cli("samovar completion zsh").parsed.flags).shell == "zsh");
  CHECK(std::holds_alternative<VersionFlags>(Cli("samovar version").parsed.flags));
}

TEST_CASE(
    "each command that builds a net takes stages and a level, and each that trains one takes tests of all records") {
  const StateChoice state = {"a,b", -1};
  const std::string flags = " --stage a,b --level -1";
  CHECK(std::get<TrainOptions>(Cli("samovar train --solver s --test-all" + flags).parsed.flags).choice.state == state);
  CHECK(std::get<TrainOptions>(Cli("samovar train --solver s --test-all" + flags).parsed.flags).choice.test_all);
  CHECK(std::get<SubmitOptions>(Cli("samovar submit localhost:1 --solver s --test-all" + flags).parsed.flags)
            .choice.state == state);
  CHECK(std::get<CheckOptions>(Cli("samovar check s --test-all" + flags).parsed.flags).choice.state == state);
  CHECK(std::get<TestOptions>(Cli("samovar test --model m --weights w" + flags).parsed.flags).files.state == state);
  CHECK(
      std::get<FeaturesOptions>(Cli("samovar features --model m --weights w --blobs b --output o" + flags).parsed.flags)
          .files.state == state);
  CHECK(std::get<TimeOptions>(Cli("samovar time --model m" + flags).parsed.flags).state == state);
  CHECK(std::get<TimeOptions>(Cli("samovar time --model m").parsed.flags).state == StateChoice());
}

TEST_CASE("an import of a LevelDB names both ends") {
  const auto level = Cli("samovar data import leveldb --input a --output b --partitions 3 --force");
  const auto& options = std::get<ImportLevelDbOptions>(level.parsed.flags);
  CHECK(options.input == "a");
  CHECK(options.output == "b");
  CHECK(options.partitions == 3);
  CHECK(options.force);
  CheckRefused(Cli("samovar data import leveldb --output b"), "--input");
}

TEST_CASE("an import of images takes all its flags, and a size of two numbers") {
  const auto few = Cli("samovar data import images --list l --output o");
  const ImportImagesOptions defaults = std::get<ImportImagesFlags>(few.parsed.flags).images;
  CHECK(defaults.list == "l");
  CHECK(defaults.root.empty());
  CHECK(defaults.height == 0);
  CHECK_FALSE((defaults.gray || defaults.encoded || defaults.shuffle));
  const auto all =
      Cli("samovar data import images --list l --root r --output o --resize 256x128 --gray --encoded --shuffle --seed "
          "9 --force");
  const ImportImagesFlags flags = std::get<ImportImagesFlags>(all.parsed.flags);
  CHECK(flags.images.root == "r");
  CHECK(flags.output == "o");
  CHECK(flags.images.height == 256);
  CHECK(flags.images.width == 128);
  CHECK((flags.images.gray && flags.images.encoded && flags.images.shuffle && flags.force));
  CHECK(flags.images.seed == 9);
  for (const char* const size : {"256", "256x", "x256", "0x5", "5x-1", "axb", "99999999999x1"}) {
    CheckRefused(Cli(std::string("samovar data import images --list l --output o --resize ") + size),
                 "is not HEIGHTxWIDTH");
  }
  CheckRefused(Cli("samovar data import images --output o"), "--list");
  CheckRefused(Cli("samovar data mean d"), "--output");
}

TEST_CASE("the version is the program's name, number and instruction set") {
  const auto outcome = Cli("samovar --version");
  CHECK(outcome.parsed.exit_code == 0);
  CHECK(absl::StartsWith(outcome.out, "samovar 0."));
  CHECK(absl::StartsWith(Run(ParseServer, "samovar-server --version").out, "samovar-server 0."));
}

TEST_CASE("a YARN service's flags make its plan, and what it has no use for is refused") {
  const auto launch = std::get<YarnLaunchOptions>(Cli("samovar yarn launch lenet --servers 3 --workers 8 --worker-cpus "
                                                      "2 --lifetime 60 --spread --home file:///shared/x "
                                                      "--resource-manager hn0:8088")
                                                      .parsed.flags);
  CHECK(launch.name == "lenet");
  CHECK(launch.resource_manager == "hn0:8088");
  CHECK(launch.plan.servers == 3);
  CHECK(launch.plan.workers == 8);
  CHECK(launch.plan.worker_cpus == 2);
  CHECK(launch.plan.lifetime_seconds == 60u);
  CHECK(launch.plan.spread);
  CHECK_FALSE(launch.plan.allow_plaintext);
  const auto flex = std::get<YarnFlexOptions>(Cli("samovar yarn flex lenet --workers 0").parsed.flags);
  CHECK(flex.workers == 0);
  CHECK_FALSE(flex.servers.has_value());
  const auto logs = std::get<YarnLogsOptions>(Cli("samovar yarn logs lenet worker-3 --bytes 9").parsed.flags);
  CHECK(logs.instance == "worker-3");
  CHECK(logs.bytes == 9);
  const auto train = std::get<YarnTrainOptions>(
      Cli("samovar yarn train --solver s --workers 8 --mode sync --output file:///o --features ip2 --keep")
          .parsed.flags);
  CHECK(train.solver == "s");
  CHECK(train.mode.mode == "sync");
  CHECK(train.plan.workers == 8);
  CHECK(train.features == "ip2");
  CHECK(train.keep);
  CheckRefused(Cli("samovar yarn train --solver s"), "--output is missing");
  CheckRefused(Cli("samovar yarn train --solver s --output o --weights w --snapshot x"), "exclude each other");
  CheckRefused(Cli("samovar yarn launch"), "name is missing");
  CheckRefused(Cli("samovar yarn launch lenet --servers 0"), "--servers");
  CheckRefused(Cli("samovar yarn launch lenet --home nix:///x"), "--home");
  CheckRefused(Cli("samovar yarn launch lenet --server-memory 1"), "--server-memory");
}

}  // namespace
}  // namespace samovar
