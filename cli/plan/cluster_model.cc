#include "cli/plan/cluster_model.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/base/random.h"
#include "common/model/chunk_plan.h"

namespace samovar {
namespace {

// As ParameterClient has them: bytes of a request that pushes and of one that only pulls, requests under way on a
// stream, and a connection for so many bytes of a server's share, four at most.
constexpr double kPushRequestBytes = 128 << 10;
constexpr double kPullRequestBytes = 1 << 20;
constexpr double kInFlight = 8;
constexpr double kBytesPerChannel = 16 << 20;
constexpr double kMostChannels = 4;
// Behind layers that take longer, a thread of the client's own moves the bytes (event_queue.h).
constexpr double kShortLayerSeconds = 2e-3;
// Between these two sizes of a model the costs of a float go from one to the other.
constexpr double kInCaches = 4 << 20;
constexpr double kBeyondCaches = 64 << 20;
// Keeps rates finite where nothing costs anything.
constexpr double kShortest = 1e-9;

// The normal distribution's quantile (Acklam's rational approximation, 1e-9 relative).
double NormalQuantile(double p) {
  constexpr double a[] = {-3.969683028665376e+01, 2.209460984245205e+02,  -2.759285104469687e+02,
                          1.383577518672690e+02,  -3.066479806614716e+01, 2.506628277459239e+00};
  constexpr double b[] = {-5.447609879822406e+01, 1.615858368580409e+02, -1.556989798598866e+02, 6.680131188771972e+01,
                          -1.328068155288572e+01};
  constexpr double c[] = {-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00,
                          -2.549732539343734e+00, 4.374664141464968e+00,  2.938163982698783e+00};
  constexpr double d[] = {7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00, 3.754408661907416e+00};
  if (p > 1 - 0.02425) return -NormalQuantile(1 - p);
  if (p < 0.02425) {
    const double q = std::sqrt(-2 * std::log(p));
    return (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) /
           ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1);
  }
  const double q = p - 0.5;
  const double r = q * q;
  return (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q /
         (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1);
}

double CacheFactor(double bytes, double beyond) {
  const double place = std::log(bytes / kInCaches) / std::log(kBeyondCaches / kInCaches);
  return 1 + (beyond - 1) * std::clamp(place, 0.0, 1.0);
}

}  // namespace

ClusterModel::ClusterModel(const JobShape& job, const JobChoices& choices, const ClusterSpec& spec,
                           const ProcessCosts& costs, FluidSimulation* simulation)
    : job_(job), choices_(choices), spec_(spec), costs_(costs), simulation_(*simulation) {
  workers_ = std::min(spec.workers, kMostSimulated);
  represented_ = static_cast<double>(spec.workers) / workers_;
  chunk_elements_ = ChunkPlan::ChooseChunkElements(job.parameters(), spec.servers * spec.apply_threads);
  const uint64_t chunks = (job.parameters() + chunk_elements_ - 1) / chunk_elements_;
  const uint64_t fullest = (chunks + spec.servers - 1) / spec.servers;
  group_ = static_cast<double>(chunks) / static_cast<double>(fullest);
  const double share_bytes = 4.0 * static_cast<double>(job.parameters()) / spec.servers;
  channels_ = static_cast<uint32_t>(std::clamp(std::floor(share_bytes / kBytesPerChannel), 1.0, kMostChannels));
  factor_ = CacheFactor(4.0 * static_cast<double>(job.parameters()), costs.beyond_caches);
  double longest = 0;
  for (const LayerShape& layer : job.layers) longest = std::max(longest, layer.backward.Of(job.batch));
  short_layers_ = longest / spec.worker_machine.speed < kShortLayerSeconds;
  AddResources();
  BeginLoads();
}

void ClusterModel::AddResources() {
  const double scale = 1 / represented_;
  const bool one = spec_.one_machine;
  // Processors are counted in those of the reference machine.
  const double worker_cores = spec_.worker_machine.cores * spec_.worker_machine.speed;
  const int shared = one ? simulation_.AddResource(worker_cores * scale) : -1;
  for (uint32_t worker = 0; worker < workers_; ++worker) {
    WorkerResources resources;
    resources.processors = one ? shared : simulation_.AddResource(worker_cores);
    resources.thread = simulation_.AddResource(spec_.worker_machine.speed);
    if (spec_.worker_machine.network > 0) {
      resources.out = simulation_.AddResource(spec_.worker_machine.network * kPayload);
      resources.in = simulation_.AddResource(spec_.worker_machine.network * kPayload);
    }
    worker_resources_.push_back(resources);
  }
  const double server_cores = spec_.server_machine.cores * spec_.server_machine.speed;
  server_processors_ = one ? shared : simulation_.AddResource(server_cores * group_ * scale);
  const double threads = std::min<double>(spec_.apply_threads, spec_.server_machine.threads);
  server_threads_ = simulation_.AddResource(threads * spec_.server_machine.speed * group_ * scale);
  if (spec_.server_machine.network > 0) {
    server_out_ = simulation_.AddResource(spec_.server_machine.network * kPayload * group_ * scale);
    server_in_ = simulation_.AddResource(spec_.server_machine.network * kPayload * group_ * scale);
  }
}

double ClusterModel::ApplySeconds() const {
  // Memory's bytes: 20 a float with one vector of history, 8 more for each other one.
  return costs_.apply * factor_ * (12.0 + 8.0 * job_.history_vectors) / 20.0;
}

ClusterModel::FloatWay ClusterModel::Costs(Way way, bool as_float32, double apply) const {
  const FloatSeconds& push =
      costs_.encodings[static_cast<size_t>(as_float32 ? v1::ENCODING_FLOAT32 : choices_.encoding)];
  const bool sparse = choices_.encoding == v1::ENCODING_SPARSE;
  const FloatSeconds& pull = costs_.encodings[static_cast<size_t>(sparse ? v1::ENCODING_FLOAT32 : choices_.encoding)];
  FloatWay costs;
  if (way != Way::kPull) {
    costs.push_bytes = as_float32 ? 4 : PushBytes(choices_);
    costs.worker_seconds += push.worker_push;
    costs.server_seconds += push.server_push + apply;
  }
  if (way != Way::kPush) {
    costs.pull_bytes = PullBytes(choices_);
    costs.worker_seconds += pull.worker_pull;
    costs.server_seconds += pull.server_pull;
  }
  const double floats = RequestFloats(costs);
  costs.worker_seconds += costs_.worker_request / floats;
  costs.server_seconds += costs_.server_request / floats;
  return costs;
}

// A request has whole chunks in it, as many as its bytes allow, and of one server.
double ClusterModel::RequestFloats(const FloatWay& way) const {
  const double bytes = way.push_bytes > 0 ? kPushRequestBytes / way.push_bytes : kPullRequestBytes / way.pull_bytes;
  const double chunks = std::max(1.0, std::floor(bytes / chunk_elements_));
  const double stream = static_cast<double>(job_.parameters()) / (spec_.servers * channels_);
  return std::min(chunks * chunk_elements_, std::max(1.0, stream));
}

double ClusterModel::ByteSeconds() const {
  double seconds = 0;
  // Packets are on both links at the same time.
  for (const Machine* machine : {&spec_.worker_machine, &spec_.server_machine}) {
    if (machine->network > 0) seconds = std::max(seconds, 1 / (machine->network * kPayload));
  }
  return seconds;
}

// The way of one request, there and back, that nothing else is in the way of.
double ClusterModel::RequestSeconds(const FloatWay& way) const {
  const double seconds = way.worker_seconds / spec_.worker_machine.speed +
                         way.server_seconds / spec_.server_machine.speed +
                         (way.push_bytes + way.pull_bytes) * ByteSeconds();
  return RequestFloats(way) * seconds + 2 * (spec_.latency_seconds + costs_.wake);
}

double ClusterModel::AnswerSeconds(Way way) const {
  const FloatWay costs = Costs(way, false, way == Way::kPull ? 0 : ApplySeconds());
  // The slowest stage of the last request was in the transfer's time already.
  const double slowest =
      std::max({costs.worker_seconds / spec_.worker_machine.speed, costs.server_seconds / spec_.server_machine.speed,
                std::max(costs.push_bytes, costs.pull_bytes) * ByteSeconds()});
  return RequestSeconds(costs) - RequestFloats(costs) * slowest;
}

double ClusterModel::RoundSeconds() const {
  const FloatWay costs = Costs(Way::kBoth, false, ApplySeconds());
  double seconds = costs.server_seconds / simulation_.Capacity(server_threads_);
  if (server_in_ >= 0) {
    seconds = std::max(seconds, costs.push_bytes / simulation_.Capacity(server_in_) +
                                    costs.pull_bytes / simulation_.Capacity(server_out_));
  }
  return seconds * static_cast<double>(job_.parameters()) * workers_;
}

void ClusterModel::Compute(uint32_t worker, double seconds, Done done) {
  const WorkerResources& resources = worker_resources_[worker];
  const double gained = 1 + (spec_.worker_threads - 1) * job_.thread_gain;
  FluidSimulation::Activity activity;
  activity.amount = seconds;
  activity.limit = gained * spec_.worker_machine.speed;
  activity.uses = {{resources.processors, 1}};
  if (short_layers_) activity.uses.push_back({resources.thread, 1 / gained});
  simulation_.Start(std::move(activity), std::move(done));
}

void ClusterModel::Transfer(uint32_t worker, double floats, Way way, bool as_float32, double apply, Done done) {
  const WorkerResources& resources = worker_resources_[worker];
  const FloatWay costs = Costs(way, as_float32, apply);
  const double under_way = kInFlight * spec_.servers * channels_ * RequestFloats(costs);
  FluidSimulation::Activity activity;
  activity.amount = floats;
  activity.limit = under_way / std::max(kShortest, RequestSeconds(costs));
  // As much processor time as a thread that computes.
  activity.share = 1 / std::max(1e-12, costs.worker_seconds);
  activity.uses = {{resources.processors, costs.worker_seconds},
                   {resources.thread, costs.worker_seconds},
                   {server_processors_, costs.server_seconds},
                   {server_threads_, costs.server_seconds}};
  if (resources.out >= 0) {
    activity.uses.push_back({resources.out, costs.push_bytes});
    activity.uses.push_back({resources.in, costs.pull_bytes});
  }
  if (server_out_ >= 0) {
    activity.uses.push_back({server_in_, costs.push_bytes});
    activity.uses.push_back({server_out_, costs.pull_bytes});
  }
  simulation_.Start(std::move(activity), std::move(done));
}

void ClusterModel::Apply(double floats, double seconds_a_float, Done done) {
  FluidSimulation::Activity activity;
  activity.amount = floats;
  activity.limit = simulation_.Capacity(server_threads_) / std::max(1e-15, seconds_a_float);
  activity.share = 1 / std::max(1e-15, seconds_a_float);
  activity.uses = {{server_processors_, seconds_a_float}, {server_threads_, seconds_a_float}};
  simulation_.Start(std::move(activity), std::move(done));
}

double ClusterModel::Jitter(uint32_t worker, uint64_t iteration, bool slowest) const {
  const std::array<uint32_t, 4> bits = Philox(spec_.seed, worker, iteration);
  double uniform = (static_cast<double>(bits[0]) + 0.5) / 4294967296.0;
  if (slowest) uniform = std::pow(uniform, 1 / represented_);
  const double jitter = std::exp(costs_.jitter * NormalQuantile(uniform));
  const double slow = spec_.slow_workers / represented_;
  return worker < slow ? jitter * spec_.slowness : jitter;
}

void ClusterModel::BeginLoads() {
  begun_ = simulation_.now();
  passed_.clear();
  const int last = std::max({server_threads_, server_in_, server_processors_});
  for (int i = 0; i <= last; ++i) passed_.push_back(simulation_.Passed(i));
}

std::vector<Load> ClusterModel::Loads() const {
  const double seconds = simulation_.now() - begun_;
  const auto used = [&](int resource) {
    if (resource < 0 || seconds <= 0) return 0.0;
    return (simulation_.Passed(resource) - passed_[static_cast<size_t>(resource)]) /
           (seconds * simulation_.Capacity(resource));
  };
  // The mean over the workers.
  const auto mean = [&](int WorkerResources::*resource) {
    double sum = 0;
    for (const WorkerResources& worker : worker_resources_) sum += used(worker.*resource);
    return sum / workers_;
  };
  std::vector<Load> loads;
  if (spec_.one_machine) {
    loads.push_back({"the machine's processors", used(server_processors_)});
  } else {
    loads.push_back({"workers' processors", mean(&WorkerResources::processors)});
    loads.push_back({"servers' processors", used(server_processors_)});
  }
  loads.push_back({"servers' apply threads", used(server_threads_)});
  if (server_in_ >= 0) {
    loads.push_back({"servers' network, incoming", used(server_in_)});
    loads.push_back({"servers' network, outgoing", used(server_out_)});
    loads.push_back({"workers' network, outgoing", mean(&WorkerResources::out)});
    loads.push_back({"workers' network, incoming", mean(&WorkerResources::in)});
  }
  return loads;
}

}  // namespace samovar
