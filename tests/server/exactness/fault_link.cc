#include "tests/server/exactness/fault_link.h"

#include <deque>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/rpc/dialer.h"
#include "common/rpc/listener.h"

namespace samovar {
namespace {

// How long a message waits to be overtaken. If nothing comes it goes on: nothing depends on how long this is.
constexpr absl::Duration kPatience = absl::Milliseconds(2);
// In the sequence of a request that no client waits for.
constexpr uint64_t kCopy = uint64_t{1} << 63;
constexpr size_t kMaxRemembered = 64;

}  // namespace

FaultLink::Counts& FaultLink::Counts::operator+=(const Counts& other) {
  requests += other.requests;
  overtaken += other.overtaken;
  twice += other.twice;
  again += other.again;
  lost_requests += other.lost_requests;
  lost_answers += other.lost_answers;
  return *this;
}

// Messages that are under way in one direction. Messages in it when it is closed are lost.
template <typename Message>
class FaultLink::Bag {
 public:
  explicit Bag(FaultLink* link) : link_(link) {}

  void Put(Message message) {
    absl::MutexLock lock(&mu_);
    messages_.push_back(std::move(message));
  }

  // Blocks; nothing: it was closed.
  std::optional<Message> Take() {
    // Before the lock: the link closes bags under its own.
    const bool waits = link_->Chance(link_->faults_.overtaken);
    const uint64_t choice = link_->Draw(UINT64_MAX);
    size_t next = 0;
    std::optional<Message> message;
    {
      absl::MutexLock lock(&mu_);
      mu_.Await(absl::Condition(this, &Bag::HasOne));
      if (waits) mu_.AwaitWithTimeout(absl::Condition(this, &Bag::HasSeveral), kPatience);
      if (closed_) return std::nullopt;
      if (waits) next = choice % messages_.size();
      message = std::move(messages_[next]);
      messages_.erase(messages_.begin() + static_cast<std::ptrdiff_t>(next));
    }
    if (next != 0) link_->Count(&Counts::overtaken);
    return message;
  }

  void Close() {
    absl::MutexLock lock(&mu_);
    closed_ = true;
  }

 private:
  bool HasOne() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return closed_ || !messages_.empty(); }
  bool HasSeveral() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return closed_ || messages_.size() > 1; }

  FaultLink* const link_;
  absl::Mutex mu_;
  std::deque<Message> messages_ ABSL_GUARDED_BY(mu_);
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
};

// One stream on its way through the link: a thread each for reading and for writing, on both sides.
class FaultLink::Passage {
 public:
  Passage(FaultLink* link, grpc::ServerContext* context, Stream* client, v1::ParameterService::Stub* server)
      : link_(link), client_context_(context), client_(client), server_(server->Exchange(&server_context_)) {}

  // Until the stream has ended on either side.
  void Run() {
    std::thread to_server([this] { PassRequests(); });
    std::thread from_server([this] { TakeAnswers(); });
    std::thread to_client([this] { PassAnswers(); });
    v1::ExchangeRequest request;
    while (client_->Read(&request)) requests_.Put(request);
    Break();
    to_server.join();
    from_server.join();
    to_client.join();
    server_->Finish();
  }

  void Break() {
    requests_.Close();
    answers_.Close();
    server_context_.TryCancel();
    client_context_->TryCancel();
  }

 private:
  void PassRequests() {
    const Faults& faults = link_->faults_;
    while (std::optional<v1::ExchangeRequest> request = requests_.Take()) {
      if ((request->sequence() & kCopy) == 0) {
        link_->Count(&Counts::requests);
        if (link_->Breaks(faults.lost_request, &Counts::lost_requests)) return Break();
        if (link_->Breaks(faults.lost_answer, &Counts::lost_answers)) MarkLost(request->sequence());
        link_->Remember(*request);
        if (link_->Chance(faults.twice)) PutCopy(*request, &Counts::twice);
        if (link_->Chance(faults.again)) PutCopy(link_->Recall(), &Counts::again);
      }
      if (!server_->Write(*request)) return Break();
    }
  }

  void PutCopy(v1::ExchangeRequest request, int Counts::*counter) {
    link_->Count(counter);
    request.set_sequence(request.sequence() | kCopy);
    requests_.Put(std::move(request));
  }

  void TakeAnswers() {
    v1::ExchangeResponse answer;
    while (server_->Read(&answer)) {
      if ((answer.sequence() & kCopy) != 0) continue;
      if (IsLost(answer.sequence())) break;
      answers_.Put(answer);
    }
    Break();
  }

  void PassAnswers() {
    while (std::optional<v1::ExchangeResponse> answer = answers_.Take()) {
      const int times = link_->Chance(link_->faults_.answered_twice) ? 2 : 1;
      for (int i = 0; i < times; ++i) {
        if (!client_->Write(*answer)) return Break();
      }
    }
  }

  void MarkLost(uint64_t sequence) {
    absl::MutexLock lock(&mu_);
    lost_ = sequence;
  }
  bool IsLost(uint64_t sequence) {
    absl::MutexLock lock(&mu_);
    return lost_ == sequence;
  }

  FaultLink* const link_;
  grpc::ServerContext* const client_context_;
  Stream* const client_;
  grpc::ClientContext server_context_;
  const std::unique_ptr<grpc::ClientReaderWriter<v1::ExchangeRequest, v1::ExchangeResponse>> server_;
  Bag<v1::ExchangeRequest> requests_{link_};
  Bag<v1::ExchangeResponse> answers_{link_};
  absl::Mutex mu_;
  // The request whose answer does not arrive.
  std::optional<uint64_t> lost_ ABSL_GUARDED_BY(mu_);
};

FaultLink::FaultLink(uint64_t seed, const Faults& faults) : faults_(faults), random_(seed) {
  Listener listener({.address = "127.0.0.1:0"});
  listener.builder()->RegisterService(this);
  grpc_server_ = *listener.Start();
  address_ = listener.address();
}

FaultLink::~FaultLink() {
  Connect("");
  grpc_server_->Shutdown(absl::ToChronoTime(absl::Now()));
}

void FaultLink::Connect(const std::string& server) {
  absl::MutexLock lock(&mu_);
  connected_ = false;
  for (Passage* passage : open_) passage->Break();
  const auto closed = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return open_.empty(); };
  mu_.Await(absl::Condition(&closed));
  if (server.empty()) return;
  stubs_.push_back(v1::ParameterService::NewStub(Dialer(RpcOptions()).Dial(server)));
  connected_ = true;
}

grpc::Status FaultLink::Exchange(grpc::ServerContext* context, Stream* stream) {
  std::optional<Passage> passage;
  {
    absl::MutexLock lock(&mu_);
    if (!connected_) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the link leads nowhere");
    passage.emplace(this, context, stream, stubs_.back().get());
    open_.insert(&*passage);
  }
  passage->Run();
  {
    absl::MutexLock lock(&mu_);
    open_.erase(&*passage);
  }
  return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the link broke");
}

bool FaultLink::Chance(int percent) { return Draw(100) < static_cast<uint64_t>(percent); }

uint64_t FaultLink::Draw(uint64_t below) {
  absl::MutexLock lock(&mu_);
  return random_() % below;
}

bool FaultLink::Breaks(int percent, int Counts::*counter) {
  absl::MutexLock lock(&mu_);
  if (broken_ >= faults_.breaks || random_() % 100 >= static_cast<uint64_t>(percent)) return false;
  ++broken_;
  ++(counts_.*counter);
  return true;
}

void FaultLink::Count(int Counts::*counter) {
  absl::MutexLock lock(&mu_);
  ++(counts_.*counter);
}

void FaultLink::Remember(const v1::ExchangeRequest& request) {
  absl::MutexLock lock(&mu_);
  if (remembered_.size() < kMaxRemembered) {
    remembered_.push_back(request);
  } else {
    remembered_[random_() % kMaxRemembered] = request;
  }
}

v1::ExchangeRequest FaultLink::Recall() {
  absl::MutexLock lock(&mu_);
  return remembered_[random_() % remembered_.size()];
}

std::vector<v1::ExchangeRequest> FaultLink::remembered() const {
  absl::MutexLock lock(&mu_);
  return remembered_;
}

FaultLink::Counts FaultLink::counts() const {
  absl::MutexLock lock(&mu_);
  return counts_;
}

}  // namespace samovar
