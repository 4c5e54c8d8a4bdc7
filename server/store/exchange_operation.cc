#include "server/store/exchange_operation.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/exceptions.h"
#include "common/base/printable.h"
#include "common/base/status_macros.h"
#include "common/model/consistency.h"
#include "common/parameters/encoding.h"
#include "common/parameters/sparse_floats.h"
#include "common/rpc/rpc_options.h"
#include "server/store/exchange_checks.h"

namespace samovar {
namespace {

// A response must pass the channel's limit with room for all that is not payload.
constexpr uint64_t kMaxPulledBytes = kMaxMessageBytes - (1 << 20);

// The buffers of a thread that runs tasks, kept for their memory, which a chunk's largest size bounds: fresh pages
// would cost more than the copy.
struct Scratch {
  std::vector<char> bytes;
  std::vector<float> floats;
};
thread_local Scratch scratch;

// One entry of the response's weights but for its payload.
v1::ChunkData HeadOf(uint32_t chunk, uint64_t version, v1::Encoding encoding = v1::ENCODING_FLOAT32) {
  v1::ChunkData data;
  data.set_chunk(chunk);
  data.set_encoding(encoding);
  data.set_version(version);
  return data;
}

// `vector` as in ExchangeRequest. INVALID_ARGUMENT: there is no such vector.
absl::StatusOr<grpc::Slice> EncodeImage(const ChunkImage& image, uint32_t vector) {
  if (vector > image.state.size()) {
    return absl::InvalidArgumentError(absl::StrCat("chunk ", image.chunk, " has no vector ", vector,
                                                   ": its solver keeps ", image.state.size(), " beside the weights"));
  }
  const std::vector<float>& values = vector == 0 ? image.weights : image.state[vector - 1];
  const size_t bytes = values.size() * sizeof(float);
  return EncodeWeights(HeadOf(image.chunk, image.version), bytes,
                       [&](char* payload) { std::memcpy(payload, values.data(), bytes); });
}

}  // namespace

ExchangeOperation::ExchangeOperation(ChunkStore* store, std::shared_ptr<ExchangeCall> call,
                                     std::function<void(std::shared_ptr<ExchangeCall>)> done)
    : store_(store),
      call_(std::move(call)),
      done_(std::move(done)),
      request_(call_->request.head()),
      response_(call_->response) {}

void ExchangeOperation::Start() {
  response_.set_sequence(request_.sequence());
  absl::Status status = CatchExceptions([this] { return Begin(); });
  if (!status.ok()) Fail(0, status);
  EndTask();
}

absl::Status ExchangeOperation::Begin() {
  absl::Status status = ReserveRequest();
  if (status.ok()) status = Admit();
  if (status.ok()) status = PrepareResponse();
  if (status.ok() && AwaitsChunks()) {
    status = BeginAwaiting();
  } else if (status.ok()) {
    status = ReserveAnswer();
  }
  if (!status.ok()) return status;
  PostTasks();
  if (request_.frozen() && request_.pull_size() > 0) PostFrozen();
  return absl::OkStatus();
}

absl::Status ExchangeOperation::ReserveRequest() {
  SAMOVAR_ASSIGN_OR_RETURN(call_->request_memory, store_->messages_.Reserve(call_->request.bytes()));
  return absl::OkStatus();
}

absl::Status ExchangeOperation::ReserveAnswer() {
  if (job_ == nullptr) return absl::OkStatus();
  const v1::Encoding encoding = request_.frozen() ? v1::ENCODING_FLOAT32 : request_.pull_encoding();
  uint64_t bytes = 0;
  for (const uint32_t number : request_.pull()) {
    if (number < job_->plan().chunks()) bytes += EncodedBytes(encoding, job_->plan().size(number));
  }
  return ReserveAnswerBytes(bytes);
}

absl::Status ExchangeOperation::ReserveAnswerBytes(uint64_t bytes) {
  if (bytes == 0) return absl::OkStatus();
  SAMOVAR_ASSIGN_OR_RETURN(MemoryBudget::Reservation memory, store_->messages_.Reserve(bytes));
  call_->answer_memory.push_back(std::move(memory));
  return absl::OkStatus();
}

absl::Status ExchangeOperation::Admit() {
  SAMOVAR_RETURN_IF_ERROR(CheckJobId(request_.job_id()));
  auto job = store_->FindJob(request_.job_id());
  // A snapshot can be pulled whether the job is open or not.
  const bool needs_job = request_.push_size() > 0 || !request_.frozen();
  if (!job.ok() && needs_job) return job.status();
  if (job.ok()) job_ = *std::move(job);
  SAMOVAR_RETURN_IF_ERROR(CheckExchange(request_, job_.get()));
  if (request_.push_size() == 0 && !request_.apply()) return absl::OkStatus();
  SAMOVAR_RETURN_IF_ERROR(store_->AdmitWorker(request_.epoch()));
  SAMOVAR_RETURN_IF_ERROR(
      store_->metrics_.Refused(StoreMetrics::Refusal::kOpening, job_->CheckOpening(request_.opening())));
  return CheckChange(request_, *job_);
}

bool ExchangeOperation::AwaitsChunks() const {
  if (request_.squares_size() > 0) return true;
  return request_.waits() && request_.watermark() > 0 && request_.push_size() == 0 && request_.pull_size() > 0 &&
         !request_.apply();
}

uint64_t ExchangeOperation::AwaitedStage() const {
  if (request_.squares_size() > 0) return Chunk::SummedStage(request_.iteration());
  return request_.waits() ? Chunk::StageAt(request_.watermark()) : 0;
}

absl::Status ExchangeOperation::BeginAwaiting() {
  const int limit = store_->options_.max_held_pulls;
  if (store_->held_pulls_.fetch_add(1, std::memory_order_relaxed) >= limit) {
    store_->held_pulls_.fetch_sub(1, std::memory_order_relaxed);
    return store_->metrics_.Refused(
        StoreMetrics::Refusal::kHeldPulls,
        absl::ResourceExhaustedError(absl::StrCat(limit, " pulls wait on this server already; try again later")));
  }
  awaiting_ = true;
  return absl::OkStatus();
}

absl::Status ExchangeOperation::PrepareResponse() {
  // The size of chunks of a job that is not open is known only when it is read: ReadFrozen counts.
  const uint64_t elements = job_ != nullptr ? job_->plan().chunk_elements() : ChunkPlan::kMinChunkElements;
  if (static_cast<uint64_t>(request_.pull_size()) > kMaxPulledBytes / sizeof(float) / elements) {
    return absl::InvalidArgumentError(absl::StrCat("the request pulls ", request_.pull_size(), " chunks; at most ",
                                                   kMaxPulledBytes / sizeof(float) / elements,
                                                   " fit into a response, ask for the others in another request"));
  }
  call_->weights.resize(static_cast<size_t>(request_.pull_size()));
  for (const uint32_t chunk : request_.squares()) response_.add_squares()->set_chunk(chunk);
  response_.mutable_staleness()->Resize(request_.push_size(), 0);
  return absl::OkStatus();
}

std::vector<std::vector<ExchangeOperation::Step>> ExchangeOperation::DealSteps() {
  std::vector<std::vector<Step>> steps(static_cast<size_t>(store_->lanes_.lanes()));
  const auto add = [&](Step::Kind kind, int entry, uint32_t number) {
    const std::optional<size_t> index = job_->IndexOf(number);
    if (index.has_value()) {
      steps[static_cast<size_t>(store_->lanes_.LaneOf(*index))].push_back({kind, entry, *index});
    } else {
      Fail(RankOf(kind, entry), absl::InvalidArgumentError(absl::StrCat("chunk ", number, " of job \"", job_->id(),
                                                                        "\" is not on this server")));
    }
  };
  for (int i = 0; i < request_.push_size(); ++i) add(Step::Kind::kPush, i, request_.push(i).chunk());
  for (int i = 0; i < request_.pull_size() && request_.apply(); ++i) add(Step::Kind::kApply, i, request_.pull(i));
  const Step::Kind pulled = awaiting_ ? Step::Kind::kAwait : Step::Kind::kPull;
  for (int i = 0; i < request_.pull_size() && !request_.frozen(); ++i) add(pulled, i, request_.pull(i));
  const Step::Kind summed = awaiting_ ? Step::Kind::kAwait : Step::Kind::kSquares;
  for (int i = 0; i < request_.squares_size(); ++i) add(summed, i, request_.squares(i));
  return steps;
}

void ExchangeOperation::PostTasks() {
  std::vector<std::vector<Step>> steps = DealSteps();
  for (size_t lane = 0; lane < steps.size(); ++lane) {
    if (steps[lane].empty()) continue;
    const int rank = RankOf(steps[lane].front().kind, steps[lane].front().entry);
    BeginTask();
    const absl::Status posted = CatchExceptions([&] {
      return store_->lanes_.RunOrPost(static_cast<int>(lane),
                                      [self = shared_from_this(), rank, mine = std::move(steps[lane])] {
                                        self->RunAll(rank, mine);
                                        self->EndTask();
                                      });
    });
    if (!posted.ok()) {
      Fail(rank, posted);
      EndTask();
    }
  }
}

void ExchangeOperation::RunAll(int rank, const std::vector<Step>& steps) {
  const absl::Time began = SteadyNow();
  const absl::Status status = CatchExceptions([&] {
    for (const Step& step : steps) Run(step);
    return absl::OkStatus();
  });
  store_->metrics_.ObserveApply(SteadyNow() - began);
  if (!status.ok()) Fail(rank, status);
}

void ExchangeOperation::Run(const Step& step) {
  Chunk& chunk = job_->chunk(step.index);
  const bool there = chunk.stage() >= AwaitedStage();
  switch (step.kind) {
    case Step::Kind::kPush:
      Push(step.entry, chunk);
      job_->waits(step.index).Reached(chunk.stage());
      break;
    case Step::Kind::kApply:
      Apply(step.entry, chunk);
      job_->waits(step.index).Reached(chunk.stage());
      break;
    case Step::Kind::kSquares: {
      const std::span<const double> sums = chunk.Squares(request_.iteration());
      response_.mutable_squares(step.entry)->mutable_sums()->Add(sums.begin(), sums.end());
      break;
    }
    case Step::Kind::kAwait:
      if (!there) Await(step);
      break;
    case Step::Kind::kPull:
      if (there) {
        Pull(step.entry, chunk);
      } else {
        not_yet_.store(true, std::memory_order_relaxed);
      }
      break;
  }
}

void ExchangeOperation::Await(const Step& step) {
  const int rank = RankOf(step.kind, step.entry);
  BeginTask();
  const absl::Status waiting = CatchExceptions([&] {
    job_->waits(step.index)
        .Add(AwaitedStage(), SteadyNow() + store_->options_.hold,
             [self = shared_from_this(), rank](const absl::Status& status) {
               if (absl::IsDeadlineExceeded(status)) {
                 self->not_yet_.store(true, std::memory_order_relaxed);
               } else if (!status.ok()) {
                 self->Fail(rank, status);
               }
               self->EndTask();
             });
    return absl::OkStatus();
  });
  if (waiting.ok()) return;
  Fail(rank, waiting);
  EndTask();
}

void ExchangeOperation::Apply(int entry, Chunk& chunk) {
  const absl::Status applied = chunk.ApplyClipped(job_->rule(), request_.iteration(), request_.norm());
  if (!applied.ok()) Fail(RankOf(Step::Kind::kApply, entry), applied);
}

void ExchangeOperation::Pull(int entry, Chunk& chunk) {
  const auto watermark = request_.waits() ? std::optional(request_.watermark()) : std::nullopt;
  const uint32_t number = chunk.image().chunk;
  const uint64_t version = chunk.PulledVersion(watermark);
  const size_t floats = chunk.image().weights.size();
  const v1::Encoding encoding = request_.pull_encoding();
  const auto write = [&](char* payload) {
    if (encoding == v1::ENCODING_FLOAT32) return chunk.WritePulled(job_->rule(), watermark, payload);
    scratch.floats.resize(floats);
    chunk.WritePulled(job_->rule(), watermark, reinterpret_cast<char*>(scratch.floats.data()));
    EncodeFloats(encoding, scratch.floats, WeightsKey(job_->seed(), version, number), payload);
  };
  call_->weights[static_cast<size_t>(entry)] =
      EncodeWeights(HeadOf(number, version, encoding), EncodedBytes(encoding, floats), write);
}

void ExchangeOperation::Push(int entry, Chunk& chunk) {
  const v1::ChunkData& data = request_.push(entry);
  const absl::StatusOr<std::span<const float>> gradient = Decode(entry, chunk);
  if (!gradient.ok()) return Fail(RankOf(Step::Kind::kPush, entry), gradient.status());
  const absl::StatusOr<bool> applied = chunk.Push(job_->rule(), request_.iteration(), data.version(), *gradient,
                                                  PushedPart(request_), IterationsOf(request_));
  if (!applied.ok()) return Fail(RankOf(Step::Kind::kPush, entry), applied.status());
  // Relaxed: read after the last EndTask, which orders them.
  (*applied ? applied_ : duplicates_).fetch_add(1, std::memory_order_relaxed);
  if (*applied) return response_.set_staleness(entry, 1 + chunk.last_staleness());
  absl::MutexLock lock(&mu_);
  response_.add_dropped(data.chunk());
}

absl::StatusOr<std::span<const float>> ExchangeOperation::Decode(int entry, const Chunk& chunk) const {
  const v1::ChunkData& data = request_.push(entry);
  if (!IsEncoding(data.encoding())) {
    return absl::InvalidArgumentError(
        absl::StrCat("chunk ", data.chunk(), ": unknown encoding ", static_cast<int>(data.encoding())));
  }
  const size_t floats = chunk.image().weights.size();
  const uint64_t bytes = call_->request.payload_bytes(entry);
  const bool sparse = data.encoding() == v1::ENCODING_SPARSE;
  if (sparse ? bytes > EncodedBytes(data.encoding(), floats) : bytes != EncodedBytes(data.encoding(), floats)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "chunk ", data.chunk(), ": the payload has ", bytes, " bytes, but ", floats, " floats are ",
        sparse ? "at most " : "", EncodedBytes(data.encoding(), floats), " in ", EncodingName(data.encoding())));
  }
  const std::span<const char> payload = call_->request.Payload(entry, &scratch.bytes);
  if (data.encoding() == v1::ENCODING_FLOAT32) return std::span(reinterpret_cast<const float*>(payload.data()), floats);
  scratch.floats.resize(floats);
  if (!sparse) {
    DecodeFloats(data.encoding(), payload.data(), scratch.floats);
  } else if (const absl::Status decoded = DecodeSparse(payload, scratch.floats); !decoded.ok()) {
    return Annotate(decoded, absl::StrCat("chunk ", data.chunk()));
  }
  return scratch.floats;
}

void ExchangeOperation::PostFrozen() {
  BeginTask();
  const absl::Status posted = CatchExceptions([this] {
    return store_->frozen_reader_.Post(0, [self = shared_from_this()] {
      const absl::Status status = CatchExceptions([&self] {
        self->ReadFrozen();
        return absl::OkStatus();
      });
      if (!status.ok()) self->Fail(self->RankOf(Step::Kind::kPull, 0), status);
      self->EndTask();
    });
  });
  if (!posted.ok()) {
    Fail(RankOf(Step::Kind::kPull, 0), posted);
    EndTask();
  }
}

void ExchangeOperation::ReadFrozen() {
  const std::shared_ptr<const FrozenCopy> copy = job_ == nullptr ? nullptr : job_->frozen(request_.frozen_iteration());
  uint64_t stored_bytes = 0;
  for (int i = 0; i < request_.pull_size(); ++i) {
    const uint32_t number = request_.pull(i);
    if (copy == nullptr) {
      auto image = store_->snapshots_->ReadChunk(request_.job_id(), request_.frozen_iteration(), number);
      if (!image.ok()) return Fail(RankOf(Step::Kind::kPull, i), image.status());
      const uint64_t bytes = image->weights.size() * sizeof(float);
      if (const absl::Status memory = job_ == nullptr ? ReserveAnswerBytes(bytes) : absl::OkStatus(); !memory.ok()) {
        return Fail(RankOf(Step::Kind::kPull, i), memory);
      }
      stored_bytes += bytes;
      if (stored_bytes > kMaxPulledBytes) {
        return Fail(RankOf(Step::Kind::kPull, i), absl::InvalidArgumentError(absl::StrCat(
                                                      "the request pulls ", request_.pull_size(), " chunks; only ", i,
                                                      " fit into a response, ask for the others in another request")));
      }
      Write(i, *image);
    } else if (const std::optional<size_t> index = job_->IndexOf(number); index.has_value()) {
      Write(i, copy->chunks[*index]);
    } else {
      Fail(RankOf(Step::Kind::kPull, i), absl::InvalidArgumentError(absl::StrCat(
                                             "chunk ", number, " of job \"", job_->id(), "\" is not on this server")));
    }
  }
}

void ExchangeOperation::Write(int entry, const ChunkImage& image) {
  absl::StatusOr<grpc::Slice> weights = EncodeImage(image, request_.vector());
  if (!weights.ok()) return Fail(RankOf(Step::Kind::kPull, entry), weights.status());
  call_->weights[static_cast<size_t>(entry)] = *std::move(weights);
}

void ExchangeOperation::Fail(int rank, const absl::Status& status) {
  absl::MutexLock lock(&mu_);
  if (rank >= first_error_rank_) return;
  first_error_rank_ = rank;
  first_error_ = status;
}

// Acquire and release: the last one sees what all others wrote.
void ExchangeOperation::EndTask() {
  if (tasks_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (!awaiting_) return Answer();
  awaiting_ = false;
  store_->held_pulls_.fetch_sub(1, std::memory_order_relaxed);
  if (!MayPull()) return Answer();
  BeginTask();
  const absl::Status pulled = CatchExceptions([this] {
    SAMOVAR_RETURN_IF_ERROR(ReserveAnswer());
    PostTasks();
    return absl::OkStatus();
  });
  if (!pulled.ok()) Fail(0, pulled);
  EndTask();
}

bool ExchangeOperation::MayPull() const {
  absl::MutexLock lock(&mu_);
  return first_error_.ok() && !not_yet_.load(std::memory_order_relaxed);
}

void ExchangeOperation::Answer() {
  {
    absl::MutexLock lock(&mu_);
    response_.set_code(static_cast<int32_t>(first_error_.code()));
    // The code says most of it.
    CatchExceptions([this]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      response_.set_message(Printable(first_error_.message()));
      return absl::OkStatus();
    }).IgnoreError();
    response_.set_not_yet(first_error_.ok() && not_yet_.load(std::memory_order_relaxed));
    if (!first_error_.ok() || response_.not_yet()) {
      call_->weights.clear();
      call_->answer_memory.clear();
      response_.clear_squares();
    }
  }
  response_.set_applied(applied_.load(std::memory_order_relaxed));
  response_.set_duplicates(duplicates_.load(std::memory_order_relaxed));
  // The gradients are not needed any more, and the response may wait for a slow reader.
  call_->request.DropPayloads();
  call_->request_memory = MemoryBudget::Reservation();
  // A client that has the answer may close the job, and finds its memory free.
  job_.reset();
  done_(std::move(call_));
}

}  // namespace samovar
