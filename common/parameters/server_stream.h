// ServerStream keeps one Exchange stream to one parameter server: opens it when there is something to send, and opens
// it anew, after growing delays, when it has broken.
//
// All that happens is an event of the completion queue, which the owner's thread takes out and hands to Complete. One
// write and one read are under way at a time, as gRPC wants it.
// Thread safety: all methods may be called from any thread. The owner is called without a lock held.
// Life of a stream: kIdle -> kStarting -> kOpen -> (broken: operations end, Finish) -> kResting -> kIdle.
#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "common/base/backoff.h"
#include "common/rpc/dialer.h"

namespace samovar {

class ServerStream {
 public:
  // The owner chooses the requests. NextRequest and StreamEnded are not called at the same time for one server. An
  // exception of the first two ends the stream: as RESOURCE_EXHAUSTED, or as DATA_LOSS if an answer is half taken.
  class Owner {
   public:
    virtual ~Owner() = default;
    // Fills the next request; false: there is none at present.
    virtual bool NextRequest(size_t server, grpc::ByteBuffer* request) = 0;
    // An error ends the stream.
    virtual absl::Status TakeResponse(size_t server, grpc::ByteBuffer* response) = 0;
    // Requests that were sent and not answered will not be answered. True: there is one to send on the next stream.
    virtual bool StreamEnded(size_t server, const absl::Status& status) = 0;
  };

  // One kind of operation; its address is gRPC's tag.
  struct Event {
    ServerStream* const stream;
    void (ServerStream::*const handler)(bool ok);
  };

  // `server` is passed to the owner's methods. Queue and owner outlive this.
  ServerStream(size_t server, const std::string& address, const Dialer& dialer, grpc::CompletionQueue* queue,
               Owner* owner);
  // REQUIRES: AwaitClosed() has returned, and the queue is shut down and drained.
  ~ServerStream() = default;
  ServerStream(const ServerStream&) = delete;
  ServerStream& operator=(const ServerStream&) = delete;

  const std::string& address() const { return address_; }

  static void Complete(Event* event, bool ok) { (event->stream->*(event->handler))(ok); }

  // The owner has something to send.
  void Wake() ABSL_LOCKS_EXCLUDED(mu_);
  // Ends the stream, if there is one, for this reason; it is opened anew like any that broke.
  void Reopen(const absl::Status& reason) ABSL_LOCKS_EXCLUDED(mu_);

  // Ends the stream for good, and waits until no event is to come. gRPC ends a cancelled call without its peer.
  void Close() ABSL_LOCKS_EXCLUDED(mu_);
  void AwaitClosed() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  using Call = grpc::GenericClientAsyncReaderWriter;
  enum class State {
    // No call. The next Wake starts one.
    kIdle,
    // The call is under way to the server.
    kStarting,
    // Requests and responses flow, or the last operations of a broken call are awaited.
    kOpen,
    // Finish was begun.
    kFinishing,
    // No call until the alarm.
    kResting
  };
  enum class Next { kNothing, kStart, kRead, kAskOwner, kFinish };

  void OnStarted(bool ok);
  void OnRead(bool ok);
  void OnWritten(bool ok);
  void OnFinished(bool ok);
  void OnRested(bool ok);

  // Begins each operation that may begin now.
  void Advance() ABSL_LOCKS_EXCLUDED(mu_);
  // Chooses one operation and marks it as under way, which gives this thread the right to begin it on *call.
  Next Decide(Call** call) ABSL_LOCKS_EXCLUDED(mu_);
  void AskOwner(Call* call) ABSL_LOCKS_EXCLUDED(mu_);
  void BreakLocked(const absl::Status& reason) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool ClosedLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return closing_ && state_ == State::kIdle; }

  const size_t server_;
  const std::string address_;
  grpc::CompletionQueue* const queue_;
  Owner* const owner_;
  const std::shared_ptr<grpc::Channel> channel_;
  grpc::GenericStub stub_;
  Event started_{this, &ServerStream::OnStarted};
  Event read_{this, &ServerStream::OnRead};
  Event written_{this, &ServerStream::OnWritten};
  Event finished_{this, &ServerStream::OnFinished};
  Event rested_{this, &ServerStream::OnRested};

  // Belong to the operation that is under way.
  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;
  grpc::Status finish_status_;

  absl::Mutex mu_;
  State state_ ABSL_GUARDED_BY(mu_) = State::kIdle;
  // Exist from kStarting to the end of kFinishing. The thread that marked an operation as under way uses the call
  // without the lock.
  std::unique_ptr<grpc::ClientContext> context_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<Call> call_ ABSL_GUARDED_BY(mu_);
  bool reading_ ABSL_GUARDED_BY(mu_) = false;
  // A write is under way, or the owner is being asked for one.
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  // The owner may have something to send.
  bool wake_ ABSL_GUARDED_BY(mu_) = false;
  bool broken_ ABSL_GUARDED_BY(mu_) = false;
  bool closing_ ABSL_GUARDED_BY(mu_) = false;
  // Why this side ended the stream; OK if this side did not end it.
  absl::Status reason_ ABSL_GUARDED_BY(mu_);
  Backoff backoff_ ABSL_GUARDED_BY(mu_);
  std::optional<grpc::Alarm> alarm_ ABSL_GUARDED_BY(mu_);
};

}  // namespace samovar
