#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/exceptions.h"
#include "common/base/printable.h"
#include "common/base/status_macros.h"
#include "common/model/consistency.h"
#include "common/model/push_units.h"
#include "common/parameters/encoding.h"
#include "common/parameters/sparse_floats.h"
#include "common/rpc/rpc_options.h"
#include "server/store/chunk_store.h"

namespace samovar {
namespace {

// A response must pass the channel's limit with room for all that is not payload.
constexpr uint64_t kMaxPulledBytes = kMaxMessageBytes - (1 << 20);

// What is done with one entry of a request, on the chunk at `index` of the job.
struct Step {
  enum class Kind { kPush, kApply, kPull, kSquares, kAwait };
  Kind kind;
  int entry;
  size_t index;
};

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

// ExchangeOperation is one ExchangeRequest being worked on by several threads; the one that ends last answers.
//
// Thread safety: Start() on one thread; after that the tasks it posted. A pulled chunk's place in the response is
// written by one task only, and so is that of a chunk's squares.
class ExchangeOperation : public std::enable_shared_from_this<ExchangeOperation> {
 public:
  ExchangeOperation(ChunkStore* store, std::shared_ptr<ExchangeCall> call,
                    std::function<void(std::shared_ptr<ExchangeCall>)> done)
      : store_(store),
        call_(std::move(call)),
        done_(std::move(done)),
        request_(call_->request.head()),
        response_(call_->response) {}

  void Start() {
    response_.set_sequence(request_.sequence());
    absl::Status status = CatchExceptions([this] { return Begin(); });
    if (!status.ok()) Fail(0, status);
    EndPart();
  }

 private:
  absl::Status Begin() {
    absl::Status status = ReserveRequest();
    if (status.ok()) status = Admit();
    if (status.ok()) status = PrepareResponse();
    if (status.ok() && AwaitsChunks()) {
      status = BeginAwaiting();
    } else if (status.ok()) {
      status = ReserveAnswer();
    }
    if (!status.ok()) return status;
    PostSteps();
    if (request_.frozen() && request_.pull_size() > 0) PostFrozen();
    return absl::OkStatus();
  }

  absl::Status ReserveRequest() {
    SAMOVAR_ASSIGN_OR_RETURN(call_->request_memory, store_->messages_.Reserve(call_->request.bytes()));
    return absl::OkStatus();
  }

  // Before anything is pulled of an open job. What is read from the disk is counted as it comes.
  absl::Status ReserveAnswer() {
    if (job_ == nullptr) return absl::OkStatus();
    const v1::Encoding encoding = request_.frozen() ? v1::ENCODING_FLOAT32 : request_.pull_encoding();
    uint64_t bytes = 0;
    for (const uint32_t number : request_.pull()) {
      if (number < job_->plan().chunks()) bytes += EncodedBytes(encoding, job_->plan().size(number));
    }
    return ReserveAnswerBytes(bytes);
  }
  absl::Status ReserveAnswerBytes(uint64_t bytes) {
    if (bytes == 0) return absl::OkStatus();
    SAMOVAR_ASSIGN_OR_RETURN(MemoryBudget::Reservation memory, store_->messages_.Reserve(bytes));
    call_->answer_memory.push_back(std::move(memory));
    return absl::OkStatus();
  }

  // Whether anything of the request may be done.
  absl::Status Admit() {
    SAMOVAR_RETURN_IF_ERROR(CheckJobId(request_.job_id()));
    auto job = store_->FindJob(request_.job_id());
    // What was persisted can be pulled whether the job is open or not.
    const bool needs_job = request_.push_size() > 0 || !request_.frozen();
    if (!job.ok() && needs_job) return job.status();
    if (job.ok()) job_ = *std::move(job);
    if (request_.vector() != 0 && !request_.frozen()) {
      return absl::InvalidArgumentError(
          "the solver's history is read from frozen copies only; set frozen, or vector to 0");
    }
    if (!IsEncoding(request_.pull_encoding())) {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown pull_encoding ", static_cast<int>(request_.pull_encoding())));
    }
    if (request_.pull_encoding() == v1::ENCODING_SPARSE) {
      return absl::InvalidArgumentError("weights are not sparse; pull them in another encoding");
    }
    if (request_.waits()) SAMOVAR_RETURN_IF_ERROR(CheckWatermark());
    if (request_.apply() || request_.squares_size() > 0) SAMOVAR_RETURN_IF_ERROR(CheckClipping());
    if (request_.push_size() == 0 && !request_.apply()) return absl::OkStatus();

    SAMOVAR_RETURN_IF_ERROR(store_->AdmitWorker(request_.epoch()));
    SAMOVAR_RETURN_IF_ERROR(
        store_->metrics_.Refused(StoreMetrics::Refusal::kOpening, job_->CheckOpening(request_.opening())));
    SAMOVAR_RETURN_IF_ERROR(CheckIteration());
    if (request_.push_size() > 0) SAMOVAR_RETURN_IF_ERROR(CheckUnit());
    if (static_cast<size_t>(request_.push_size()) > job_->chunks()) {
      return absl::InvalidArgumentError(absl::StrCat("the request pushes ", request_.push_size(), " chunks, but ",
                                                     job_->chunks(), " of job \"", job_->id(), "\" are here"));
    }
    return absl::OkStatus();
  }

  absl::Status CheckIteration() const {
    if (request_.iteration() < job_->max_iter()) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("iteration ", request_.iteration(), " is not one of job \"",
                                                   job_->id(), "\", which has max_iter ", job_->max_iter()));
  }

  uint64_t Iterations() const { return std::max(1u, request_.iterations()); }

  absl::Status CheckUnit() const {
    const uint64_t t = request_.iteration();
    const uint64_t end = UnitEnd(t, job_->push_every(), job_->max_iter());
    if (BetweenUnits(t, job_->push_every(), job_->max_iter()) && t + Iterations() == end) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("job \"", job_->id(), "\" takes whole units of ", job_->push_every(),
                                                   " iterations (push_every), not a push of ", Iterations(), " from ",
                                                   t, " on"));
  }

  absl::Status CheckWatermark() const {
    if (request_.frozen())
      return absl::InvalidArgumentError("a frozen copy does not change; leave out waits, or frozen");
    if (request_.watermark() <= job_->max_iter()) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("job \"", job_->id(), "\" has max_iter ", job_->max_iter(),
                                                   " and will not get to the watermark ", request_.watermark()));
  }

  absl::Status CheckClipping() const {
    if (job_ == nullptr || !job_->clips()) {
      return absl::InvalidArgumentError("squares and apply are for jobs with clip_gradients and several parts");
    }
    SAMOVAR_RETURN_IF_ERROR(CheckIteration());
    const bool squares = request_.squares_size() > 0;
    if (request_.push_size() > 0 || request_.frozen() || (squares && (request_.apply() || request_.pull_size() > 0))) {
      return absl::InvalidArgumentError(
          "squares do not go together with anything else, apply only with a pull of live weights");
    }
    if (static_cast<size_t>(request_.squares_size()) > job_->chunks()) {
      return absl::InvalidArgumentError(absl::StrCat("the request asks for the squares of ", request_.squares_size(),
                                                     " chunks, but ", job_->chunks(), " of job \"", job_->id(),
                                                     "\" are here"));
    }
    if (request_.apply() && !(std::isfinite(request_.norm()) && request_.norm() >= 0)) {
      return absl::InvalidArgumentError(absl::StrCat("the norm of a gradient is at least 0, not ", request_.norm()));
    }
    return absl::OkStatus();
  }

  // Whether the chunks are awaited before any of them is pulled: only then is it known that the answer will not lie
  // about, full of weights, for want of the last one. What is applied first is there then.
  bool AwaitsChunks() const {
    if (request_.squares_size() > 0) return true;
    return request_.waits() && request_.watermark() > 0 && request_.push_size() == 0 && request_.pull_size() > 0 &&
           !request_.apply();
  }

  // Where the chunks are to be before anything of them is sent.
  uint64_t AwaitedStage() const {
    if (request_.squares_size() > 0) return Chunk::SummedStage(request_.iteration());
    return request_.waits() ? Chunk::StageAt(request_.watermark()) : 0;
  }

  absl::Status BeginAwaiting() {
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

  // Bounds the answer's size before anything is put into it.
  absl::Status PrepareResponse() {
    // Of a job that is not open the chunk's size is known only when it is read: ReadFrozen counts.
    const uint64_t elements = job_ != nullptr ? job_->plan().chunk_elements() : ChunkPlan::kMinChunkElements;
    if (static_cast<uint64_t>(request_.pull_size()) > kMaxPulledBytes / sizeof(float) / elements) {
      return absl::InvalidArgumentError(absl::StrCat("the request pulls ", request_.pull_size(), " chunks; at most ",
                                                     kMaxPulledBytes / sizeof(float) / elements,
                                                     " fit into a response, ask for the others in another request"));
    }
    call_->weights.resize(static_cast<size_t>(request_.pull_size()));
    for (const uint32_t chunk : request_.squares()) response_.add_squares()->set_chunk(chunk);
    return absl::OkStatus();
  }

  // Deals the steps to the lanes, one task a lane: pushes before pulls.
  void PostSteps() {
    std::vector<std::vector<Step>> steps(store_->apply_threads_.lanes());
    const auto add = [&](Step::Kind kind, int entry, uint32_t number) {
      const std::optional<size_t> index = job_->IndexOf(number);
      if (index.has_value()) {
        steps[*index % steps.size()].push_back({kind, entry, *index});
      } else {
        Fail(RankOf(kind, entry), absl::InvalidArgumentError(absl::StrCat("chunk ", number, " of job \"", job_->id(),
                                                                          "\" is not on this server")));
      }
    };
    for (int i = 0; i < request_.push_size(); ++i) add(Step::Kind::kPush, i, request_.push(i).chunk());
    for (int i = 0; i < request_.pull_size() && request_.apply(); ++i) add(Step::Kind::kApply, i, request_.pull(i));
    const Step::Kind kind = awaiting_ ? Step::Kind::kAwait : Step::Kind::kPull;
    for (int i = 0; i < request_.pull_size() && !request_.frozen(); ++i) add(kind, i, request_.pull(i));
    const Step::Kind summed = awaiting_ ? Step::Kind::kAwait : Step::Kind::kSquares;
    for (int i = 0; i < request_.squares_size(); ++i) add(summed, i, request_.squares(i));

    for (size_t thread = 0; thread < steps.size(); ++thread) {
      if (steps[thread].empty()) continue;
      const int rank = RankOf(steps[thread].front().kind, steps[thread].front().entry);
      BeginPart();
      const absl::Status posted = CatchExceptions([&] {
        return store_->apply_threads_.RunOrPost(static_cast<int>(thread),
                                                [self = shared_from_this(), rank, mine = std::move(steps[thread])] {
                                                  self->RunAll(rank, mine);
                                                  self->EndPart();
                                                });
      });
      if (!posted.ok()) {
        Fail(rank, posted);
        EndPart();
      }
    }
  }

  // What a step throws is the error of the request; each step leaves its chunk whole.
  void RunAll(int rank, const std::vector<Step>& steps) {
    const absl::Time began = SteadyNow();
    const absl::Status status = CatchExceptions([&] {
      for (const Step& step : steps) Run(step);
      return absl::OkStatus();
    });
    store_->metrics_.ObserveApply(SteadyNow() - began);
    if (!status.ok()) Fail(rank, status);
  }

  void Run(const Step& step) {
    Chunk& chunk = job_->chunk(step.index);
    const bool there = chunk.stage() >= AwaitedStage();
    switch (step.kind) {
      case Step::Kind::kPush:
        Push(step.entry, chunk);
        job_->waits(step.index).Reached(chunk.stage());
        break;
      case Step::Kind::kApply:
        if (const absl::Status applied = chunk.ApplyClipped(job_->rule(), request_.iteration(), request_.norm());
            !applied.ok()) {
          Fail(RankOf(step.kind, step.entry), applied);
        }
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

  void Await(const Step& step) {
    const int rank = RankOf(step.kind, step.entry);
    BeginPart();
    const absl::Status waiting = CatchExceptions([&] {
      job_->waits(step.index)
          .Add(AwaitedStage(), SteadyNow() + store_->options_.hold,
               [self = shared_from_this(), rank](const absl::Status& status) {
                 if (absl::IsDeadlineExceeded(status)) {
                   self->not_yet_.store(true, std::memory_order_relaxed);
                 } else if (!status.ok()) {
                   self->Fail(rank, status);
                 }
                 self->EndPart();
               });
      return absl::OkStatus();
    });
    if (waiting.ok()) return;
    Fail(rank, waiting);
    EndPart();
  }

  void Pull(int entry, Chunk& chunk) {
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

  void Push(int entry, Chunk& chunk) {
    const v1::ChunkData& data = request_.push(entry);
    const absl::StatusOr<std::span<const float>> gradient = Decode(entry, chunk);
    if (!gradient.ok()) return Fail(RankOf(Step::Kind::kPush, entry), gradient.status());
    const absl::StatusOr<bool> applied =
        chunk.Push(job_->rule(), request_.iteration(), data.version(), *gradient, request_.part(), Iterations());
    if (!applied.ok()) return Fail(RankOf(Step::Kind::kPush, entry), applied.status());
    // Relaxed: read after the last EndPart, which orders them.
    (*applied ? applied_ : duplicates_).fetch_add(1, std::memory_order_relaxed);
    if (*applied) return;
    absl::MutexLock lock(&mu_);
    response_.add_dropped(data.chunk());
  }

  // A pushed gradient; valid until the next is decoded on this thread.
  absl::StatusOr<std::span<const float>> Decode(int entry, const Chunk& chunk) const {
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
    if (data.encoding() == v1::ENCODING_FLOAT32)
      return std::span(reinterpret_cast<const float*>(payload.data()), floats);
    scratch.floats.resize(floats);
    if (!sparse) {
      DecodeFloats(data.encoding(), payload.data(), scratch.floats);
    } else if (const absl::Status decoded = DecodeSparse(payload, scratch.floats); !decoded.ok()) {
      return Annotate(decoded, absl::StrCat("chunk ", data.chunk()));
    }
    return scratch.floats;
  }

  void PostFrozen() {
    BeginPart();
    const absl::Status posted = CatchExceptions([this] {
      return store_->frozen_reader_.Post(0, [self = shared_from_this()] {
        const absl::Status status = CatchExceptions([&self] {
          self->ReadFrozen();
          return absl::OkStatus();
        });
        if (!status.ok()) self->Fail(self->RankOf(Step::Kind::kPull, 0), status);
        self->EndPart();
      });
    });
    if (!posted.ok()) {
      Fail(RankOf(Step::Kind::kPull, 0), posted);
      EndPart();
    }
  }

  void ReadFrozen() {
    const std::shared_ptr<const FrozenCopy> copy =
        job_ == nullptr ? nullptr : job_->frozen(request_.frozen_iteration());
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
          return Fail(
              RankOf(Step::Kind::kPull, i),
              absl::InvalidArgumentError(absl::StrCat("the request pulls ", request_.pull_size(), " chunks; only ", i,
                                                      " fit into a response, ask for the others in another request")));
        }
        Write(i, *image);
      } else if (const std::optional<size_t> index = job_->IndexOf(number); index.has_value()) {
        Write(i, copy->chunks[*index]);
      } else {
        Fail(RankOf(Step::Kind::kPull, i),
             absl::InvalidArgumentError(
                 absl::StrCat("chunk ", number, " of job \"", job_->id(), "\" is not on this server")));
      }
    }
  }

  void Write(int entry, const ChunkImage& image) {
    absl::StatusOr<grpc::Slice> weights = EncodeImage(image, request_.vector());
    if (!weights.ok()) return Fail(RankOf(Step::Kind::kPull, entry), weights.status());
    call_->weights[static_cast<size_t>(entry)] = *std::move(weights);
  }

  // The place of an entry among all of the request's, so that the first error is the same whichever thread is faster.
  int RankOf(Step::Kind kind, int entry) const {
    return kind == Step::Kind::kPush ? entry : request_.push_size() + entry;
  }

  void Fail(int rank, const absl::Status& status) {
    absl::MutexLock lock(&mu_);
    if (rank >= first_error_rank_) return;
    first_error_rank_ = rank;
    first_error_ = status;
  }

  void BeginPart() { parts_.fetch_add(1, std::memory_order_relaxed); }

  // Acquire and release: the last one sees what all others wrote.
  void EndPart() {
    if (parts_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    if (!awaiting_) return Answer();
    awaiting_ = false;
    store_->held_pulls_.fetch_sub(1, std::memory_order_relaxed);
    if (!MayPull()) return Answer();
    BeginPart();
    const absl::Status pulled = CatchExceptions([this] {
      SAMOVAR_RETURN_IF_ERROR(ReserveAnswer());
      PostSteps();
      return absl::OkStatus();
    });
    if (!pulled.ok()) Fail(0, pulled);
    EndPart();
  }

  bool MayPull() const {
    absl::MutexLock lock(&mu_);
    return first_error_.ok() && !not_yet_.load(std::memory_order_relaxed);
  }

  void Answer() {
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
    // Whoever has the answer may close the job, and finds its memory free.
    job_.reset();
    done_(std::move(call_));
  }

  ChunkStore* const store_;
  std::shared_ptr<ExchangeCall> call_;
  const std::function<void(std::shared_ptr<ExchangeCall>)> done_;
  const v1::ExchangeRequest& request_;
  v1::ExchangeResponse& response_;
  // Null if only frozen chunks of a job that is not open are asked for.
  std::shared_ptr<HostedJob> job_;

  // Whether this is about the chunks' getting there, and pulls come after it. Changes only between parts.
  bool awaiting_ = false;
  // Start() itself is one part.
  std::atomic<int> parts_{1};
  // Relaxed: read after the last EndPart, which orders it.
  std::atomic<bool> not_yet_{false};
  std::atomic<uint32_t> applied_{0};
  std::atomic<uint32_t> duplicates_{0};

  mutable absl::Mutex mu_;
  int first_error_rank_ ABSL_GUARDED_BY(mu_) = std::numeric_limits<int>::max();
  absl::Status first_error_ ABSL_GUARDED_BY(mu_);
};

void ChunkStore::Exchange(std::shared_ptr<ExchangeCall> call, std::function<void(std::shared_ptr<ExchangeCall>)> done) {
  std::make_shared<ExchangeOperation>(this, std::move(call), std::move(done))->Start();
}

}  // namespace samovar
