#include "server/store/exchange_stream.h"

#include <deque>
#include <utility>

#include "common/rpc/next_event.h"
#include "common/rpc/status.h"

namespace samovar {

// ExchangeStream is one worker's stream, from the moment it is offered to gRPC until its last event.
//
// Life: every outstanding operation, and every request under way, holds a reference. Finish is begun once, when nothing
// can be read any more and nothing is under way.
// Thread safety: events come from the queue's thread, answers from any. Reads, writes and Finish are begun outside mu_
// (a write serialises the message), by whoever has set the flag that keeps all others from beginning one.
class ExchangeStream : public std::enable_shared_from_this<ExchangeStream> {
 public:
  // One kind of operation. Its address is gRPC's tag.
  struct Event {
    ExchangeStream* const stream;
    void (ExchangeStream::*const handler)(bool ok);
    // Keeps the stream while the operation is outstanding. Guarded by the stream's mu_.
    std::shared_ptr<ExchangeStream> reference;
  };

  ExchangeStream(ExchangeStreams* owner, grpc::ServerCompletionQueue* queue)
      : owner_(owner), queue_(queue), stream_(&context_) {}
  ~ExchangeStream() { owner_->StreamEnding(this); }

  void Offer() ABSL_LOCKS_EXCLUDED(mu_) {
    {
      absl::MutexLock lock(&mu_);
      accept_.reference = shared_from_this();
    }
    owner_->service_->RequestExchange(&context_, &stream_, queue_, queue_, &accept_);
  }

  // An operation has ended. The stream may be gone when this returns.
  static void Complete(Event* event, bool ok) {
    std::shared_ptr<ExchangeStream> stream;
    {
      // The handler may begin the same kind of operation again, which sets the reference anew.
      absl::MutexLock lock(&event->stream->mu_);
      stream = std::move(event->reference);
    }
    ((*stream).*(event->handler))(ok);
  }

  // REQUIRES: accepted and not destroyed.
  void Cancel() { context_.TryCancel(); }

 private:
  enum class Next { kNothing, kRead, kWrite, kFinish };

  void OnAccepted(bool ok) {
    if (!ok) return;
    owner_->Accept(queue_);
    if (!owner_->StreamOpened(this)) Cancel();
    Advance();
  }

  void OnRead(bool ok) {
    auto call = std::make_shared<ExchangeCall>();
    absl::Status parsed;
    if (ok) parsed = call->request.Parse(&received_);
    received_.Clear();
    {
      absl::MutexLock lock(&mu_);
      read_outstanding_ = false;
      if (!ok || !parsed.ok()) {
        no_more_reads_ = true;
        end_ = parsed;
      } else {
        ++under_way_;
      }
    }
    if (ok && parsed.ok()) {
      owner_->store_->Exchange(std::move(call), [self = shared_from_this()](std::shared_ptr<ExchangeCall> answered) {
        self->OnAnswered(std::move(answered));
      });
    }
    Advance();
  }

  void OnAnswered(std::shared_ptr<ExchangeCall> call) {
    {
      absl::MutexLock lock(&mu_);
      --under_way_;
      if (!broken_) answers_.push_back(std::move(call));
    }
    Advance();
  }

  void OnWritten(bool ok) {
    {
      absl::MutexLock lock(&mu_);
      write_outstanding_ = false;
      answers_.pop_front();
      if (!ok) {
        broken_ = true;
        answers_.clear();
      }
    }
    Advance();
  }

  void OnFinished(bool) {}

  // Begins whatever may be begun now.
  void Advance() {
    std::shared_ptr<ExchangeCall> call;
    for (Next next = Decide(&call); next != Next::kNothing; next = Decide(&call)) {
      switch (next) {
        case Next::kRead:
          stream_.Read(&received_, &read_);
          break;
        case Next::kWrite:
          stream_.Write(EncodeResponse(call->response, call->weights), &write_);
          break;
        case Next::kFinish:
          stream_.Finish(ToGrpcStatus(end_), &finish_);
          break;
        case Next::kNothing:
          break;
      }
    }
  }

  // Chooses one operation to begin and marks it as outstanding, which gives the caller the right to begin it, on *call.
  Next Decide(std::shared_ptr<ExchangeCall>* call) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    if (!write_outstanding_ && !answers_.empty()) {
      write_outstanding_ = true;
      *call = answers_.front();
      write_.reference = shared_from_this();
      return Next::kWrite;
    }
    const bool ending = no_more_reads_ || broken_;
    const int pending = under_way_ + static_cast<int>(answers_.size());
    if (!read_outstanding_ && !ending && pending < owner_->options_.max_in_flight) {
      read_outstanding_ = true;
      read_.reference = shared_from_this();
      return Next::kRead;
    }
    if (ending && !read_outstanding_ && !write_outstanding_ && pending == 0 && !finish_begun_) {
      finish_begun_ = true;
      finish_.reference = shared_from_this();
      return Next::kFinish;
    }
    return Next::kNothing;
  }

  ExchangeStreams* const owner_;
  grpc::ServerCompletionQueue* const queue_;
  grpc::ServerContext context_;
  grpc::ServerAsyncReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer> stream_;
  // What gRPC reads into, while a read is outstanding.
  grpc::ByteBuffer received_;
  Event accept_{this, &ExchangeStream::OnAccepted, nullptr};
  Event read_{this, &ExchangeStream::OnRead, nullptr};
  Event write_{this, &ExchangeStream::OnWritten, nullptr};
  Event finish_{this, &ExchangeStream::OnFinished, nullptr};

  absl::Mutex mu_;
  bool read_outstanding_ ABSL_GUARDED_BY(mu_) = false;
  bool write_outstanding_ ABSL_GUARDED_BY(mu_) = false;
  bool finish_begun_ ABSL_GUARDED_BY(mu_) = false;
  // The peer has said its last request, or is gone, or has sent what is none.
  bool no_more_reads_ ABSL_GUARDED_BY(mu_) = false;
  // What the stream ends with. Constant once no_more_reads_ is set.
  absl::Status end_;
  // A write failed: nothing that is sent would arrive.
  bool broken_ ABSL_GUARDED_BY(mu_) = false;
  // Requests that the store works on.
  int under_way_ ABSL_GUARDED_BY(mu_) = 0;
  // The first is being written while write_outstanding_.
  std::deque<std::shared_ptr<ExchangeCall>> answers_ ABSL_GUARDED_BY(mu_);
};

ExchangeStreams::ExchangeStreams(const Options& options, AsyncExchangeService* service, ChunkStore* store)
    : options_(options), service_(service), store_(store) {}

ExchangeStreams::~ExchangeStreams() { Shutdown(); }

void ExchangeStreams::AddQueues(grpc::ServerBuilder* builder) {
  for (int i = 0; i < options_.queue_threads; ++i) queues_.push_back(builder->AddCompletionQueue());
}

void ExchangeStreams::Start() {
  for (auto& queue : queues_) {
    Accept(queue.get());
    threads_.emplace_back(&ExchangeStreams::ServeQueue, queue.get());
  }
}

void ExchangeStreams::ServeQueue(grpc::ServerCompletionQueue* queue) {
  void* tag = nullptr;
  bool ok = false;
  while (NextEvent(queue, absl::InfiniteDuration(), &tag, &ok) == grpc::CompletionQueue::GOT_EVENT) ExchangeStream::Complete(static_cast<ExchangeStream::Event*>(tag), ok);
}

void ExchangeStreams::Accept(grpc::ServerCompletionQueue* queue) {
  {
    absl::MutexLock lock(&mu_);
    if (cancelling_) return;
    ++streams_;
  }
  // Counted until it is gone with all that it holds of gRPC's.
  std::shared_ptr<ExchangeStream>(new ExchangeStream(this, queue), [this](ExchangeStream* stream) {
    delete stream;
    StreamEnded();
  })->Offer();
}

bool ExchangeStreams::StreamOpened(ExchangeStream* stream) {
  absl::MutexLock lock(&mu_);
  open_.insert(stream);
  return !cancelling_;
}

void ExchangeStreams::StreamEnding(ExchangeStream* stream) {
  absl::MutexLock lock(&mu_);
  open_.erase(stream);
}

void ExchangeStreams::StreamEnded() {
  absl::MutexLock lock(&mu_);
  --streams_;
}

void ExchangeStreams::Cancel() {
  absl::MutexLock lock(&mu_);
  cancelling_ = true;
  // Under the lock, since a stream leaves the set before it is destroyed. TryCancel does not call back.
  for (ExchangeStream* stream : open_) stream->Cancel();
}

void ExchangeStreams::Shutdown() {
  Cancel();
  {
    absl::MutexLock lock(&mu_);
    const auto none = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return streams_ == 0; };
    mu_.Await(absl::Condition(&none));
  }
  // Only now, when nothing is outstanding: an operation that is begun on a queue that has been shut down is fatal.
  for (auto& queue : queues_) queue->Shutdown();
  // If the server was never started there are no threads; queues must be drained all the same.
  if (threads_.empty()) {
    for (auto& queue : queues_) ServeQueue(queue.get());
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  queues_.clear();
}

}  // namespace samovar
