#include "server/store/exchange_stream.h"

#include <deque>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/base/exceptions.h"
#include "common/rpc/next_event.h"
#include "common/rpc/status.h"
#include "common/telemetry/guarded_turn.h"
#include "common/telemetry/log.h"

namespace samovar {
namespace {

constexpr char kThread[] = "a thread of the workers' streams";
// A stream for which there was no memory is offered again after this long.
constexpr absl::Duration kOfferRetry = absl::Milliseconds(50);

// "ipv4:10.0.0.1:4711" without the port, so that all connections of a host are counted together.
std::string HostOf(const std::string& peer) { return peer.substr(0, peer.rfind(':')); }

}  // namespace

// ExchangeStream is one worker's stream, from the moment it is offered to gRPC until its last event.
//
// Life: every outstanding operation, and every request under way, holds a reference. Finish is begun once, when nothing
// can be read any more and nothing is under way.
// Thread safety: events come from the queue's thread, answers from any. Reads, writes and Finish are begun outside mu_
// (a write serialises the message), by the thread that has set the flag which keeps all others from beginning one.
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

  // The caller holds a reference. What it throws leaves none behind.
  void Offer() ABSL_LOCKS_EXCLUDED(mu_) {
    {
      absl::MutexLock lock(&mu_);
      accept_.reference = shared_from_this();
    }
    absl::Cleanup forget = [this] {
      absl::MutexLock lock(&mu_);
      accept_.reference.reset();
    };
    owner_->method_.Request(&context_, &stream_, queue_, &accept_);
    std::move(forget).Cancel();
  }

  static bool IsAcceptance(const Event& event) { return &event == &event.stream->accept_; }
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
    const absl::Status opened = CatchExceptions([&] { return owner_->StreamOpened(this, HostOf(context_.peer())); });
    if (absl::IsCancelled(opened)) {
      Cancel();
    } else if (!opened.ok()) {
      absl::MutexLock lock(&mu_);
      EndLocked(opened);
    }
    Advance();
  }

  void OnRead(bool ok) {
    std::shared_ptr<ExchangeCall> call;
    absl::Status status = CatchExceptions([&] {
      call = std::make_shared<ExchangeCall>();
      return ok ? call->request.Parse(&received_) : absl::OkStatus();
    });
    received_.Clear();
    const bool begun = ok && status.ok();
    {
      absl::MutexLock lock(&mu_);
      read_outstanding_ = false;
      if (begun) {
        ++under_way_;
      } else {
        EndLocked(status);
      }
    }
    if (begun) {
      owner_->metrics_.CountReceived(call->request.bytes());
      Work(std::move(call));
    }
    Advance();
  }

  void Work(std::shared_ptr<ExchangeCall> call) {
    const absl::Status status = CatchExceptions([&] {
      owner_->store_->Exchange(std::move(call), [self = shared_from_this()](std::shared_ptr<ExchangeCall> answered) {
        self->OnAnswered(std::move(answered));
      });
      return absl::OkStatus();
    });
    if (status.ok()) return;
    absl::MutexLock lock(&mu_);
    --under_way_;
    EndLocked(status);
  }

  // Nothing more is read; requests under way are answered before the stream ends.
  void EndLocked(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (std::exchange(no_more_reads_, true)) return;
    end_ = status;
  }

  void OnAnswered(std::shared_ptr<ExchangeCall> call) {
    owner_->metrics_.CountAnswer({.pushed = static_cast<uint64_t>(call->request.head().push_size()),
                                  .applied = call->response.applied(),
                                  .duplicates = call->response.duplicates(),
                                  .pulled = call->weights.size(),
                                  .failed = call->response.code() != 0});
    {
      absl::MutexLock lock(&mu_);
      --under_way_;
      const absl::Status kept = CatchExceptions([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
        if (!broken_) answers_.push_back(std::move(call));
        return absl::OkStatus();
      });
      // The client asks again, on another stream, for what was not answered on this one.
      if (!kept.ok()) EndLocked(kept);
    }
    Advance();
  }

  void OnWritten(bool ok) {
    {
      absl::MutexLock lock(&mu_);
      owner_->deadlines_.End(write_deadline_);
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

  // Begins each operation that may begin now.
  void Advance() {
    std::shared_ptr<ExchangeCall> call;
    for (Next next = Decide(&call); next != Next::kNothing; next = Decide(&call)) {
      switch (next) {
        case Next::kRead:
          stream_.Read(&received_, &read_);
          break;
        case Next::kWrite:
          BeginWrite(*call);
          break;
        case Next::kFinish:
          BeginFinish();
          break;
        case Next::kNothing:
          break;
      }
    }
  }

  void BeginFinish() {
    // For want of memory, without the words.
    grpc::Status end(grpc::StatusCode::RESOURCE_EXHAUSTED, "");
    CatchExceptions([&] {
      end = ToGrpcStatus(end_);
      return absl::OkStatus();
    }).IgnoreError();
    stream_.Finish(end, &finish_);
  }

  void BeginWrite(const ExchangeCall& call) {
    write_deadline_ = 0;
    const absl::Status status = CatchExceptions([&] {
      const grpc::ByteBuffer message = EncodeExchangeResponse(call.response, call.weights);
      owner_->metrics_.CountSent(message.Length());
      write_deadline_ = owner_->deadlines_.Begin(&context_, message.Length());
      stream_.Write(message, &write_);
      return absl::OkStatus();
    });
    if (status.ok()) return;
    owner_->deadlines_.End(write_deadline_);
    // The client learns that the stream is gone, and sends its open requests again.
    std::shared_ptr<ExchangeStream> reference;
    absl::MutexLock lock(&mu_);
    reference = std::move(write_.reference);
    write_outstanding_ = false;
    broken_ = true;
    answers_.clear();
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
  // gRPC reads into this while a read is outstanding.
  grpc::ByteBuffer received_;
  Event accept_{this, &ExchangeStream::OnAccepted, nullptr};
  Event read_{this, &ExchangeStream::OnRead, nullptr};
  Event write_{this, &ExchangeStream::OnWritten, nullptr};
  Event finish_{this, &ExchangeStream::OnFinished, nullptr};

  absl::Mutex mu_;
  bool read_outstanding_ ABSL_GUARDED_BY(mu_) = false;
  bool write_outstanding_ ABSL_GUARDED_BY(mu_) = false;
  bool finish_begun_ ABSL_GUARDED_BY(mu_) = false;
  // The peer has sent its last request, or is gone, or has sent bytes that are no request.
  bool no_more_reads_ ABSL_GUARDED_BY(mu_) = false;
  // The stream ends with this status. Constant once no_more_reads_ is set.
  absl::Status end_;
  // The outstanding write's; of the thread that begins or ends it. 0: there is none.
  uint64_t write_deadline_ = 0;
  // A write failed: nothing that is sent would arrive.
  bool broken_ ABSL_GUARDED_BY(mu_) = false;
  // Requests that the store works on.
  int under_way_ ABSL_GUARDED_BY(mu_) = 0;
  // The first is being written while write_outstanding_.
  std::deque<std::shared_ptr<ExchangeCall>> answers_ ABSL_GUARDED_BY(mu_);
};

ExchangeMethod::ExchangeMethod() {
  AddMethod(new grpc::internal::RpcServiceMethod("/samovar.v1.ParameterService/Exchange",
                                                 grpc::internal::RpcMethod::BIDI_STREAMING, nullptr));
  MarkMethodRaw(0);
}

ExchangeStreams::ExchangeStreams(const Options& options, ChunkStore* store, StoreMetrics* metrics)
    : options_(options), store_(store), metrics_(*metrics), deadlines_(options.write_patience) {}

ExchangeStreams::~ExchangeStreams() { Shutdown(); }

void ExchangeStreams::Register(grpc::ServerBuilder* builder) {
  builder->RegisterService(&method_);
  for (int i = 0; i < options_.queue_threads; ++i) queues_.push_back(builder->AddCompletionQueue());
}

void ExchangeStreams::Start() {
  for (auto& queue : queues_) {
    Accept(queue.get());
    threads_.emplace_back([this, served = queue.get()] { ServeQueue(served); });
  }
}

void ExchangeStreams::ServeQueue(grpc::ServerCompletionQueue* queue) {
  void* tag = nullptr;
  bool ok = false;
  // Whether the next stream is yet to be offered: one is accepted, or there was no memory for it.
  bool owes_offer = false;
  while (true) {
    const absl::Duration patience = owes_offer ? kOfferRetry : absl::InfiniteDuration();
    const grpc::CompletionQueue::NextStatus next = NextEvent(queue, patience, &tag, &ok);
    if (next == grpc::CompletionQueue::SHUTDOWN) return;
    const bool came = next == grpc::CompletionQueue::GOT_EVENT;
    auto* const event = static_cast<ExchangeStream::Event*>(tag);
    if (came && ok && ExchangeStream::IsAcceptance(*event)) owes_offer = true;
    if (owes_offer) owes_offer = !RunTurn(kThread, [&] { Accept(queue); });
    if (came) RunTurn(kThread, [&] { ExchangeStream::Complete(event, ok); });
  }
}

void ExchangeStreams::Accept(grpc::ServerCompletionQueue* queue) {
  {
    absl::MutexLock lock(&mu_);
    if (cancelling_) return;
    ++streams_;
  }
  // Counted until it is gone with all that it holds of gRPC's.
  absl::Cleanup uncount = [this] { StreamEnded(); };
  auto* const made = new ExchangeStream(this, queue);
  std::move(uncount).Cancel();
  std::shared_ptr<ExchangeStream>(made, [this](ExchangeStream* stream) {
    delete stream;
    StreamEnded();
  })->Offer();
}

absl::Status ExchangeStreams::StreamOpened(ExchangeStream* stream, const std::string& host) {
  absl::Status refusal;
  {
    absl::MutexLock lock(&mu_);
    if (cancelling_) {
      refusal = absl::CancelledError("the parameter server is shutting down");
    } else if (open_.size() >= static_cast<size_t>(options_.max_streams)) {
      refusal = absl::ResourceExhaustedError(
          absl::StrCat(options_.max_streams, " streams are open on this server already; try again later"));
    } else if (const auto count = open_a_host_.find(host);
               count != open_a_host_.end() && count->second >= options_.max_streams_a_host) {
      refusal = absl::ResourceExhaustedError(absl::StrCat(options_.max_streams_a_host, " streams of host ", host,
                                                          " are open on this server already; end some of its clients"));
    }
    metrics_.RefusedForRoom(StoreMetrics::Refusal::kStreams, refusal).IgnoreError();
    // One that is to be cancelled is known as well: it is there until its last event. It is counted once it is known,
    // whatever is thrown.
    if (refusal.ok()) {
      int& of_host = open_a_host_[host];
      open_.emplace(stream, host);
      ++of_host;
    }
    if (std::exchange(refusing_, absl::IsResourceExhausted(refusal)) || !refusing_) return refusal;
  }
  LogWarning(absl::StrCat("a stream was refused: ", refusal.message()));
  return refusal;
}

void ExchangeStreams::StreamEnding(ExchangeStream* stream) {
  absl::MutexLock lock(&mu_);
  const auto found = open_.find(stream);
  if (found == open_.end()) return;
  const auto count = open_a_host_.find(found->second);
  if (--count->second == 0) open_a_host_.erase(count);
  open_.erase(found);
}

void ExchangeStreams::StreamEnded() {
  absl::MutexLock lock(&mu_);
  --streams_;
}

void ExchangeStreams::Cancel() {
  absl::MutexLock lock(&mu_);
  cancelling_ = true;
  // Under the lock, since a stream leaves the set before it is destroyed. TryCancel does not call back.
  for (const auto& [stream, host] : open_) stream->Cancel();
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
