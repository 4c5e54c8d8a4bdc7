#include "tests/server/exactness/wire_schedule.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <numeric>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/model/ledger.h"
#include "common/model/part_sum.h"
#include "common/rpc/dialer.h"
#include "tests/server/exactness/ask_server.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

// Far beyond what anything here takes.
constexpr absl::Duration kNever = absl::Seconds(60);
// Short, so that pulls that wait are told to come again.
constexpr absl::Duration kHold = absl::Milliseconds(20);
// The same all the time: what comes late is told by its opening.
constexpr uint64_t kEpoch = 1;

// Snapshots are written for real, but nothing here depends on a disk.
std::filesystem::path StateParent() {
  const std::filesystem::path memory = "/dev/shm";
  return std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path();
}

}  // namespace

WireSchedule::Setup WireSchedule::SetupOf(uint64_t seed) {
  std::mt19937_64 random(seed);
  Setup setup;
  setup.servers = static_cast<uint32_t>(1 + random() % 3);
  setup.workers = static_cast<uint32_t>(1 + random() % 4);
  setup.channels = static_cast<uint32_t>(1 + random() % 2);
  // Some schedules are of one kind of fault alone, most of all together.
  const auto chance = [&](int percent) { return random() % 4 == 0 ? 0 : percent; };
  setup.faults.overtaken = chance(30);
  setup.faults.twice = chance(25);
  setup.faults.again = chance(20);
  setup.faults.lost_request = chance(6);
  setup.faults.lost_answer = chance(8);
  setup.faults.answered_twice = chance(10);
  setup.faults.breaks = 3;
  setup.dies = chance(12);
  return setup;
}

WireSchedule::WireSchedule(uint64_t seed, const WireScenario& scenario) : WireSchedule(seed, scenario, SetupOf(seed)) {}

WireSchedule::WireSchedule(uint64_t seed, const WireScenario& scenario, const Setup& setup)
    : scenario_(scenario),
      setup_(setup),
      random_(seed),
      dir_(StateParent()),
      servers_(setup.servers),
      snapshots_(setup.servers),
      board_(seed, kWireIterations, std::max(1u, scenario.parts)) {
  for (size_t i = 0; i < setup.servers; ++i) {
    links_.push_back(std::make_unique<FaultLink>(random_(), setup.faults));
    addresses_.push_back(links_[i]->address());
    Restart(i, std::nullopt);
    links_[i]->Connect(servers_[i]->address());
  }
}

Weights WireSchedule::Undisturbed(const WireScenario& scenario) {
  WireScenario calm = scenario;
  calm.losses = WireScenario::Losses::kNone;
  WireSchedule schedule(0, calm, Setup());
  schedule.Run();
  return schedule.final_weights();
}

FaultLink::Counts WireSchedule::counts() const {
  FaultLink::Counts sum;
  for (const auto& link : links_) sum += link->counts();
  return sum;
}

void WireSchedule::Run() {
  // Nothing beyond a checkpoint may be leased before its weights are frozen: a worker may be faster than this thread.
  const uint64_t checkpoint = scenario_.losses == WireScenario::Losses::kRollback ? Draw(kWireIterations) : UINT64_MAX;
  board_.SetLimit(checkpoint);
  std::vector<std::thread> workers;
  for (uint32_t i = 0; i < setup_.workers; ++i) workers.emplace_back([this, seed = random_()] { Work(seed); });
  if (scenario_.losses == WireScenario::Losses::kServers) LoseServers();
  if (scenario_.losses == WireScenario::Losses::kRollback) RollBack(checkpoint);
  board_.Close();
  board_.AwaitDone(kWireIterations * parts());
  for (std::thread& worker : workers) worker.join();
  INFO(board_.failure());
  REQUIRE(board_.failure().empty());
  CheckEnd();
}

std::unique_ptr<ParameterClient> WireSchedule::MakeClient(const std::vector<std::string>& servers,
                                                          uint64_t opening) const {
  ParameterClient::Options options;
  options.job_id = "job";
  options.elements = kWireElements;
  options.chunk_elements = kWireChunkElements;
  options.servers = servers;
  options.opening = opening;
  options.channels = setup_.channels;
  options.encoding = scenario_.encoding;
  options.seed = 7;
  auto client = ParameterClient::Create(options, Dialer(RpcOptions()));
  return client.ok() ? *std::move(client) : nullptr;
}

PulledWeights WireSchedule::WeightsFor(uint64_t t) const {
  if (!scenario_.delay.has_value()) return {};
  return {true, t - std::min(t, *scenario_.delay)};
}

void WireSchedule::Work(uint64_t seed) {
  std::mt19937_64 random(seed);
  std::unique_ptr<ParameterClient> client;
  uint64_t opening = 0;
  while (const std::optional<LeaseBoard::Lease> lease = board_.Take()) {
    // As a worker does when it finds another opening in its assignment.
    if (client == nullptr || lease->opening != opening) client = MakeClient(addresses_, opening = lease->opening);
    const absl::Status status = Compute(&client, *lease, &random);
    const bool dead = client == nullptr;
    if (dead) {
      // Another worker comes in its place, that knows nothing of it.
      ++workers_lost_;
    }
    if (status.ok() && !dead) {
      board_.Done(*lease);
    } else if (status.ok() || !board_.Holds(*lease)) {
      board_.Return(*lease);
    } else {
      // Ends the others' work, too.
      board_.Fail(absl::StrCat("iteration ", lease->cell.t, " part ", lease->cell.part, ": ", status.ToString()));
    }
  }
}

PartRange WireSchedule::SubtreeWith(uint32_t part, std::mt19937_64* random) const {
  PartRange subtree(part);
  while (scenario_.subtrees && (*random)() % 2 == 0) {
    const std::optional<PartRange> sibling = SiblingOf(subtree, parts());
    if (!sibling.has_value()) break;
    subtree = PartRange(std::min(subtree.first, sibling->first), subtree.count + sibling->count);
  }
  return subtree;
}

Weights WireSchedule::ValuesOf(const ParameterClient& worker, uint64_t t, const PartRange& subtree,
                               const Weights& weights) const {
  if (subtree.count == 1) return WireGradient(t, subtree.first, weights);
  const uint32_t half = subtree.places() / 2;
  const PartRange halves[] = {PartRange(subtree.first, half), PartRange(subtree.first + half, subtree.count - half)};
  Weights values[] = {ValuesOf(worker, t, halves[0], weights), ValuesOf(worker, t, halves[1], weights)};
  for (size_t i = 0; i < 2; ++i) {
    if (halves[i].count == 1) worker.RoundAsSent(t, halves[i].first, values[i]);
  }
  const v1::OpenJobRequest job = MakeWireJob(setup_.servers, scenario_.parts, scenario_.solver);
  AddHalf(halves[1], values[1].data(), StatisticRangesOf(job.layout()), 0, kWireElements, halves[0], values[0].data());
  return values[0];
}

absl::Status WireSchedule::Compute(std::unique_ptr<ParameterClient>* worker, const LeaseBoard::Lease& lease,
                                   std::mt19937_64* random) const {
  const auto [t, part] = lease.cell;
  ParameterClient* const client = worker->get();
  const WaitLimit limit{SteadyNow() + kNever, lease.revoked.get()};
  // In the middle of whatever it does.
  const auto dies = [&] {
    if (static_cast<int>((*random)() % 100) >= setup_.dies) return false;
    worker->reset();
    return true;
  };
  Weights weights(kWireElements);
  SAMOVAR_RETURN_IF_ERROR(client->Pull(weights, limit, WeightsFor(t)));
  SAMOVAR_RETURN_IF_ERROR(CheckPulled(weights, WeightsFor(t).watermark));
  const PartRange subtree = SubtreeWith(part, random);
  const Weights gradient = ValuesOf(*client, t, subtree, weights);
  if (dies()) return absl::OkStatus();

  // Half of the pushes bring weights back.
  Weights fused((*random)() % 2 == 0 ? kWireElements : 0);
  client->StartPush(t, kEpoch, gradient, fused, WeightsFor(t), subtree);
  std::vector<uint32_t> chunks(kWireChunks);
  std::iota(chunks.begin(), chunks.end(), 0u);
  std::shuffle(chunks.begin(), chunks.end(), *random);
  for (uint32_t chunk : chunks) {
    if ((*random)() % kWireChunks == 0 && dies()) return absl::OkStatus();
    client->Ready(WireBegin(chunk), WireEnd(chunk));
  }
  if ((*random)() % 4 == 0 && dies()) return absl::OkStatus();
  SAMOVAR_RETURN_IF_ERROR(client->AwaitPush(limit).status());
  if (fused.empty()) return absl::OkStatus();
  return CheckPulled(fused, WeightsFor(t).watermark);
}

absl::Status WireSchedule::CheckPulled(const Weights& weights, uint64_t watermark) const {
  // Other encodings round what they bring.
  if (scenario_.encoding != v1::ENCODING_FLOAT32) return absl::OkStatus();
  for (uint32_t chunk = 0; chunk < kWireChunks; ++chunk) {
    for (uint64_t t = 0; t < kWireIterations; ++t) {
      const bool applied = EvidenceIs(weights, chunk, t, scenario_.parts, true);
      const bool none = EvidenceIs(weights, chunk, t, scenario_.parts, false);
      if (applied || (none && t >= watermark)) continue;
      return absl::InternalError(absl::StrCat(
          "pulled weights of chunk ", chunk, ": iteration ", t,
          none ? " is missing, the watermark was " : " is not in them once, the watermark was ", watermark));
    }
  }
  return absl::OkStatus();
}

void WireSchedule::Persist(size_t server, uint64_t name) {
  servers_[server]->Freeze("job", name);
  servers_[server]->Persist("job", name);
  snapshots_[server] = name;
}

void WireSchedule::Restart(size_t server, std::optional<uint64_t> snapshot) {
  servers_[server].reset();
  v1::OpenJobRequest job = MakeWireJob(setup_.servers, scenario_.parts, scenario_.solver);
  job.set_epoch(kEpoch);
  job.set_opening(opening_);
  job.set_restore(snapshot.has_value());
  job.set_restore_iteration(snapshot.value_or(0));
  servers_[server] =
      std::make_unique<ParameterServer>(dir_.File(absl::StrCat(server)), job, static_cast<uint32_t>(server), 0, kHold);
}

void WireSchedule::LoseServers() {
  const size_t cells = kWireIterations * parts();
  size_t done = 0;
  uint64_t name = 0;
  const uint64_t events = 2 + Draw(4);
  for (uint64_t event = 0; event < events; ++event) {
    board_.AwaitDone(done);
    done = std::min<size_t>(cells, done + Draw(cells / 2));
    const size_t server = Draw(setup_.servers);
    if (Draw(2) == 0) {
      Persist(server, name++);
      continue;
    }
    ++servers_lost_;
    links_[server]->Connect("");
    Restart(server, snapshots_[server]);
    CheckServer(server);
    std::set<uint64_t> missing;
    const v1::GetLedgersResponse ledgers = servers_[server]->Ledgers("job");
    for (const v1::ChunkLedger& chunk : ledgers.ledgers()) {
      const auto ledger = Ledger::FromProto(chunk.ledger());
      REQUIRE_OK(ledger);
      for (const IterationRange& range : ledger->Missing(0, kWireIterations)) {
        for (uint64_t t = range.begin; t < range.end; ++t) missing.insert(t);
      }
    }
    board_.ServerLost(missing, opening_);
    links_[server]->Connect(servers_[server]->address());
  }
}

void WireSchedule::RollBack(uint64_t checkpoint) {
  board_.AwaitDone(checkpoint * parts());
  if (!board_.failure().empty()) return;
  for (size_t i = 0; i < servers_.size() && checkpoint > 0; ++i) Persist(i, checkpoint);
  board_.SetLimit(UINT64_MAX);
  board_.AwaitDone(checkpoint * parts() + Draw((kWireIterations - checkpoint) * parts() + 1));
  ++servers_lost_;
  ++opening_;
  for (auto& link : links_) link->Connect("");
  for (size_t i = 0; i < servers_.size(); ++i) {
    Restart(i, snapshots_[i]);
    if (Draw(2) == 0) DeliverLate(i);
    CheckServer(i);
  }
  std::set<uint64_t> missing;
  for (uint64_t t = checkpoint; t < kWireIterations; ++t) missing.insert(t);
  board_.ServerLost(missing, opening_);
  for (size_t i = 0; i < servers_.size(); ++i) links_[i]->Connect(servers_[i]->address());
}

void WireSchedule::DeliverLate(size_t server) {
  std::vector<v1::ExchangeRequest> pushes = links_[server]->remembered();
  std::erase_if(pushes, [](const v1::ExchangeRequest& request) { return request.push().empty(); });
  for (v1::ExchangeRequest& push : pushes) push.clear_pull();
  for (const v1::ExchangeResponse& answer : AskServerAll(servers_[server]->address(), pushes)) {
    REQUIRE(answer.code() == static_cast<int>(absl::StatusCode::kFailedPrecondition));
  }
}

void WireSchedule::CheckServer(size_t server) {
  const v1::GetLedgersResponse ledgers = servers_[server]->Ledgers("job");
  v1::ExchangeRequest pull;
  pull.set_job_id("job");
  for (const v1::ChunkLedger& chunk : ledgers.ledgers()) pull.add_pull(chunk.chunk());
  const v1::ExchangeResponse answer = AskServerOk(servers_[server]->address(), pull);
  REQUIRE(answer.weights_size() == ledgers.ledgers_size());
  Weights weights(kWireElements);
  for (int i = 0; i < ledgers.ledgers_size(); ++i) {
    const uint32_t chunk = ledgers.ledgers(i).chunk();
    REQUIRE(answer.weights(i).chunk() == chunk);
    REQUIRE(answer.weights(i).payload().size() == (WireEnd(chunk) - WireBegin(chunk)) * sizeof(float));
    std::memcpy(weights.data() + WireBegin(chunk), answer.weights(i).payload().data(),
                answer.weights(i).payload().size());
    const auto ledger = Ledger::FromProto(ledgers.ledgers(i).ledger());
    REQUIRE_OK(ledger);
    for (uint64_t t = 0; t < kWireIterations; ++t) {
      INFO("server " << server << ", chunk " << chunk << ", iteration " << t);
      REQUIRE(EvidenceIs(weights, chunk, t, scenario_.parts, ledger->Contains(t)));
    }
  }
}

void WireSchedule::CheckEnd() {
  uint64_t applied = 0;
  std::vector<std::string> direct;
  for (size_t i = 0; i < servers_.size(); ++i) {
    CheckServer(i);
    const v1::GetLedgersResponse ledgers = servers_[i]->Ledgers("job");
    for (const v1::ChunkLedger& chunk : ledgers.ledgers()) {
      INFO("server " << i << ", chunk " << chunk.chunk() << ": " << chunk.ledger().ShortDebugString());
      REQUIRE(chunk.ledger().watermark() == kWireIterations);
      REQUIRE(chunk.ledger().beyond().empty());
    }
    applied += ledgers.counters().applied();
    direct.push_back(servers_[i]->address());
  }
  // A server that was lost has lost its count.
  const uint64_t pushes = kWireChunks * kWireIterations * parts();
  if (servers_lost_ == 0) REQUIRE((scenario_.subtrees ? applied <= pushes : applied == pushes));
  // As they are: a frozen copy is neither encoded nor moved on.
  for (auto& server : servers_) server->Freeze("job", kWireIterations + 100);
  final_weights_.assign(kWireElements, 0);
  REQUIRE_OK(
      MakeClient(direct, opening_)->PullFrozen(kWireIterations + 100, final_weights_, {SteadyNow() + kNever, nullptr}));
}

}  // namespace samovar
