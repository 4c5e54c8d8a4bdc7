#include "common/parameters/parameter_client.h"

#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/model/consistency.h"
#include "common/model/gradient_clip.h"
#include "common/parameters/encoding.h"
#include "common/parameters/push_counters.h"
#include "common/rpc/status.h"
#include "samovar/v1/parameter.pb.h"

namespace samovar {
namespace {

// A wait looks at its stopper and at silent servers this often.
constexpr absl::Duration kTick = absl::Milliseconds(100);

// More channels are only made for a user who asks for them: each costs some of the rate where one thread serves them
// all.
constexpr uint64_t kMostChosen = 4;

// Whether a new stream may cure the error that ended one, or a server's error.
bool IsWorthRetrying(const absl::Status& status) {
  return IsTransient(status) || absl::IsInternal(status) || absl::IsUnknown(status);
}

uint32_t ChannelsOf(const ParameterClient::Options& options) {
  if (options.channels > 0) return options.channels;
  const uint64_t share = options.elements * sizeof(float) / options.servers.size();
  return static_cast<uint32_t>(std::clamp<uint64_t>(share / ParameterClient::kBytesPerChannel, 1, kMostChosen));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ParameterClient>> ParameterClient::Create(const Options& options, const Dialer& dialer) {
  if (!IsEncoding(options.encoding)) {
    return absl::InvalidArgumentError(
        absl::StrCat("encoding is ", static_cast<int>(options.encoding), ", which this version does not know"));
  }
  if (options.encoding == v1::ENCODING_SPARSE && !(options.topk_ratio > 0 && options.topk_ratio <= 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("a top-k ratio must be above 0 and at most 1, not ", options.topk_ratio));
  }
  if (options.channels > kMaxChannels) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.channels, " channels to each server; at most ", kMaxChannels));
  }
  SAMOVAR_ASSIGN_OR_RETURN(const ChunkPlan plan, ChunkPlan::Create(options.elements, options.chunk_elements,
                                                                   static_cast<uint32_t>(options.servers.size())));
  return std::unique_ptr<ParameterClient>(new ParameterClient(options, plan, dialer));
}

ParameterClient::ParameterClient(const Options& options, const ChunkPlan& plan, const Dialer& dialer)
    : options_(options),
      plan_(plan),
      versions_(plan.chunks(), 0),
      uncovered_(plan.chunks(), 0),
      events_([](void* tag, bool ok) { ServerStream::Complete(static_cast<ServerStream::Event*>(tag), ok); }) {
  ServerStream::Owner* const owner = this;
  const size_t streams = options_.servers.size() * ChannelsOf(options_);
  for (size_t i = 0; i < streams; ++i) {
    streams_.push_back(std::make_unique<ServerStream>(i, AddressOf(i), dialer, events_.queue(), owner));
  }
  absl::MutexLock lock(&mu_);
  queues_.resize(streams);
  if (keeps_residual()) feedback_ = std::make_unique<ErrorFeedback>(plan_, options_.topk_ratio, options_.whole);
}

ParameterClient::~ParameterClient() {
  AbandonPush();
  events_.Poll();
  for (auto& stream : streams_) stream->Close();
  for (auto& stream : streams_) stream->AwaitClosed();
}

absl::Status ParameterClient::Pull(std::span<float> weights, const WaitLimit& limit, const PulledWeights& which) {
  Operation operation;
  operation.head.set_waits(which.wait);
  operation.head.set_watermark(which.watermark);
  operation.weights = weights.data();
  return RunPull(std::move(operation), limit);
}

absl::Status ParameterClient::PullFrozen(uint64_t iteration, std::span<float> weights, const WaitLimit& limit) {
  // The weights are the copy's vector 0.
  return PullHistory(iteration, 0, weights, limit).status();
}

absl::StatusOr<uint64_t> ParameterClient::PullHistory(uint64_t iteration, uint32_t vector, std::span<float> values,
                                                      const WaitLimit& limit) {
  Operation operation;
  operation.head.set_frozen(true);
  operation.head.set_frozen_iteration(iteration);
  operation.head.set_vector(vector);
  operation.weights = values.data();
  SAMOVAR_RETURN_IF_ERROR(RunPull(std::move(operation), limit));
  absl::MutexLock lock(&mu_);
  return operation_.lowest_version;
}

absl::Status ParameterClient::RunPull(Operation operation, const WaitLimit& limit) {
  Begin(std::move(operation));
  {
    absl::MutexLock lock(&mu_);
    for (uint32_t chunk = 0; chunk < plan_.chunks(); ++chunk) queues_[StreamOf(chunk)].ready.push_back(chunk);
  }
  for (auto& stream : streams_) stream->Wake();
  return Await(limit).status();
}

absl::StatusOr<std::vector<double>> ParameterClient::PullSquares(uint64_t iteration, const WaitLimit& limit) {
  Operation operation;
  operation.head.set_iteration(iteration);
  operation.squares.resize(plan_.chunks());
  SAMOVAR_RETURN_IF_ERROR(RunPull(std::move(operation), limit));
  absl::MutexLock lock(&mu_);
  std::vector<double> all;
  for (const std::vector<double>& sums : operation_.squares) {
    if (sums.empty()) return std::vector<double>();
    all.insert(all.end(), sums.begin(), sums.end());
  }
  return all;
}

absl::Status ParameterClient::ApplyAndPull(uint64_t iteration, uint64_t epoch, double norm, std::span<float> weights,
                                           const WaitLimit& limit) {
  Operation operation;
  operation.head.set_iteration(iteration);
  operation.head.set_epoch(epoch);
  operation.head.set_apply(true);
  operation.head.set_norm(norm);
  operation.head.set_waits(true);
  operation.head.set_watermark(iteration + 1);
  operation.weights = weights.data();
  return RunPull(std::move(operation), limit);
}

void ParameterClient::StartPush(uint64_t iteration, uint64_t epoch, std::span<const float> gradients,
                                std::span<float> weights, const PulledWeights& which, const PartRange& part,
                                bool in_full, uint32_t iterations) {
  Operation operation;
  operation.head.set_iteration(iteration);
  operation.head.set_epoch(epoch);
  operation.head.set_part(part.first);
  // One is left out, as those do that know no subtrees.
  if (part.count > 1) operation.head.set_part_count(part.count);
  operation.head.set_iterations(iterations);
  operation.head.set_waits(which.wait);
  operation.head.set_watermark(which.watermark);
  operation.gradients = gradients.data();
  operation.weights = weights.data();
  Begin(std::move(operation));
  absl::MutexLock lock(&mu_);
  if (feedback_ != nullptr) feedback_->Begin(in_full);
}

void ParameterClient::RoundAsSent(uint64_t iteration, uint32_t part, std::span<float> gradients) const {
  if (options_.encoding == v1::ENCODING_FLOAT32) return;
  std::vector<char> sent(EncodedBytes(options_.encoding, plan_.chunk_elements()));
  for (uint32_t chunk = 0; chunk < plan_.chunks(); ++chunk) {
    const std::span<float> values = gradients.subspan(plan_.begin(chunk), plan_.size(chunk));
    EncodeFloats(options_.encoding, values, GradientKey(options_.seed, iteration, part, chunk), sent.data());
    DecodeFloats(options_.encoding, sent.data(), values);
  }
}

v1::PushCounters ParameterClient::TakeStaleness() {
  absl::MutexLock lock(&mu_);
  return std::exchange(staleness_, {});
}

double ParameterClient::ResidualNorm() const {
  absl::MutexLock lock(&mu_);
  return feedback_ == nullptr ? 0 : feedback_->Norm();
}

std::unique_ptr<ErrorFeedback> ParameterClient::ReleaseResidual() {
  absl::MutexLock lock(&mu_);
  // Nothing is encoded any more.
  ClearLocked();
  return std::move(feedback_);
}

void ParameterClient::AdoptResidual(std::unique_ptr<ErrorFeedback> residual) {
  absl::MutexLock lock(&mu_);
  feedback_ = std::move(residual);
}

void ParameterClient::Begin(Operation operation) {
  absl::MutexLock lock(&mu_);
  ClearLocked();
  active_ = true;
  operation_ = std::move(operation);
  operation_.head.set_job_id(options_.job_id);
  if (operation_.gradients != nullptr || operation_.head.apply()) operation_.head.set_opening(options_.opening);
  // Frozen copies are exact, and no weights are left out.
  if (!operation_.head.frozen() && options_.encoding != v1::ENCODING_SPARSE)
    operation_.head.set_pull_encoding(options_.encoding);
  operation_.unfinished_chunks = plan_.chunks();
  operation_.unpushed_chunks = operation_.gradients == nullptr ? 0 : plan_.chunks();
  operation_.begun = SteadyNow();
  for (uint32_t chunk = 0; chunk < plan_.chunks(); ++chunk) uncovered_[chunk] = plan_.size(chunk);
  all_uncovered_ = plan_.elements();
}

void ParameterClient::Ready(uint64_t begin, uint64_t end) {
  uint32_t first = 0;
  uint32_t last = 0;
  bool more_to_come = false;
  {
    absl::MutexLock lock(&mu_);
    if (!active_ || begin >= end) return;
    first = static_cast<uint32_t>(begin / plan_.chunk_elements());
    last = static_cast<uint32_t>((end - 1) / plan_.chunk_elements());
    all_uncovered_ -= end - begin;
    more_to_come = all_uncovered_ > 0;
    for (uint32_t chunk = first; chunk <= last; ++chunk) {
      const uint64_t from = std::max(begin, plan_.begin(chunk));
      const uint64_t to = std::min(end, plan_.begin(chunk) + plan_.size(chunk));
      uncovered_[chunk] -= static_cast<uint32_t>(to - from);
      if (uncovered_[chunk] == 0) queues_[StreamOf(chunk)].ready.push_back(chunk);
    }
  }
  const uint32_t wakes = std::min(last - first + 1, static_cast<uint32_t>(streams_.size()));
  for (uint32_t i = 0; i < wakes; ++i) streams_[StreamOf(first + i)]->Wake();
  // Otherwise the caller is about to wait.
  if (more_to_come) events_.Poll();
}

absl::StatusOr<ParameterClient::PushResult> ParameterClient::AwaitPush(const WaitLimit& limit) { return Await(limit); }

void ParameterClient::AbandonPush() {
  absl::MutexLock lock(&mu_);
  ClearLocked();
}

void ParameterClient::ClearLocked() {
  active_ = false;
  for (StreamQueue& queue : queues_) {
    queue.ready.clear();
    queue.ready_again.clear();
    queue.in_flight.clear();
    queue.told_to_wait = absl::InfinitePast();
    queue.last_error = absl::OkStatus();
  }
}

bool ParameterClient::FinishedLocked() const {
  return !active_ || operation_.unfinished_chunks == 0 || !operation_.error.ok();
}

absl::Time ParameterClient::DeadlineLocked(const WaitLimit& limit, absl::Duration patience) const {
  absl::Time earliest = absl::InfiniteFuture();
  for (const StreamQueue& queue : queues_) {
    if (queue.outstanding()) earliest = std::min(earliest, std::max(limit.deadline, queue.told_to_wait + patience));
  }
  return earliest == absl::InfiniteFuture() ? limit.deadline : earliest;
}

Waiting ParameterClient::WaitingLocked(absl::Time now) const {
  Waiting waiting;
  const size_t servers = options_.servers.size();
  for (size_t server = 0; server < servers; ++server) {
    absl::Duration silent;
    for (size_t i = server; i < queues_.size(); i += servers) {
      if (!queues_[i].outstanding()) continue;
      silent = std::max(silent, now - queues_[i].owed_since.value_or(operation_.begun));
      waiting.for_workers = waiting.for_workers || now - queues_[i].told_to_wait < Waiting::kSilence;
    }
    if (silent >= Waiting::kSilence) waiting.silent.push_back({AddressOf(server), silent});
  }
  waiting.for_workers = waiting.for_workers && waiting.silent.empty();
  waiting.pushed = operation_.gradients != nullptr && operation_.unpushed_chunks == 0;
  return waiting;
}

absl::StatusOr<ParameterClient::PushResult> ParameterClient::Await(const WaitLimit& limit) {
  const absl::Duration patience = limit.deadline - SteadyNow();
  const auto finished = [this] {
    absl::MutexLock lock(&mu_);
    return FinishedLocked();
  };
  while (true) {
    absl::Time until;
    {
      absl::MutexLock lock(&mu_);
      until = DeadlineLocked(limit, patience);
    }
    events_.ServeUntil(finished, std::min(kTick, until - SteadyNow()));
    Waiting waiting;
    {
      absl::MutexLock lock(&mu_);
      if (FinishedLocked()) {
        const bool was_active = active_;
        ClearLocked();
        if (!was_active) return absl::FailedPreconditionError("nothing was begun that could be awaited");
        if (!operation_.error.ok()) return operation_.error;
        return operation_.result;
      }
      const bool stopped = limit.stopper != nullptr && limit.stopper->stopped();
      if (stopped || SteadyNow() >= DeadlineLocked(limit, patience)) {
        const std::string unanswered = DescribeUnansweredLocked();
        ClearLocked();
        if (stopped) return absl::CancelledError(absl::StrCat("stopped; ", unanswered));
        return absl::DeadlineExceededError(unanswered);
      }
      if (limit.told) waiting = WaitingLocked(SteadyNow());
    }
    if (limit.told) limit.told(waiting);
    ReopenSilentStreams(SteadyNow());
  }
}

void ParameterClient::ReopenSilentStreams(absl::Time now) {
  std::vector<size_t> silent;
  {
    absl::MutexLock lock(&mu_);
    for (size_t i = 0; i < queues_.size(); ++i) {
      StreamQueue& queue = queues_[i];
      if (queue.in_flight.empty() || now - queue.last_progress < options_.answer_timeout) continue;
      silent.push_back(i);
    }
  }
  for (size_t i : silent) {
    streams_[i]->Reopen(
        absl::DeadlineExceededError(absl::StrCat("no answer for ", absl::FormatDuration(options_.answer_timeout))));
  }
}

std::string ParameterClient::DescribeUnansweredLocked() const {
  std::vector<std::string> texts;
  for (size_t server = 0; server < options_.servers.size(); ++server) {
    size_t chunks = 0;
    absl::Status last_error;
    for (size_t i = server; i < queues_.size(); i += options_.servers.size()) {
      const StreamQueue& queue = queues_[i];
      chunks += queue.ready.size() + queue.ready_again.size();
      for (const Request& request : queue.in_flight) chunks += request.chunks.size();
      if (last_error.ok()) last_error = queue.last_error;
    }
    if (chunks == 0) continue;
    texts.push_back(absl::StrCat("server ", options_.servers[server], " has not answered for ", chunks, " chunks",
                                 last_error.ok() ? "" : ", last error: ", last_error.message()));
  }
  return absl::StrCat("job ", options_.job_id, ": ", absl::StrJoin(texts, "; "));
}

std::deque<uint32_t>* ParameterClient::NextChunksLocked(StreamQueue* queue) const {
  if (!active_ || !operation_.error.ok()) return nullptr;
  const size_t again = static_cast<size_t>(std::count_if(queue->in_flight.begin(), queue->in_flight.end(),
                                                         [](const Request& request) { return request.again; }));
  if (!queue->ready.empty() && queue->in_flight.size() - again < kMaxInFlight) return &queue->ready;
  if (again < kMaxInFlight && PullsAgainLocked(*queue)) return &queue->ready_again;
  return nullptr;
}

bool ParameterClient::PullsAgainLocked(const StreamQueue& queue) const {
  if (queue.ready_again.empty()) return false;
  const bool pushing =
      operation_.gradients != nullptr && std::any_of(queue.in_flight.begin(), queue.in_flight.end(),
                                                     [](const Request& request) { return !request.again; });
  return !pushing || queue.ready_again.size() * plan_.chunk_elements() * sizeof(float) >= kPullBytes;
}

bool ParameterClient::NextRequest(size_t index, grpc::ByteBuffer* request) {
  absl::MutexLock lock(&mu_);
  StreamQueue& queue = queues_[index];
  std::deque<uint32_t>* const ready = NextChunksLocked(&queue);
  if (ready == nullptr) return false;
  Request next;
  next.sequence = next_sequence_++;
  next.again = ready == &queue.ready_again;
  const uint64_t most = next.again || operation_.gradients == nullptr ? kPullBytes : kRequestBytes;
  uint64_t bytes = 0;
  for (const uint32_t chunk : *ready) {
    bytes += EncodedBytes(PushEncodingLocked(), plan_.size(chunk));
    if (!next.chunks.empty() && bytes > most) break;
    next.chunks.push_back(chunk);
  }
  *request = EncodeLocked(next);
  // Chunks are in one of the two whatever is thrown.
  queue.in_flight.push_back(std::move(next));
  ready->erase(ready->begin(), ready->begin() + static_cast<int64_t>(queue.in_flight.back().chunks.size()));
  if (queue.in_flight.size() == 1) queue.last_progress = SteadyNow();
  if (!queue.owed_since.has_value()) queue.owed_since = SteadyNow();
  return true;
}

v1::Encoding ParameterClient::PushEncodingLocked() const {
  return operation_.head.part_count() > 1 ? v1::ENCODING_FLOAT32 : options_.encoding;
}

grpc::ByteBuffer ParameterClient::EncodeLocked(const Request& request) {
  operation_.head.set_sequence(request.sequence);
  pushed_.clear();
  if (operation_.gradients != nullptr && !request.again) {
    for (uint32_t chunk : request.chunks) {
      PushedChunk& pushed = pushed_.emplace_back();
      const std::span<const float> gradient(operation_.gradients + plan_.begin(chunk), plan_.size(chunk));
      pushed = {chunk, versions_[chunk], gradient, PushEncodingLocked()};
      if (feedback_ != nullptr) {
        const ErrorFeedback::Payload payload = feedback_->Encode(chunk, pushed.gradient);
        pushed.encoding = payload.encoding;
        pushed.payload = payload.bytes;
      } else {
        pushed.key = GradientKey(options_.seed, operation_.head.iteration(), operation_.head.part(), chunk);
      }
    }
  }
  const std::vector<uint32_t>& chunks = request.chunks;
  if (operation_.weights != nullptr) operation_.head.mutable_pull()->Assign(chunks.begin(), chunks.end());
  if (!operation_.squares.empty()) operation_.head.mutable_squares()->Assign(chunks.begin(), chunks.end());
  return EncodeExchangeRequest(operation_.head, pushed_);
}

absl::Status ParameterClient::TakeResponse(size_t index, grpc::ByteBuffer* response) {
  absl::MutexLock lock(&mu_);
  StreamQueue& queue = queues_[index];
  queue.last_progress = SteadyNow();
  const absl::Cleanup taken = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { answer_.DropPayloads(); };
  SAMOVAR_RETURN_IF_ERROR(answer_.Parse(response, plan_.chunks()));
  const v1::ExchangeResponse& answer = answer_.head();
  const auto request = std::find_if(queue.in_flight.begin(), queue.in_flight.end(),
                                    [&answer](const Request& sent) { return sent.sequence == answer.sequence(); });
  // The oldest request is answered first, as a rule.
  queue.owed_since.reset();
  if (queue.in_flight.size() > 1) queue.owed_since = queue.last_progress;
  // An answer to an abandoned request.
  if (request == queue.in_flight.end()) return absl::OkStatus();
  if (answer.code() != 0) {
    const absl::Status error(static_cast<absl::StatusCode>(answer.code()), answer.message());
    if (IsWorthRetrying(error)) return error;
    operation_.error = Annotate(error, absl::StrCat("server ", AddressOf(index)));
    return absl::OkStatus();
  }
  operation_.result.applied += answer.applied();
  operation_.result.duplicates += answer.duplicates();
  for (const uint64_t staleness : answer.staleness()) {
    if (staleness > 0) CountApplied(staleness - 1, &staleness_);
  }
  const bool pushed = operation_.gradients != nullptr && !request->again;
  if (pushed) operation_.unpushed_chunks -= static_cast<uint32_t>(request->chunks.size());
  if (pushed && feedback_ != nullptr) {
    const auto& dropped = answer.dropped();
    for (const uint32_t chunk : request->chunks)
      feedback_->Settle(chunk, std::find(dropped.begin(), dropped.end(), chunk) == dropped.end());
  }
  if (answer.not_yet()) {
    if (!operation_.head.waits() && operation_.squares.empty())
      return absl::DataLossError("the server asks to wait, but the request waits for nothing");
    queue.told_to_wait = queue.last_progress;
    queue.ready_again.insert(queue.ready_again.end(), request->chunks.begin(), request->chunks.end());
    queue.in_flight.erase(request);
    return absl::OkStatus();
  }
  SAMOVAR_RETURN_IF_ERROR(CheckWeightsLocked(*request));
  SAMOVAR_RETURN_IF_ERROR(CheckSquaresLocked(*request));
  for (const v1::ChunkSquares& squares : answer.squares())
    operation_.squares[squares.chunk()].assign(squares.sums().begin(), squares.sums().end());
  answer_.DecodeWeights([this, weights = operation_.weights](uint32_t chunk) {
    return std::span<float>(weights + plan_.begin(chunk), plan_.size(chunk));
  });
  for (const v1::ChunkData& weights : answer.weights()) {
    operation_.lowest_version = std::min(operation_.lowest_version, weights.version());
    // A frozen copy's versions are not those of the live weights.
    if (!operation_.head.frozen()) versions_[weights.chunk()] = weights.version();
  }
  operation_.unfinished_chunks -= static_cast<uint32_t>(request->chunks.size());
  queue.in_flight.erase(request);
  return absl::OkStatus();
}

absl::Status ParameterClient::CheckWeightsLocked(const Request& request) const {
  const v1::ExchangeResponse& answer = answer_.head();
  const int expected = operation_.weights != nullptr ? static_cast<int>(request.chunks.size()) : 0;
  if (answer.weights_size() != expected) {
    return absl::DataLossError(
        absl::StrCat("the answer carries ", answer.weights_size(), " chunks where ", expected, " were asked for"));
  }
  for (int i = 0; i < expected; ++i) {
    const v1::ChunkData& weights = answer.weights(i);
    const uint32_t chunk = request.chunks[static_cast<size_t>(i)];
    const v1::Encoding encoding = operation_.head.pull_encoding();
    if (weights.chunk() != chunk || weights.encoding() != encoding) {
      return absl::DataLossError(absl::StrCat("the answer carries chunk ", weights.chunk(), " in encoding ",
                                              static_cast<int>(weights.encoding()), " where chunk ", chunk, " in ",
                                              EncodingName(encoding), " was asked for"));
    }
    const uint64_t bytes = EncodedBytes(encoding, plan_.size(chunk));
    if (answer_.payload_bytes(i) != bytes) {
      return absl::DataLossError(
          absl::StrCat("chunk ", chunk, " has ", answer_.payload_bytes(i), " bytes instead of ", bytes));
    }
  }
  return absl::OkStatus();
}

absl::Status ParameterClient::CheckSquaresLocked(const Request& request) const {
  const auto& squares = answer_.head().squares();
  const size_t expected = operation_.squares.empty() ? 0 : request.chunks.size();
  bool right = static_cast<size_t>(squares.size()) == expected;
  for (size_t i = 0; i < expected && right; ++i) {
    const v1::ChunkSquares& one = squares.Get(static_cast<int>(i));
    right = one.chunk() == request.chunks[i] &&
            (one.sums().empty() || static_cast<size_t>(one.sums_size()) == SquaresBlocks(plan_.size(one.chunk())));
  }
  return right ? absl::OkStatus() : absl::DataLossError("the answer carries other sums of squares than were asked for");
}

bool ParameterClient::StreamEnded(size_t index, const absl::Status& status) {
  absl::MutexLock lock(&mu_);
  if (!active_) return false;
  StreamQueue& queue = queues_[index];
  queue.last_error = status;
  if (!IsWorthRetrying(status)) {
    operation_.error = Annotate(status, absl::StrCat("server ", AddressOf(index)));
    return false;
  }
  // In their old order.
  for (auto request = queue.in_flight.rbegin(); request != queue.in_flight.rend(); ++request) {
    std::deque<uint32_t>& ready = request->again ? queue.ready_again : queue.ready;
    ready.insert(ready.begin(), request->chunks.begin(), request->chunks.end());
  }
  queue.in_flight.clear();
  return !queue.ready.empty() || !queue.ready_again.empty();
}

}  // namespace samovar
