#include "common/parameters/server_stream.h"

#include <atomic>
#include <new>

#include "common/parameters/event_queue.h"
#include "common/parameters/exchange_format.h"
#include "tests/common/parameters/client_job.h"
#include "tests/common/parameters/parameter_server.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

// Far beyond what anything here takes.
constexpr absl::Duration kPatience = absl::Seconds(60);

// Asks for a chunk once, and throws where it is told to.
class ThrowingOwner : public ServerStream::Owner {
 public:
  enum class Where { kNextRequest, kTakeResponse };
  explicit ThrowingOwner(Where where) : where_(where) {}

  bool NextRequest(size_t, grpc::ByteBuffer* request) override {
    if (where_ == Where::kNextRequest) throw std::bad_alloc();
    if (asked_.exchange(true)) return false;
    v1::ExchangeRequest pull;
    pull.set_sequence(1);
    pull.set_job_id("job");
    pull.add_pull(0);
    *request = EncodeExchangeRequest(pull, {});
    return true;
  }
  absl::Status TakeResponse(size_t, grpc::ByteBuffer*) override { throw std::bad_alloc(); }
  bool StreamEnded(size_t, const absl::Status& status) override {
    if (!ended) reason = status;
    ended = true;
    return false;
  }

  std::atomic<bool> ended = false;
  absl::Status reason;

 private:
  const Where where_;
  std::atomic<bool> asked_ = false;
};

TEST_CASE("a stream whose owner throws breaks, and tells the owner why") {
  const auto where = GENERATE(ThrowingOwner::Where::kNextRequest, ThrowingOwner::Where::kTakeResponse);
  const TempDir dir;
  ParameterServer server(dir.path(), MakeJob(1));
  EventQueue events([](void* tag, bool ok) { ServerStream::Complete(static_cast<ServerStream::Event*>(tag), ok); });
  ThrowingOwner owner(where);
  ServerStream stream(0, server.address(), Dialer(RpcOptions()), events.queue(), &owner);
  stream.Wake();
  events.ServeUntil([&] { return owner.ended.load(); }, kPatience);
  REQUIRE(owner.ended);
  CHECK(owner.reason.code() == (where == ThrowingOwner::Where::kNextRequest ? absl::StatusCode::kResourceExhausted
                                                                            : absl::StatusCode::kDataLoss));
  stream.Close();
  stream.AwaitClosed();
}

}  // namespace
}  // namespace samovar
