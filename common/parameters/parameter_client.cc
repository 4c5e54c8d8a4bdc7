#include "common/parameters/parameter_client.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/model/gradient_clip.h"
#include "common/rpc/status.h"
#include "samovar/v1/parameter.pb.h"

namespace samovar {
namespace {

// A wait looks at its stopper and at silent servers this often.
constexpr absl::Duration kTick = absl::Milliseconds(100);

// Whether a new stream may cure what ended one, or what a server answered.
bool IsWorthRetrying(const absl::Status& status) {
  return IsTransient(status) || absl::IsInternal(status) || absl::IsUnknown(status);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ParameterClient>> ParameterClient::Create(const Options& options) {
  if (!IsEncoding(options.encoding)) {
    return absl::InvalidArgumentError(absl::StrCat("encoding ", static_cast<int>(options.encoding), " is none that this version knows"));
  }
  SAMOVAR_ASSIGN_OR_RETURN(const ChunkPlan plan,
                           ChunkPlan::Create(options.elements, options.chunk_elements,
                                             static_cast<uint32_t>(options.servers.size())));
  return std::unique_ptr<ParameterClient>(new ParameterClient(options, plan));
}

ParameterClient::ParameterClient(const Options& options, const ChunkPlan& plan)
    : options_(options),
      plan_(plan),
      servers_(options.servers.size()),
      versions_(plan.chunks(), 0),
      uncovered_(plan.chunks(), 0) {
  ServerStream::Owner* const owner = this;
  for (size_t i = 0; i < options_.servers.size(); ++i) {
    streams_.push_back(std::make_unique<ServerStream>(i, options_.servers[i], &queue_, owner));
  }
  thread_ = std::thread([this] { ServeQueue(); });
}

ParameterClient::~ParameterClient() {
  AbandonPush();
  for (auto& stream : streams_) stream->Close();
  for (auto& stream : streams_) stream->AwaitClosed();
  // Only now: an operation begun on a queue that was shut down would be fatal.
  queue_.Shutdown();
  thread_.join();
}

void ParameterClient::ServeQueue() {
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) ServerStream::Complete(static_cast<ServerStream::Event*>(tag), ok);
}

absl::Status ParameterClient::Pull(std::span<float> weights, const WaitLimit& limit, const PulledWeights& which) {
  Operation operation;
  operation.head.waits = which.wait;
  operation.head.watermark = which.watermark;
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
  operation.head.frozen = true;
  operation.head.frozen_iteration = iteration;
  operation.head.vector = vector;
  operation.weights = values.data();
  SAMOVAR_RETURN_IF_ERROR(RunPull(std::move(operation), limit));
  absl::MutexLock lock(&mu_);
  return operation_.lowest_version;
}

absl::Status ParameterClient::RunPull(Operation operation, const WaitLimit& limit) {
  Begin(std::move(operation));
  {
    absl::MutexLock lock(&mu_);
    for (uint32_t chunk = 0; chunk < plan_.chunks(); ++chunk) servers_[plan_.server_of(chunk)].ready.push_back(chunk);
  }
  for (auto& stream : streams_) stream->Wake();
  return Await(limit).status();
}

absl::StatusOr<std::vector<double>> ParameterClient::PullSquares(uint64_t iteration, const WaitLimit& limit) {
  Operation operation;
  operation.head.iteration = iteration;
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
  operation.head.iteration = iteration;
  operation.head.epoch = epoch;
  operation.head.apply = true;
  operation.head.norm = norm;
  operation.head.waits = true;
  operation.head.watermark = iteration + 1;
  operation.weights = weights.data();
  return RunPull(std::move(operation), limit);
}

void ParameterClient::StartPush(uint64_t iteration, uint64_t epoch, std::span<const float> gradients,
                                std::span<float> weights, const PulledWeights& which, uint32_t part) {
  Operation operation;
  operation.head.iteration = iteration;
  operation.head.epoch = epoch;
  operation.head.part = part;
  operation.head.waits = which.wait;
  operation.head.watermark = which.watermark;
  operation.gradients = gradients.data();
  operation.weights = weights.data();
  Begin(std::move(operation));
}

void ParameterClient::Begin(Operation operation) {
  absl::MutexLock lock(&mu_);
  ClearLocked();
  active_ = true;
  operation_ = std::move(operation);
  operation_.head.job_id = options_.job_id;
  // Frozen copies are exact.
  if (!operation_.head.frozen) operation_.head.pull_encoding = options_.encoding;
  operation_.unfinished_chunks = plan_.chunks();
  for (uint32_t chunk = 0; chunk < plan_.chunks(); ++chunk) uncovered_[chunk] = plan_.size(chunk);
}

void ParameterClient::Ready(uint64_t begin, uint64_t end) {
  uint32_t first = 0;
  uint32_t last = 0;
  {
    absl::MutexLock lock(&mu_);
    if (!active_ || begin >= end) return;
    first = static_cast<uint32_t>(begin / plan_.chunk_elements());
    last = static_cast<uint32_t>((end - 1) / plan_.chunk_elements());
    for (uint32_t chunk = first; chunk <= last; ++chunk) {
      const uint64_t from = std::max(begin, plan_.begin(chunk));
      const uint64_t to = std::min(end, plan_.begin(chunk) + plan_.size(chunk));
      uncovered_[chunk] -= static_cast<uint32_t>(to - from);
      if (uncovered_[chunk] == 0) servers_[plan_.server_of(chunk)].ready.push_back(chunk);
    }
  }
  const uint32_t wakes = std::min(last - first + 1, plan_.servers());
  for (uint32_t i = 0; i < wakes; ++i) streams_[plan_.server_of(first + i)]->Wake();
}

absl::StatusOr<ParameterClient::PushResult> ParameterClient::AwaitPush(const WaitLimit& limit) { return Await(limit); }

void ParameterClient::AbandonPush() {
  absl::MutexLock lock(&mu_);
  ClearLocked();
}

void ParameterClient::ClearLocked() {
  active_ = false;
  for (ServerQueue& server : servers_) {
    server.ready.clear();
    server.ready_again.clear();
    server.in_flight.clear();
    server.last_error = absl::OkStatus();
  }
}

bool ParameterClient::FinishedLocked() const {
  return !active_ || operation_.unfinished_chunks == 0 || !operation_.error.ok();
}

absl::StatusOr<ParameterClient::PushResult> ParameterClient::Await(const WaitLimit& limit) {
  const absl::Duration patience = limit.deadline - SteadyNow();
  for (absl::Time now = SteadyNow();; now = SteadyNow()) {
    {
      absl::MutexLock lock(&mu_);
      const absl::Time deadline = std::max(limit.deadline, operation_.told_to_wait + patience);
      mu_.AwaitWithTimeout(absl::Condition(this, &ParameterClient::FinishedLocked), std::min(kTick, deadline - now));
      if (FinishedLocked()) {
        const bool was_active = active_;
        ClearLocked();
        if (!was_active) return absl::FailedPreconditionError("nothing was begun that could be awaited");
        if (!operation_.error.ok()) return operation_.error;
        return operation_.result;
      }
      const bool stopped = limit.stopper != nullptr && limit.stopper->stopped();
      if (stopped || SteadyNow() >= std::max(deadline, operation_.told_to_wait + patience)) {
        const std::string unanswered = DescribeUnansweredLocked();
        ClearLocked();
        if (stopped) return absl::CancelledError(absl::StrCat("stopped; ", unanswered));
        return absl::DeadlineExceededError(unanswered);
      }
    }
    ReopenSilentStreams(SteadyNow());
  }
}

void ParameterClient::ReopenSilentStreams(absl::Time now) {
  std::vector<size_t> silent;
  {
    absl::MutexLock lock(&mu_);
    for (size_t i = 0; i < servers_.size(); ++i) {
      ServerQueue& server = servers_[i];
      if (server.in_flight.empty() || now - server.last_progress < options_.answer_timeout) continue;
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
  for (size_t i = 0; i < servers_.size(); ++i) {
    const ServerQueue& server = servers_[i];
    size_t chunks = server.ready.size() + server.ready_again.size();
    for (const Request& request : server.in_flight) chunks += request.chunks.size();
    if (chunks == 0) continue;
    texts.push_back(absl::StrCat("server ", options_.servers[i], " has not answered for ", chunks, " chunks",
                                 server.last_error.ok() ? "" : ", last error: ", server.last_error.message()));
  }
  return absl::StrCat("job ", options_.job_id, ": ", absl::StrJoin(texts, "; "));
}

std::deque<uint32_t>* ParameterClient::NextChunksLocked(ServerQueue* server) const {
  if (!active_ || !operation_.error.ok()) return nullptr;
  const size_t again = static_cast<size_t>(std::count_if(server->in_flight.begin(), server->in_flight.end(),
                                                         [](const Request& request) { return request.again; }));
  if (!server->ready.empty() && server->in_flight.size() - again < kMaxInFlight) return &server->ready;
  if (!server->ready_again.empty() && again < kMaxInFlight) return &server->ready_again;
  return nullptr;
}

bool ParameterClient::NextRequest(size_t index, grpc::ByteBuffer* request) {
  absl::MutexLock lock(&mu_);
  ServerQueue& server = servers_[index];
  std::deque<uint32_t>* const ready = NextChunksLocked(&server);
  if (ready == nullptr) return false;
  Request next;
  next.sequence = next_sequence_++;
  next.again = ready == &server.ready_again;
  uint64_t bytes = 0;
  while (!ready->empty()) {
    const uint32_t chunk = ready->front();
    bytes += EncodedBytes(options_.encoding, plan_.size(chunk));
    if (!next.chunks.empty() && bytes > kRequestBytes) break;
    next.chunks.push_back(chunk);
    ready->pop_front();
  }
  *request = EncodeLocked(next);
  if (server.in_flight.empty()) server.last_progress = SteadyNow();
  server.in_flight.push_back(std::move(next));
  return true;
}

grpc::ByteBuffer ParameterClient::EncodeLocked(const Request& request) {
  operation_.head.sequence = request.sequence;
  pushed_.clear();
  if (operation_.gradients != nullptr && !request.again) {
    for (uint32_t chunk : request.chunks) {
      pushed_.push_back({chunk, versions_[chunk], {operation_.gradients + plan_.begin(chunk), plan_.size(chunk)}, options_.encoding,
                         GradientKey(options_.seed, operation_.head.iteration, operation_.head.part, chunk)});
    }
  }
  const std::span<const uint32_t> none;
  const std::span<const uint32_t> pull = operation_.weights != nullptr ? request.chunks : none;
  const std::span<const uint32_t> squares = operation_.squares.empty() ? none : request.chunks;
  return EncodeExchangeRequest(operation_.head, pushed_, pull, squares);
}

absl::Status ParameterClient::TakeResponse(size_t index, grpc::ByteBuffer* response) {
  absl::MutexLock lock(&mu_);
  ServerQueue& server = servers_[index];
  server.last_progress = SteadyNow();
  SAMOVAR_RETURN_IF_ERROR(ParseExchangeResponse(response, plan_.chunks(), &answer_));
  const auto request = std::find_if(server.in_flight.begin(), server.in_flight.end(),
                                    [this](const Request& sent) { return sent.sequence == answer_.sequence; });
  // An answer to what was abandoned.
  if (request == server.in_flight.end()) return absl::OkStatus();
  if (answer_.code != 0) {
    const absl::Status error(static_cast<absl::StatusCode>(answer_.code), answer_.message);
    if (IsWorthRetrying(error)) return error;
    operation_.error = Annotate(error, absl::StrCat("server ", options_.servers[index]));
    return absl::OkStatus();
  }
  operation_.result.applied += answer_.applied;
  operation_.result.duplicates += answer_.duplicates;
  if (answer_.not_yet) {
    if (!operation_.head.waits && operation_.squares.empty()) return absl::DataLossError("the answer says to wait where nothing was to wait for");
    operation_.told_to_wait = server.last_progress;
    server.ready_again.insert(server.ready_again.end(), request->chunks.begin(), request->chunks.end());
    server.in_flight.erase(request);
    return absl::OkStatus();
  }
  SAMOVAR_RETURN_IF_ERROR(CheckWeightsLocked(*request));
  SAMOVAR_RETURN_IF_ERROR(CheckSquaresLocked(*request));
  for (ExchangeAnswer::Squares& squares : answer_.squares) operation_.squares[squares.chunk] = std::move(squares.sums);
  destinations_.clear();
  for (const ExchangeAnswer::Weights& weights : answer_.weights) {
    destinations_.push_back({operation_.weights + plan_.begin(weights.chunk), plan_.size(weights.chunk)});
  }
  SAMOVAR_RETURN_IF_ERROR(DecodePayloads(response, answer_, destinations_));
  for (const ExchangeAnswer::Weights& weights : answer_.weights) {
    operation_.lowest_version = std::min(operation_.lowest_version, weights.version);
  }
  // A frozen copy's versions are not those of the live weights.
  if (!operation_.head.frozen) {
    for (const ExchangeAnswer::Weights& weights : answer_.weights) versions_[weights.chunk] = weights.version;
  }
  operation_.unfinished_chunks -= static_cast<uint32_t>(request->chunks.size());
  server.in_flight.erase(request);
  return absl::OkStatus();
}

absl::Status ParameterClient::CheckWeightsLocked(const Request& request) const {
  const size_t expected = operation_.weights != nullptr ? request.chunks.size() : 0;
  if (answer_.weights.size() != expected) {
    return absl::DataLossError(
        absl::StrCat("the answer carries ", answer_.weights.size(), " chunks where ", expected, " were asked for"));
  }
  for (size_t i = 0; i < expected; ++i) {
    const ExchangeAnswer::Weights& weights = answer_.weights[i];
    const v1::Encoding encoding = operation_.head.pull_encoding;
    if (weights.chunk != request.chunks[i] || weights.encoding != encoding) {
      return absl::DataLossError(absl::StrCat("the answer carries chunk ", weights.chunk, " in encoding ", weights.encoding,
                                              " where chunk ", request.chunks[i], " in ", EncodingName(encoding), " was asked for"));
    }
    if (static_cast<uint64_t>(weights.payload_bytes) != EncodedBytes(encoding, plan_.size(weights.chunk))) {
      return absl::DataLossError(absl::StrCat("chunk ", weights.chunk, " has ", weights.payload_bytes, " bytes instead of ",
                                              plan_.size(weights.chunk) * sizeof(float)));
    }
  }
  return absl::OkStatus();
}

absl::Status ParameterClient::CheckSquaresLocked(const Request& request) const {
  const size_t expected = operation_.squares.empty() ? 0 : request.chunks.size();
  bool right = answer_.squares.size() == expected;
  for (size_t i = 0; i < expected && right; ++i) {
    const ExchangeAnswer::Squares& squares = answer_.squares[i];
    right = squares.chunk == request.chunks[i] &&
            (squares.sums.empty() || squares.sums.size() == SquaresBlocks(plan_.size(squares.chunk)));
  }
  return right ? absl::OkStatus() : absl::DataLossError("the answer carries other sums of squares than were asked for");
}

bool ParameterClient::StreamEnded(size_t index, const absl::Status& status) {
  absl::MutexLock lock(&mu_);
  if (!active_) return false;
  ServerQueue& server = servers_[index];
  server.last_error = status;
  if (!IsWorthRetrying(status)) {
    operation_.error = Annotate(status, absl::StrCat("server ", options_.servers[index]));
    return false;
  }
  // In their old order.
  for (auto request = server.in_flight.rbegin(); request != server.in_flight.rend(); ++request) {
    std::deque<uint32_t>& ready = request->again ? server.ready_again : server.ready;
    ready.insert(ready.begin(), request->chunks.begin(), request->chunks.end());
  }
  server.in_flight.clear();
  return !server.ready.empty() || !server.ready_again.empty();
}

}  // namespace samovar
