#include "common/parameters/server_stream.h"

#include <functional>
#include <utility>

#include "common/base/clock.h"
#include "common/base/exceptions.h"
#include "common/rpc/deadlines.h"
#include "common/rpc/status.h"

namespace samovar {
namespace {

constexpr char kMethod[] = "/samovar.v1.ParameterService/Exchange";
constexpr absl::Duration kFirstRest = absl::Milliseconds(20);
constexpr absl::Duration kLongestRest = absl::Seconds(1);

}  // namespace

ServerStream::ServerStream(size_t server, const std::string& address, const Dialer& dialer,
                           grpc::CompletionQueue* queue, Owner* owner)
    : server_(server),
      address_(address),
      queue_(queue),
      owner_(owner),
      channel_(dialer.Dial(address)),
      stub_(channel_),
      // Clients differ in their address space, and a client's servers in their number.
      backoff_(kFirstRest, kLongestRest, reinterpret_cast<uintptr_t>(this)) {}

void ServerStream::Wake() {
  {
    absl::MutexLock lock(&mu_);
    wake_ = true;
  }
  Advance();
}

void ServerStream::Reopen(const absl::Status& reason) {
  {
    absl::MutexLock lock(&mu_);
    if (state_ != State::kStarting && state_ != State::kOpen) return;
    BreakLocked(reason);
  }
  Advance();
}

void ServerStream::Close() {
  {
    absl::MutexLock lock(&mu_);
    closing_ = true;
    if (state_ == State::kStarting || state_ == State::kOpen)
      BreakLocked(absl::CancelledError("the client is closing"));
    if (alarm_.has_value()) alarm_->Cancel();
  }
  Advance();
}

void ServerStream::AwaitClosed() {
  absl::MutexLock lock(&mu_);
  mu_.Await(absl::Condition(this, &ServerStream::ClosedLocked));
}

void ServerStream::BreakLocked(const absl::Status& reason) {
  if (!broken_) reason_ = reason;
  broken_ = true;
  // Ends the operations that are under way; does not call back.
  context_->TryCancel();
}

ServerStream::Next ServerStream::Decide(Call** call) {
  absl::MutexLock lock(&mu_);
  if (state_ == State::kIdle && wake_ && !closing_) {
    state_ = State::kStarting;
    broken_ = false;
    reason_ = absl::OkStatus();
    context_ = std::make_unique<grpc::ClientContext>();
    call_ = stub_.PrepareCall(context_.get(), kMethod, queue_);
    *call = call_.get();
    return Next::kStart;
  }
  if (state_ != State::kOpen) return Next::kNothing;
  *call = call_.get();
  if (broken_) {
    if (reading_ || writing_) return Next::kNothing;
    state_ = State::kFinishing;
    return Next::kFinish;
  }
  if (!reading_) {
    reading_ = true;
    return Next::kRead;
  }
  if (!writing_ && wake_) {
    writing_ = true;
    wake_ = false;
    return Next::kAskOwner;
  }
  return Next::kNothing;
}

void ServerStream::Advance() {
  Call* call = nullptr;
  for (Next next = Decide(&call); next != Next::kNothing; next = Decide(&call)) {
    switch (next) {
      case Next::kStart:
        call->StartCall(&started_);
        break;
      case Next::kRead:
        call->Read(&response_, &read_);
        break;
      case Next::kAskOwner:
        AskOwner(call);
        break;
      case Next::kFinish:
        call->Finish(&finish_status_, &finished_);
        break;
      case Next::kNothing:
        break;
    }
  }
}

void ServerStream::AskOwner(Call* call) {
  bool any = false;
  const absl::Status asked = CatchExceptions([&] {
    any = owner_->NextRequest(server_, &request_);
    return absl::OkStatus();
  });
  if (any) {
    call->Write(request_, &written_);
    return;
  }
  absl::MutexLock lock(&mu_);
  writing_ = false;
  if (!asked.ok()) BreakLocked(asked);
}

void ServerStream::OnStarted(bool ok) {
  {
    absl::MutexLock lock(&mu_);
    state_ = State::kOpen;
    broken_ = broken_ || !ok;
  }
  Advance();
}

void ServerStream::OnRead(bool ok) {
  absl::Status taken;
  if (ok) {
    bool returned = false;
    taken = CatchExceptions([&] {
      const absl::Status status = owner_->TakeResponse(server_, &response_);
      returned = true;
      return status;
    });
    // Half taken: it must not be taken once more.
    if (!returned) taken = absl::DataLossError("this process has no memory for an answer");
  }
  {
    absl::MutexLock lock(&mu_);
    reading_ = false;
    if (!ok) {
      broken_ = true;
    } else if (!taken.ok()) {
      BreakLocked(taken);
    } else {
      backoff_.Reset();
      // There is room for another request.
      wake_ = true;
    }
  }
  Advance();
}

void ServerStream::OnWritten(bool ok) {
  // Frees the slices that this side still holds.
  request_.Clear();
  {
    absl::MutexLock lock(&mu_);
    writing_ = false;
    wake_ = true;
    broken_ = broken_ || !ok;
  }
  Advance();
}

void ServerStream::OnFinished(bool) {
  absl::Status reason;
  {
    absl::MutexLock lock(&mu_);
    reason = reason_;
    // StreamEnded's answer covers all that was awake before it.
    wake_ = false;
  }
  if (reason.ok()) reason = FromGrpcStatus(finish_status_);
  if (reason.ok()) reason = absl::UnavailableError("the server ended the stream");
  const bool wake = owner_->StreamEnded(server_, reason);
  {
    absl::MutexLock lock(&mu_);
    call_.reset();
    context_.reset();
    wake_ = wake_ || wake;
    if (closing_) {
      state_ = State::kIdle;
      return;
    }
    state_ = State::kResting;
    // Under the lock, so that Close finds it. Setting an alarm does not call back.
    alarm_.emplace(queue_, DeadlineIn(backoff_.Next()), &rested_);
  }
}

void ServerStream::OnRested(bool) {
  {
    absl::MutexLock lock(&mu_);
    alarm_.reset();
    state_ = State::kIdle;
  }
  Advance();
}

}  // namespace samovar
