// FaultLink stands between clients and one parameter server and treats the Exchange streams that pass through it badly.
//
// Its faults are those that messages may meet between two processes: others overtake them; a request reaches
// the server twice, or again much later, when its sender has long been answered or is gone; a stream breaks before the
// server has a request, or after it has done it and before the client has heard of it. A stream alone loses nothing:
// whatever is lost is lost because it broke.
//
// Thread safety: all methods may be called from any thread.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "samovar/v1/parameter.grpc.pb.h"

namespace samovar {

class FaultLink final : public v1::ParameterService::Service {
 public:
  // Chances of each message, in percent.
  struct Faults {
    // It waits a little for others to overtake it.
    int overtaken = 0;
    // The server gets a request twice.
    int twice = 0;
    // Together with a request the server gets one that passed here before.
    int again = 0;
    // The stream breaks before the server has the request, or when its answer is on the way back.
    int lost_request = 0;
    int lost_answer = 0;
    // An answer comes to the client twice.
    int answered_twice = 0;
    // Streams that are broken at most; a client waits before it opens the next.
    int breaks = 0;
  };
  struct Counts {
    int requests = 0;
    int overtaken = 0;
    int twice = 0;
    int again = 0;
    int lost_requests = 0;
    int lost_answers = 0;
    Counts& operator+=(const Counts& other);
  };

  // Listens on loopback. The seed chooses who meets with what, as far as messages come in the same order.
  FaultLink(uint64_t seed, const Faults& faults);
  ~FaultLink() override;

  const std::string& address() const { return address_; }

  // Streams lead to the server at this address from now on; empty: nowhere. Those that are open break, and are gone
  // when this returns. What may come `again` later stays.
  void Connect(const std::string& server) ABSL_LOCKS_EXCLUDED(mu_);

  Counts counts() const ABSL_LOCKS_EXCLUDED(mu_);
  // Requests that passed: what may still be under way somewhere.
  std::vector<v1::ExchangeRequest> remembered() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  using Stream = grpc::ServerReaderWriter<v1::ExchangeResponse, v1::ExchangeRequest>;
  class Passage;
  template <typename Message>
  class Bag;

  grpc::Status Exchange(grpc::ServerContext* context, Stream* stream) override;

  bool Chance(int percent) ABSL_LOCKS_EXCLUDED(mu_);
  uint64_t Draw(uint64_t below) ABSL_LOCKS_EXCLUDED(mu_);
  // As Chance, as long as streams may be broken. Counts.
  bool Breaks(int percent, int Counts::*counter) ABSL_LOCKS_EXCLUDED(mu_);
  void Count(int Counts::*counter) ABSL_LOCKS_EXCLUDED(mu_);
  // Keeps a request for Recall, which returns any of those that were kept.
  void Remember(const v1::ExchangeRequest& request) ABSL_LOCKS_EXCLUDED(mu_);
  v1::ExchangeRequest Recall() ABSL_LOCKS_EXCLUDED(mu_);

  const Faults faults_;
  std::string address_;

  mutable absl::Mutex mu_;
  std::mt19937_64 random_ ABSL_GUARDED_BY(mu_);
  Counts counts_ ABSL_GUARDED_BY(mu_);
  int broken_ ABSL_GUARDED_BY(mu_) = 0;
  std::vector<v1::ExchangeRequest> remembered_ ABSL_GUARDED_BY(mu_);
  // The last one is that of the server; those of servers that were lost stay for their last users.
  std::vector<std::unique_ptr<v1::ParameterService::Stub>> stubs_ ABSL_GUARDED_BY(mu_);
  bool connected_ ABSL_GUARDED_BY(mu_) = false;
  std::set<Passage*> open_ ABSL_GUARDED_BY(mu_);

  // Last: its calls use the rest.
  std::unique_ptr<grpc::Server> grpc_server_;
};

}  // namespace samovar
