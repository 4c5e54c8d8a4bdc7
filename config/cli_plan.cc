// The command that plans a job.
#include <limits>

#include "common/model/consistency.h"
#include "config/command_tree.h"

namespace samovar {
namespace {

constexpr char kPlanExamples[] =
    "Measures the net on this machine for a few seconds, and simulates the job on a cluster: how many servers it "
    "needs, "
    "in which mode and encoding, images/s beside one worker alone, staleness, memory, how long it takes, what holds it "
    "up, and which change would make it faster. Nothing is started. All rates are a model's; "
    "benchmarks/scale/README.md says how far they are from real jobs where both were compared. The machines of a cloud "
    "are known by their published figures alone: --vm here and a --profile that is measured on one of them are "
    "better.\n"
    "Each worker and each server has a machine of its own, unless --one-machine says otherwise. What is left out is "
    "chosen: the fewest servers, and the plainest encoding, that come within 3 % of the most images/s a machine.\n"
    "Examples:\n"
    "  samovar plan lenet_solver.prototxt --workers 8\n"
    "  samovar plan caffenet_solver.prototxt --workers 32 --network 10gbit --shape 3x227x227 --records 1281167\n"
    "  samovar plan vgg16_solver.prototxt --workers 16 --vm D16s_v5 --mode sync --json --shape 3x224x224\n"
    "What would 2 workers do here, with samovar train?\n"
    "  samovar plan lenet_solver.prototxt --workers 2 --servers 2 --one-machine";

// More than any cluster that is known has.
constexpr uint64_t kMostWorkers = 10'000;
constexpr uint64_t kMostServers = 1024;

}  // namespace

void CommandTree::AddPlan() {
  plan_ = line.AddCommand(line.app(), "plan", "Plans a job on a cluster: servers, mode, speed, memory, time",
                          kPlanExamples);
  AddSolver(plan_, "solver,--solver", &plan.solver);
  AddState(plan_, &plan.state);
  line.Require(plan_, plan_->add_option("--workers", plan.workers, "Plans for so many workers")
                          ->type_name("N")
                          ->check(Between(1, kMostWorkers)));
  plan_->add_option("--servers", plan.servers, "Plans for so many servers, instead of choosing; with --one-machine 2")
      ->type_name("N")
      ->default_str("")
      ->check(Between(1, kMostServers));
  plan_
      ->add_option("--vm", plan.vm,
                   "The kind of the machines: a size of Azure's Dsv5 series, D2s_v5 to D96s_v5; here: this machine's")
      ->type_name("NAME");
  plan_
      ->add_option("--network", plan.network,
                   "The speed of each machine's network, both ways, in gbit or mbit; without it that of the machine")
      ->type_name("SPEED")
      ->default_str("");
  plan_->add_option("--latency", plan.latency_ms, "Milliseconds from one machine to another, one way; without it 0.05")
      ->type_name("MS")
      ->default_str("")
      ->check(NumberUpTo(1000));
  plan_
      ->add_option("--threads", plan.threads,
                   "Compute threads of a worker; 0: all of its machine, 1 with --one-machine")
      ->type_name("N")
      ->check(Between(0, kMaxCount));
  plan_->add_flag("--one-machine", plan.one_machine, "Plans for this machine alone, which all processes share");
  plan_
      ->add_option("--mode", plan.mode.mode,
                   "Plans for this mode; without it async, or sync where so many asynchronous workers would cost "
                   "accuracy and sync is faster than the fewer that do not")
      ->type_name("MODE")
      ->default_str("")
      ->check(OneOf(ModeNames()));
  plan_->add_option("--delay", plan.mode.delay, "With --mode bounded, iterations that may be missing; without it 4")
      ->type_name("N")
      ->default_str("")
      ->check(Between(0, kMaxDelay));
  plan_
      ->add_option("--parts", plan.mode.parts,
                   "With --mode sync, equal parts of a batch; without it the fewest that give each worker one")
      ->type_name("N")
      ->default_str("")
      ->check(Between(1, kMaxParts));
  plan_->add_option("--encoding", plan.mode.encoding, "Plans for this encoding; without it float32, bfloat16 or int8")
      ->type_name("ENCODING")
      ->default_str("")
      ->check(OneOf(EncodingNames()));
  plan_->add_option("--topk-ratio", plan.mode.topk_ratio, "With --encoding topk, the part of a gradient that is sent")
      ->type_name("RATIO")
      ->default_str("")
      ->check(Ratio());
  plan_->add_option("--push-every", plan.push_every, "Plans for a push after so many iterations")
      ->type_name("K")
      ->check(Between(1, kMaxPushEvery));
  plan_
      ->add_option("--shape", plan.shape,
                   "Makes up records of this shape instead of reading data; one for each data layer, or one for all")
      ->type_name("CxHxW[,CxHxW...]");
  plan_->add_option("--records", plan.records, "Records of an epoch, instead of those of the data")
      ->type_name("N")
      ->default_str("")
      ->check(Between(1, std::numeric_limits<uint64_t>::max()));
  plan_
      ->add_option("--images-per-second", plan.images_per_second,
                   "Images that one thread of a worker's machine trains in a second, where they are known, instead of "
                   "what is measured here")
      ->type_name("RATE")
      ->default_str("")
      ->check(NumberUpTo(1e12));
  plan_
      ->add_option(
          "--profile", plan.profile,
          "Reads what processes cost from this file of benchmarks/scale/calibrate.py, instead of the built-in one")
      ->type_name("FILE")
      ->default_str("")
      ->transform(StoredPathValidator(storage_));
  plan_->add_flag("--json", plan.json, "Prints one JSON object");
}

}  // namespace samovar
