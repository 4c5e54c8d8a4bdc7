#include "cli/report/curve_events.h"

#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tensorboard.pb.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

// An event file, and what it has, as "STEP TAG VALUE".
class WrittenEvents {
 public:
  WrittenEvents() : file_(*EventFile::Create(dir_.path(), 0)) {}

  EventFile* file() { return file_.get(); }
  std::vector<std::string> Scalars() {
    REQUIRE_OK(file_->Flush());
    std::ifstream stream(file_->path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
    std::vector<std::string> scalars;
    times_.clear();
    for (size_t at = 0; at < bytes.size();) {
      uint64_t size = 0;
      std::memcpy(&size, bytes.data() + at, 8);
      tensorboard::Event event;
      CHECK(event.ParseFromArray(bytes.data() + at + 12, static_cast<int>(size)));
      for (const auto& value : event.summary().value()) {
        scalars.push_back(absl::StrCat(event.step(), " ", value.tag(), " ", value.simple_value()));
        times_.push_back(event.wall_time());
      }
      at += 16 + size;
    }
    return scalars;
  }
  const std::vector<double>& times() const { return times_; }

 private:
  const TempDir dir_;
  const std::unique_ptr<EventFile> file_;
  std::vector<double> times_;
};

Curve::Point PointAt(uint64_t iteration, double seconds, float loss) {
  Curve::Point point;
  point.iteration = iteration;
  point.seconds = seconds;
  point.loss = loss;
  return point;
}

using Words = std::vector<std::string>;

TEST_CASE("a curve becomes scalars of its iterations, with their wall times") {
  Curve curve;
  curve.started_unix_ms = 1'000'000;
  curve.output_names = {"loss", "fc[0]"};
  curve.test_names = {"test0 accuracy", "test1 loss"};
  curve.points = {PointAt(0, 1, 2.5f), PointAt(1, 2.5, 2)};
  curve.points[0].outputs = {2.5f, 7};
  curve.points[1].outputs = {2, 8};
  curve.points[1].learning_rate = 0.25;
  curve.points[1].images_per_second = 128;
  curve.points[1].staleness = 1.5;
  const float none = std::numeric_limits<float>::quiet_NaN();
  curve.tests = {{0, {0.5f, none}}, {2, {0.75f, 3}}};
  CHECK(FirstIteration(curve) == 0u);
  CHECK_FALSE(FirstIteration(Curve()).has_value());

  WrittenEvents events;
  CurveEvents().AddTo(curve, /*is_whole=*/true, events.file());
  CHECK(events.Scalars() == Words{"0 test0/accuracy 0.5", "2 test0/accuracy 0.75", "2 test1/loss 3", "0 loss 2.5",
                                  "0 train/loss 2.5", "0 train/fc[0] 7", "1 loss 2", "1 learning_rate 0.25",
                                  "1 images_per_second 128", "1 staleness 1.5", "1 train/loss 2", "1 train/fc[0] 8"});
  CHECK(events.times().front() == 1000);
  CHECK(events.times()[1] == 1002.5);
  CHECK(events.times().back() == 1002.5);
}

TEST_CASE("of a curve that grows each point and test is written once, and the newest second waits") {
  WrittenEvents events;
  CurveEvents writer;
  CHECK(writer.next() == 0);
  Curve curve;
  curve.test_names = {"test0 loss"};
  curve.tests = {{0, {4}}};
  curve.points = {PointAt(0, 1, 1), PointAt(1, 2, 1), PointAt(2, 2, 1)};
  writer.AddTo(curve, false, events.file());
  CHECK(events.Scalars() == Words{"0 test0/loss 4", "0 loss 1"});
  // The next one begins where this one was told.
  CHECK(writer.next() == 0);
  curve.points = {PointAt(0, 1, 1), PointAt(1, 2, 1), PointAt(2, 2, 1), PointAt(3, 2, 1), PointAt(4, 3, 1)};
  writer.AddTo(curve, false, events.file());
  CHECK(events.Scalars() == Words{"0 test0/loss 4", "0 loss 1", "1 loss 1", "2 loss 1", "3 loss 1"});
  CHECK(writer.next() == 3);
  // A test ends later than points of its iteration.
  curve.tests.push_back({2, {3}});
  curve.points = {PointAt(3, 2, 1), PointAt(4, 3, 1)};
  writer.AddTo(curve, true, events.file());
  CHECK(events.Scalars() ==
        Words{"0 test0/loss 4", "0 loss 1", "1 loss 1", "2 loss 1", "3 loss 1", "2 test0/loss 3", "4 loss 1"});
}

}  // namespace
}  // namespace samovar
