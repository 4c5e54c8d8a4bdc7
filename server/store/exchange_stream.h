// ExchangeStreams serves the data plane's bidirectional streams on gRPC's completion-queue API.
//
// Each stream has one read and one write outstanding at most, and a bounded number of requests that are read but whose
// answers are not yet on the wire: past it the stream is not read, so that a slow reader is slowed down by HTTP/2's own
// flow control and costs bounded memory. (The callback API would be shorter, but is experimental in the gRPC of
// Ubuntu 22.04.)
//
// Thread safety: all methods may be called from any thread.
#pragma once

#include <grpcpp/grpcpp.h>

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/rpc/write_deadlines.h"
#include "samovar/v1/parameter.grpc.pb.h"
#include "server/store/chunk_store.h"
#include "server/store/store_metrics.h"

namespace samovar {

// The method Exchange as gRPC sees it: asynchronous, and its messages are bytes (exchange_format.h).
class ExchangeMethod final : public grpc::Service {
 public:
  ExchangeMethod();

  using Stream = grpc::ServerAsyncReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>;
  // The next stream that a client opens is this one; `tag` comes out of the queue then.
  void Request(grpc::ServerContext* context, Stream* stream, grpc::ServerCompletionQueue* queue, void* tag) {
    RequestAsyncBidiStreaming(0, context, stream, queue, queue, tag);
  }
};

class ExchangeStream;

class ExchangeStreams {
 public:
  struct Options {
    int queue_threads = 1;
    // Requests of one stream that may be under way at a time.
    int max_in_flight = 16;
    // Streams that may be open, of all clients and of those of one host. More are refused.
    int max_streams = 4096;
    int max_streams_a_host = 1024;
    // As in WriteDeadlines.
    absl::Duration write_patience = WriteDeadlines::kPatience;
  };

  // Store and metrics outlive this.
  ExchangeStreams(const Options& options, ChunkStore* store, StoreMetrics* metrics);
  // REQUIRES: Shutdown() was called, or Register() never.
  ~ExchangeStreams();
  ExchangeStreams(const ExchangeStreams&) = delete;
  ExchangeStreams& operator=(const ExchangeStreams&) = delete;

  // Before BuildAndStart.
  void Register(grpc::ServerBuilder* builder);
  // After BuildAndStart: accepts streams.
  void Start();

  // Cancels the open streams and those that come later, so that grpc::Server::Shutdown need not wait for them.
  void Cancel() ABSL_LOCKS_EXCLUDED(mu_);

  // Waits until the last stream has ended, then ends the queues and their threads. Idempotent.
  // REQUIRES: grpc::Server::Shutdown has returned, or the server was never built; the store still runs.
  void Shutdown() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  friend class ExchangeStream;

  // Offers gRPC one more stream to accept on a queue, unless shutting down. What it throws leaves nothing behind.
  void Accept(grpc::ServerCompletionQueue* queue) ABSL_LOCKS_EXCLUDED(mu_);
  // CANCELLED: the streams are being cancelled. RESOURCE_EXHAUSTED: there are too many.
  absl::Status StreamOpened(ExchangeStream* stream, const std::string& host) ABSL_LOCKS_EXCLUDED(mu_);
  // Before a stream is destroyed.
  void StreamEnding(ExchangeStream* stream) ABSL_LOCKS_EXCLUDED(mu_);
  // After it.
  void StreamEnded() ABSL_LOCKS_EXCLUDED(mu_);
  void ServeQueue(grpc::ServerCompletionQueue* queue);

  const Options options_;
  ExchangeMethod method_;
  ChunkStore* const store_;
  StoreMetrics& metrics_;
  WriteDeadlines deadlines_;
  std::vector<std::unique_ptr<grpc::ServerCompletionQueue>> queues_;
  std::vector<std::thread> threads_;

  absl::Mutex mu_;
  // Streams that exist, offered ones included.
  int streams_ ABSL_GUARDED_BY(mu_) = 0;
  // Those that were accepted and have not ended, with their clients' hosts.
  std::map<ExchangeStream*, std::string> open_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, int> open_a_host_ ABSL_GUARDED_BY(mu_);
  // Whether the last stream was refused: logged once.
  bool refusing_ ABSL_GUARDED_BY(mu_) = false;
  bool cancelling_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace samovar
