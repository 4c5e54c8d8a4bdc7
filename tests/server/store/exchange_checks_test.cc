#include "server/store/exchange_checks.h"

#include <functional>
#include <limits>
#include <memory>
#include <string>

#include "tests/server/store/test_job.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

// The job of test_job.h, changed.
class Job {
 public:
  explicit Job(const std::function<void(v1::OpenJobRequest*)>& change = [](v1::OpenJobRequest*) {}) {
    v1::OpenJobRequest request = MakeJob();
    change(&request);
    auto created = HostedJob::Create(request, &budget_);
    REQUIRE_OK(created);
    job_ = *std::move(created);
  }
  const HostedJob& operator*() const { return *job_; }

  // The request is refused with a message that has this text.
  void Refuses(const v1::ExchangeRequest& request, const std::string& text) const {
    REQUIRE_STATUS(CheckExchange(request, job_.get()), absl::StatusCode::kInvalidArgument, text);
  }
  void Takes(const v1::ExchangeRequest& request) const { REQUIRE_OK(CheckExchange(request, job_.get())); }
  void RefusesChange(const v1::ExchangeRequest& request, const std::string& text) const {
    REQUIRE_STATUS(CheckChange(request, *job_), absl::StatusCode::kInvalidArgument, text);
  }
  void TakesChange(const v1::ExchangeRequest& request) const { REQUIRE_OK(CheckChange(request, *job_)); }

 private:
  MemoryBudget budget_{std::numeric_limits<uint64_t>::max(), "parameters", ""};
  std::shared_ptr<HostedJob> job_;
};

// In parts, of gradients that are clipped.
void Clipping(v1::OpenJobRequest* request) {
  request->mutable_consistency()->set_mode(v1::CONSISTENCY_SYNC);
  request->mutable_consistency()->set_parts(2);
  request->mutable_solver()->set_clip_gradients(1);
}

v1::ExchangeRequest PushOf(uint64_t iteration, uint32_t iterations = 0) {
  v1::ExchangeRequest request = MakePush(iteration, 1);
  request.set_iterations(iterations);
  return request;
}

TEST_CASE("a push is of an iteration that the job has, and of no more chunks than are here") {
  const Job job;
  job.TakesChange(PushOf(0));
  job.TakesChange(PushOf(999));
  job.RefusesChange(PushOf(1000), "iteration 1000 is not one of job \"job\", which has max_iter 1000");
  v1::ExchangeRequest many = PushOf(0);
  AddPush(&many, 3, {1});
  job.RefusesChange(many, "pushes 4 chunks, but 3 of job \"job\" are here");
}

TEST_CASE("a push of an iteration is of one, and of a unit of all that it has, the last one of fewer") {
  CHECK(IterationsOf(PushOf(0)) == 1);
  CHECK(IterationsOf(PushOf(0, 1)) == 1);
  CHECK(IterationsOf(PushOf(0, 4)) == 4);
  const Job each;
  each.TakesChange(PushOf(5, 1));
  each.RefusesChange(PushOf(5, 2), "takes whole units of 1 iterations (push_every), not a push of 2 from 5 on");
  const Job units([](v1::OpenJobRequest* request) {
    request->mutable_consistency()->set_push_every(4);
    request->mutable_solver()->set_max_iter(10);
  });
  units.TakesChange(PushOf(4, 4));
  units.TakesChange(PushOf(8, 2));
  for (const v1::ExchangeRequest& wrong : {PushOf(4), PushOf(4, 3), PushOf(5, 3), PushOf(6, 2), PushOf(8, 4)})
    units.RefusesChange(wrong, "whole units of 4");
}

TEST_CASE("live weights have no history, are not sparse, and come in an encoding that there is") {
  const Job job;
  v1::ExchangeRequest request = MakePull();
  job.Takes(request);
  request.set_vector(1);
  job.Refuses(request, "read from frozen copies only");
  request = MakeFrozenPull(3);
  request.set_vector(1);
  job.Takes(request);
  REQUIRE_OK(CheckExchange(request, nullptr));
  request = MakePull();
  request.set_pull_encoding(v1::ENCODING_SPARSE);
  job.Refuses(request, "weights are not sparse");
  request.set_pull_encoding(static_cast<v1::Encoding>(99));
  job.Refuses(request, "unknown pull_encoding 99");
}

TEST_CASE("a pull waits for a watermark that the job comes to, of weights that change") {
  const Job job;
  job.Takes(MakeWaitingPull(1000));
  job.Refuses(MakeWaitingPull(1001), "will not get to the watermark 1001");
  v1::ExchangeRequest frozen = MakeFrozenPull(3);
  frozen.set_waits(true);
  job.Refuses(frozen, "a frozen copy does not change");
  REQUIRE_STATUS(CheckExchange(frozen, nullptr), absl::StatusCode::kInvalidArgument, "a frozen copy does not change");
}

TEST_CASE("squares and norms are for jobs that their servers clip, of iterations and chunks that they have") {
  v1::ExchangeRequest squares;
  squares.set_job_id("job");
  squares.add_squares(0);
  v1::ExchangeRequest apply = MakePull();
  apply.set_apply(true);
  apply.set_norm(1);
  const Job plain;
  for (const v1::ExchangeRequest& request : {squares, apply}) {
    plain.Refuses(request, "for jobs with clip_gradients and several parts");
    REQUIRE_STATUS(CheckExchange(request, nullptr), absl::StatusCode::kInvalidArgument, "for jobs with clip_gradients");
  }
  const Job job(Clipping);
  job.Takes(squares);
  job.Takes(apply);
  squares.set_iteration(1000);
  job.Refuses(squares, "iteration 1000 is not one of");
  squares.set_iteration(0);
  for (int i = 0; i < 3; ++i) squares.add_squares(0);
  job.Refuses(squares, "asks for the squares of 4 chunks, but 3");
}

TEST_CASE("squares go with nothing else, and a norm with a pull of live weights alone") {
  const Job job(Clipping);
  v1::ExchangeRequest squares;
  squares.set_job_id("job");
  squares.add_squares(0);
  v1::ExchangeRequest apply = MakePull();
  apply.set_apply(true);
  const auto refuses = [&](v1::ExchangeRequest request, const std::function<void(v1::ExchangeRequest*)>& change) {
    change(&request);
    job.Refuses(request, "squares do not go together with anything else");
  };
  refuses(squares, [](v1::ExchangeRequest* request) { request->add_pull(0); });
  refuses(squares, [](v1::ExchangeRequest* request) { request->set_apply(true); });
  refuses(squares, [](v1::ExchangeRequest* request) { AddPush(request, 0, {1}); });
  refuses(squares, [](v1::ExchangeRequest* request) { request->set_frozen(true); });
  refuses(apply, [](v1::ExchangeRequest* request) { AddPush(request, 0, {1}); });
  refuses(apply, [](v1::ExchangeRequest* request) { request->set_frozen(true); });
}

TEST_CASE("a norm is a number, and at least 0") {
  const Job job(Clipping);
  v1::ExchangeRequest apply = MakePull();
  apply.set_apply(true);
  apply.set_norm(0);
  job.Takes(apply);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const double norm : {-1.0, kInfinity, -kInfinity, std::numeric_limits<double>::quiet_NaN()}) {
    apply.set_norm(norm);
    job.Refuses(apply, "the norm of a gradient is at least 0");
  }
}

}  // namespace
}  // namespace samovar
