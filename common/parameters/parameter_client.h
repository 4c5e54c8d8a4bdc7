// ParameterClient pulls and pushes one job's parameters: a few long-lived streams to each of the job's servers, each on
// a connection of its own, that the chunks are dealt to.
//
//   client->Pull(weights, limit);                              // weights of all chunks
//   client->StartPush(t, epoch, gradients, weights);           // gradients of iteration t; weights: fused with a pull
//   net->Backward([&](begin, end) { client->Ready(begin, end); });  // chunks leave as soon as they are complete
//   client->AwaitPush(limit);                                  // all chunks have iteration t, weights are the new ones
//
// Several requests are under way at a time, each of at most kRequestBytes (kPullBytes, if it only pulls) or one chunk.
// A stream that breaks, a server that is not there (yet) or is overloaded is tried again with growing delays until the
// caller's limit; a request without an answer is sent again, which is safe: a chunk applies an iteration once.
//
// A pull may have to wait for other workers' iterations. The server says so every second, and is asked again; such
// requests are counted apart from the others under way, so that no push stands behind them. Chunks that were pushed and
// have to wait are asked for together, when the pushes are answered.
//
// Thread safety: one operation at a time, by one thread at a time; a Stopper may be stopped from any.
// Lock order: mu_ is a leaf lock, held while a payload is copied but not over a call of gRPC's.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/model/chunk_plan.h"
#include "common/model/part_tree.h"
#include "common/parameters/error_feedback.h"
#include "common/parameters/event_queue.h"
#include "common/parameters/exchange_format.h"
#include "common/parameters/server_stream.h"
#include "common/parameters/wait_limit.h"
#include "common/rpc/dialer.h"

namespace samovar {

// Which weights a pull is to bring; by default those that there are.
struct PulledWeights {
  // They hold every iteration below `watermark`; the pull waits until they do. As in ExchangeRequest.waits.
  bool wait = false;
  uint64_t watermark = 0;
};

class ParameterClient final : private ServerStream::Owner {
 public:
  // Bytes of payload that a request carries at most, each way, unless one chunk is larger.
  static constexpr uint64_t kRequestBytes = 128 << 10;
  // The same for one that only pulls: nobody waits for its first chunks alone.
  static constexpr uint64_t kPullBytes = 1 << 20;
  // Requests under way on a stream; bounds the copies in memory. As many again may wait for other workers: together the
  // requests of one stream that a server works on at a time.
  static constexpr size_t kMaxInFlight = 8;

  // One connection is bound by one thread's work at the server, and by one congestion window.
  static constexpr uint32_t kMaxChannels = 8;
  static constexpr uint64_t kBytesPerChannel = 16 << 20;

  struct Options {
    std::string job_id;
    uint64_t elements = 0;
    uint32_t chunk_elements = 0;
    // Chunk c is at servers[c modulo their number], "host:port".
    std::vector<std::string> servers;
    // Connections to each server, at most kMaxChannels; 0: one for each kBytesPerChannel of its share of the model, and
    // no more than four.
    uint32_t channels = 0;
    // A server that owes an answer and has sent none for so long is taken for hung: its stream is opened anew.
    absl::Duration answer_timeout = absl::Seconds(30);
    // Named with each push, as in ExchangeRequest.
    uint64_t opening = 0;
    // How gradients and live weights travel, and the seed of their rounding.
    v1::Encoding encoding = v1::ENCODING_FLOAT32;
    uint64_t seed = 0;
    // For ENCODING_SPARSE, in which gradients travel, not weights (error_feedback.h).
    double topk_ratio = 0;
    std::vector<FloatRange> whole = {};
  };

  // How many of the pushed chunks were applied by the pushes that were answered, and how many had the iteration
  // already.
  struct PushResult {
    uint32_t applied = 0;
    uint32_t duplicates = 0;
  };

  // INVALID_ARGUMENT: no servers, or a chunk size, an encoding or a number of channels that is not one. Does not
  // connect: the first operation does.
  static absl::StatusOr<std::unique_ptr<ParameterClient>> Create(const Options& options, const Dialer& dialer);
  // Abandons the operation under way. Does not wait for servers.
  ~ParameterClient() override;

  uint64_t elements() const { return plan_.elements(); }
  uint32_t chunks() const { return plan_.chunks(); }

  // All operations block until they are done and return
  //   DEADLINE_EXCEEDED  the limit's deadline has passed; the message names the servers that are waited for and their
  //                      last error
  //   CANCELLED          the limit's stopper was stopped
  //   DATA_LOSS          a server's answer is garbage
  // or a server's own error: NOT_FOUND (the job is not open there), FAILED_PRECONDITION (the epoch is old, or the
  // opening another), INVALID_ARGUMENT (NaN or infinity in a gradient, say); the message names the server.
  // After an error `weights` hold a mixture. REQUIRES: spans of elements() floats.

  // The live weights.
  absl::Status Pull(std::span<float> weights, const WaitLimit& limit, const PulledWeights& which = {});
  // The copy that was frozen, or written as a snapshot, under the name of `iteration`.
  absl::Status PullFrozen(uint64_t iteration, std::span<float> weights, const WaitLimit& limit);
  // The solver's history, vector 1 or 2, of the same copy. INVALID_ARGUMENT: the solver does not keep so many. Returns
  // the smallest number of updates that a chunk of the copy holds.
  absl::StatusOr<uint64_t> PullHistory(uint64_t iteration, uint32_t vector, std::span<float> values,
                                       const WaitLimit& limit);

  // Begins a push; an earlier one that was not awaited is abandoned. With weights (else an empty span) each chunk's new
  // weights are written there when the server has applied its gradient, which may be any time after Ready() has covered
  // it. Both spans stay valid until AwaitPush or AbandonPush has returned. Staleness is counted from the last pull of
  // either kind. `which`: of the new weights. `part`: the subtree of an iteration's parts whose values
  // (common/model/part_sum.h) the gradients are, where iterations come in parts; those of several parts travel in
  // float32, whatever the encoding is, so that the model does not depend on who adds them up (RoundAsSent).
  // `in_full`: the push keeps nothing back of the gradients, nor of the residual of those before. `iterations`: how
  // many the push is of; then the gradients are a displacement, as ExchangeRequest.iterations says.
  void StartPush(uint64_t iteration, uint64_t epoch, std::span<const float> gradients, std::span<float> weights,
                 const PulledWeights& which = {}, const PartRange& part = {}, bool in_full = false,
                 uint32_t iterations = 1);
  // Rounds a part's gradient as the encoding does when it is pushed alone, for a worker that adds it to others itself.
  void RoundAsSent(uint64_t iteration, uint32_t part, std::span<float> gradients) const;
  // The gradients [begin, end) are final; each float is to be covered once. May send. Never waits for an answer.
  void Ready(uint64_t begin, uint64_t end);
  // REQUIRES: the ranges given to Ready cover all floats.
  absl::StatusOr<PushResult> AwaitPush(const WaitLimit& limit);
  // Servers may or may not apply the requests that were sent.
  void AbandonPush();
  // The staleness of the chunks' pushes that servers have answered as applied, since the last call.
  v1::PushCounters TakeStaleness() ABSL_LOCKS_EXCLUDED(mu_);

  // Whether pushes keep something back, and the L2 norm of the residual.
  bool keeps_residual() const { return options_.encoding == v1::ENCODING_SPARSE; }
  double ResidualNorm() const ABSL_LOCKS_EXCLUDED(mu_);
  // The residual goes from a client that is not used any more to the one that follows it, of the same chunks, ratio and
  // statistics. Null: pushes keep nothing back. REQUIRES, of AdoptResidual: not null, and keeps_residual()
  std::unique_ptr<ErrorFeedback> ReleaseResidual() ABSL_LOCKS_EXCLUDED(mu_);
  void AdoptResidual(std::unique_ptr<ErrorFeedback> residual) ABSL_LOCKS_EXCLUDED(mu_);

  // Both for a job that its servers clip (ExchangeRequest.squares), when a part of iteration `iteration` has been
  // pushed. The sums of squares of its gradient, in the order of the flat vector; waits for the parts of other workers.
  // Empty: all chunks have applied the iteration, and some have all parts of the next.
  absl::StatusOr<std::vector<double>> PullSquares(uint64_t iteration, const WaitLimit& limit);
  // Has the iteration applied, as a gradient of this norm, where it is not, and pulls the weights that hold it and none
  // beyond.
  absl::Status ApplyAndPull(uint64_t iteration, uint64_t epoch, double norm, std::span<float> weights,
                            const WaitLimit& limit);

 private:
  // The operation that all servers are asked for at present.
  struct Operation {
    v1::ExchangeRequest head;
    // Null: nothing is pushed, or pulled.
    const float* gradients = nullptr;
    float* weights = nullptr;
    // The sums of squares of each chunk. Empty: they are not asked for.
    std::vector<std::vector<double>> squares;
    uint32_t unfinished_chunks = 0;
    // Chunks whose gradients no server has acknowledged yet.
    uint32_t unpushed_chunks = 0;
    absl::Time begun;
    PushResult result;
    // The smallest number of updates in a chunk that came back.
    uint64_t lowest_version = UINT64_MAX;
    // The first error that repeating would not cure.
    absl::Status error;
  };
  struct Request {
    uint64_t sequence = 0;
    // The chunks are pushed, if the operation pushes at all, and the server has asked to repeat the pull.
    bool again = false;
    std::vector<uint32_t> chunks;
  };
  // The requests of one stream.
  struct StreamQueue {
    // Chunks to be sent, in order: for the first time, and again; and requests that wait for their answer.
    std::deque<uint32_t> ready;
    std::deque<uint32_t> ready_again;
    std::vector<Request> in_flight;
    // When an answer came, or the first request after a time of rest was sent.
    absl::Time last_progress;
    // Since when the server owes an answer, also if no caller waits for it any more.
    std::optional<absl::Time> owed_since;
    // When the server last said that a pull has to wait.
    absl::Time told_to_wait = absl::InfinitePast();
    absl::Status last_error;

    bool outstanding() const { return !ready.empty() || !ready_again.empty() || !in_flight.empty(); }
  };

  ParameterClient(const Options& options, const ChunkPlan& plan, const Dialer& dialer);

  size_t StreamOf(uint32_t chunk) const { return chunk % streams_.size(); }
  const std::string& AddressOf(size_t stream) const { return options_.servers[stream % options_.servers.size()]; }

  // ServerStream::Owner.
  bool NextRequest(size_t stream, grpc::ByteBuffer* request) override;
  absl::Status TakeResponse(size_t stream, grpc::ByteBuffer* response) override;
  bool StreamEnded(size_t stream, const absl::Status& status) override;

  void Begin(Operation operation) ABSL_LOCKS_EXCLUDED(mu_);
  // Pulls every chunk.
  absl::Status RunPull(Operation operation, const WaitLimit& limit);
  absl::StatusOr<PushResult> Await(const WaitLimit& limit) ABSL_LOCKS_EXCLUDED(mu_);
  void ReopenSilentStreams(absl::Time now) ABSL_LOCKS_EXCLUDED(mu_);

  // The chunks that the next request is to be made of; null if there is none to be sent now.
  std::deque<uint32_t>* NextChunksLocked(StreamQueue* queue) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Whether the chunks that were pushed, and are to be pulled again, are as many as one request asks for, or no others
  // come to them.
  bool PullsAgainLocked(const StreamQueue& queue) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool FinishedLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The earliest of the times that `limit` gives the servers that owe answers.
  absl::Time DeadlineLocked(const WaitLimit& limit, absl::Duration patience) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Waiting WaitingLocked(absl::Time now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ClearLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The encoding of the gradients; with ENCODING_SPARSE, feedback_ chooses chunk by chunk.
  v1::Encoding PushEncodingLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  grpc::ByteBuffer EncodeLocked(const Request& request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Whether the answer carries exactly the weights, or squares, that the request asked for.
  absl::Status CheckWeightsLocked(const Request& request) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status CheckSquaresLocked(const Request& request) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // "server A: 3 chunks unanswered, ...; server B: ..."
  std::string DescribeUnansweredLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Options options_;
  const ChunkPlan plan_;
  // Constant after construction. Stream i is to server i modulo their number, and has the chunks that are i modulo the
  // number of streams.
  std::vector<std::unique_ptr<ServerStream>> streams_;

  mutable absl::Mutex mu_;
  bool active_ ABSL_GUARDED_BY(mu_) = false;
  Operation operation_ ABSL_GUARDED_BY(mu_);
  // By stream, as streams_.
  std::vector<StreamQueue> queues_ ABSL_GUARDED_BY(mu_);
  uint64_t next_sequence_ ABSL_GUARDED_BY(mu_) = 1;
  // For each chunk: updates in the weights last pulled; floats that Ready has yet to cover.
  std::vector<uint64_t> versions_ ABSL_GUARDED_BY(mu_);
  std::vector<uint32_t> uncovered_ ABSL_GUARDED_BY(mu_);
  uint64_t all_uncovered_ ABSL_GUARDED_BY(mu_) = 0;
  v1::PushCounters staleness_ ABSL_GUARDED_BY(mu_);
  // Null but with ENCODING_SPARSE.
  std::unique_ptr<ErrorFeedback> feedback_ ABSL_GUARDED_BY(mu_);
  // Kept from call to call for their memory.
  std::vector<PushedChunk> pushed_ ABSL_GUARDED_BY(mu_);
  ReceivedResponse answer_ ABSL_GUARDED_BY(mu_);

  // Last: its thread may still be in the handler of a stream's last event when that stream is closed.
  EventQueue events_;
};

}  // namespace samovar
