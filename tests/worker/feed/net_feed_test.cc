#include "worker/feed/net_feed.h"

#include <algorithm>
#include <set>

#include "tests/common/data/write_dataset.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

// A net of Data layers "l0", "l1", ... with one top each, and their data sets: record i of each is one float, i.
struct Fixture {
  void Add(int records, uint32_t batch) {
    const std::string name = absl::StrCat("l", net.layer_size());
    std::vector<std::pair<std::string, std::string>> written;
    for (int i = 0; i < records; ++i) {
      caffe::Datum datum;
      datum.set_channels(1);
      datum.set_height(1);
      datum.set_width(1);
      datum.add_float_data(static_cast<float>(i));
      written.emplace_back(RecordKey(static_cast<uint64_t>(i)), datum.SerializeAsString());
    }
    WriteRecords(directory.File(name), written);
    v1::DatasetSpec* const spec = net.layer_size() == 0 ? &data : data.add_further();
    caffe::LayerParameter* const layer = net.add_layer();
    layer->set_name(name);
    layer->set_type("Data");
    layer->add_top(name);
    layer->mutable_data_param()->set_backend(caffe::DataParameter::LMDB);
    spec->set_layer(name);
    spec->set_uri(directory.File(name));
    spec->set_records(static_cast<uint64_t>(records));
    v1::RecordTop* const top = spec->add_tops();
    for (int axis = 0; axis < 3; ++axis) top->add_shape(1);
    spec->set_batch_size(batch);
    spec->set_partitions(1);
  }

  void SetInOrder() {
    data.set_in_order(true);
    for (v1::DatasetSpec& further : *data.mutable_further()) further.set_in_order(true);
  }

  std::unique_ptr<NetFeed> Open() {
    auto feed = NetFeed::Open(net, data, {phase, parts, /*seed=*/5});
    REQUIRE_OK(feed);
    return *std::move(feed);
  }

  TempDir directory;
  caffe::NetParameter net;
  v1::DatasetSpec data;
  caffe::Phase phase = caffe::TRAIN;
  uint32_t parts = 1;
};

using Values = std::vector<float>;

// The values that fill writes into tops of the given sizes.
template <typename Fill>
std::vector<Values> Filled(const std::vector<size_t>& sizes, Fill fill) {
  std::vector<Values> values(sizes.begin(), sizes.end());
  for (size_t i = 0; i < sizes.size(); ++i) values[i].assign(sizes[i], -1);
  const std::vector<std::span<float>> tops(values.begin(), values.end());
  REQUIRE_OK(fill(tops));
  return values;
}

std::vector<Values> Iteration(NetFeed* feed, uint64_t t, uint32_t part = 0) {
  return Filled(feed->BatchElements(), [&](auto tops) { return feed->FillIteration(t, part, tops); });
}

TEST_CASE_METHOD(Fixture,
                 "data layers that are alike keep together: record i of one is with record i of the others, and each "
                 "comes once an epoch") {
  Add(21, 7);
  Add(21, 7);
  Add(21, 7);
  const auto feed = Open();
  Values epoch;
  for (uint64_t t = 0; t < 9; ++t) {
    const std::vector<Values> tops = Iteration(feed.get(), t);
    REQUIRE(tops.size() == 3);
    CHECK(tops[1] == tops[0]);
    CHECK(tops[2] == tops[0]);
    epoch.insert(epoch.end(), tops[0].begin(), tops[0].end());
    if (epoch.size() < 21) continue;
    CHECK_FALSE(std::is_sorted(epoch.begin(), epoch.end()));
    CHECK(std::set<float>(epoch.begin(), epoch.end()).size() == 21);
    epoch.clear();
  }
}

TEST_CASE_METHOD(Fixture,
                 "data layers of different lengths and batches are read in the order in which Caffe reads them") {
  Add(5, 2);
  Add(4, 3);
  SetInOrder();
  const auto feed = Open();
  const std::vector<std::vector<Values>> by_hand = {{{0, 1}, {0, 1, 2}}, {{2, 3}, {3, 0, 1}}, {{4, 0}, {2, 3, 0}},
                                                    {{1, 2}, {1, 2, 3}}, {{3, 4}, {0, 1, 2}}, {{0, 1}, {3, 0, 1}}};
  for (uint64_t t = 0; t < by_hand.size(); ++t) CHECK(Iteration(feed.get(), t) == by_hand[t]);
  // Nothing is remembered from one to the next.
  CHECK(Iteration(feed.get(), 2) == by_hand[2]);
}

TEST_CASE_METHOD(Fixture, "the passes of an iteration read on in order, each its batch of every layer") {
  Add(5, 2);
  Add(4, 1);
  SetInOrder();
  parts = 2;
  const auto feed = Open();
  CHECK(Iteration(feed.get(), 0, 0) == std::vector<Values>{{0, 1}, {0}});
  CHECK(Iteration(feed.get(), 0, 1) == std::vector<Values>{{2, 3}, {1}});
  CHECK(Iteration(feed.get(), 1, 0) == std::vector<Values>{{4, 0}, {2}});
  CHECK(Iteration(feed.get(), 1, 1) == std::vector<Values>{{1, 2}, {3}});
}

TEST_CASE_METHOD(Fixture,
                 "a test reads layers in proportion to their batches, and after the last record the first again") {
  Add(6, 2);
  Add(5, 4);
  phase = caffe::TEST;
  const auto feed = Open();
  const auto range = [&](uint64_t begin, uint64_t end, std::vector<size_t> sizes) {
    return Filled(sizes, [&](auto tops) { return feed->FillRange(begin, end, tops); });
  };
  CHECK(range(0, 2, {2, 4}) == std::vector<Values>{{0, 1}, {0, 1, 2, 3}});
  CHECK(range(4, 8, {4, 8}) == std::vector<Values>{{4, 5, 0, 1}, {3, 4, 0, 1, 2, 3, 4, 0}});
  // The sixth batch of each.
  CHECK(range(10, 12, {2, 4}) == std::vector<Values>{{4, 5}, {0, 1, 2, 3}});
  CHECK(range(1, 2, {1, 2}) == std::vector<Values>{{1}, {2, 3}});
}

TEST_CASE_METHOD(Fixture, "there is no part of a batch that is a fraction of a record of some layer") {
  Add(6, 4);
  Add(6, 2);
  phase = caffe::TEST;
  const auto feed = Open();
  Values first(1), second(1);
  const std::vector<std::span<float>> tops = {first, second};
  REQUIRE_STATUS(feed->FillRange(0, 1, tops), absl::StatusCode::kInvalidArgument, "batches of 4 and 2 records");
  REQUIRE_OK(DivideBatches(2, &data));
  CHECK(data.batch_size() == 2);
  CHECK(data.further(0).batch_size() == 1);
  REQUIRE_STATUS(DivideBatches(2, &data), absl::StatusCode::kInvalidArgument,
                 "a batch of 1 records has no 2 equal parts");
}

TEST_CASE_METHOD(Fixture,
                 "records of several sizes come one by one, each as large as it is, and other batches refuse them") {
  Add(1, 1);
  std::vector<std::pair<std::string, std::string>> written;
  const RecordShape shapes[] = {{1, 2, 3}, {1, 4, 1}, {1, 1, 1}};
  for (int i = 0; i < 3; ++i)
    written.emplace_back(RecordKey(static_cast<uint64_t>(i)), MakeDatum(shapes[i], i, 10 * i).SerializeAsString());
  WriteRecords(directory.File("sizes"), written);
  data.set_uri(directory.File("sizes"));
  data.set_records(3);
  data.mutable_tops(0)->clear_shape();
  for (const int dim : {1, 2, 3}) data.mutable_tops(0)->add_shape(dim);
  SetInOrder();
  const auto feed = Open();
  REQUIRE(feed->adapts());
  for (const uint64_t t : {0, 1, 2, 3, 1}) {
    const RecordShape& shape = shapes[t % 3];
    const auto adapted = feed->AdaptToIteration(t, 0);
    REQUIRE_OK(adapted);
    CHECK(*adapted == ShapesByLayer{{"l0", {{shape.channels, shape.height, shape.width}}}});
    Values expected;
    for (size_t i = 0; i < shape.elements(); ++i) expected.push_back(static_cast<float>(10 * (t % 3) + i));
    CHECK(Iteration(feed.get(), t) == std::vector<Values>{expected});
  }
  phase = caffe::TEST;
  const auto test = Open();
  REQUIRE_OK(test->AdaptToRecord(4));
  CHECK(Filled({4}, [&](auto tops) { return test->FillRange(4, 5, tops); }) == std::vector<Values>{{10, 11, 12, 13}});
  data.set_batch_size(2);
  const auto pairs = Open();
  CHECK_FALSE(pairs->adapts());
  Values two(12);
  const std::vector<std::span<float>> tops = {two};
  REQUIRE_STATUS(pairs->FillRange(0, 2, tops), absl::StatusCode::kInvalidArgument, "or train with batch_size: 1");
  data.set_batch_size(1);
  net.mutable_layer(0)->mutable_transform_param()->set_crop_size(1);
  data.mutable_tops(0)->clear_shape();
  for (int axis = 0; axis < 3; ++axis) data.mutable_tops(0)->add_shape(1);
  CHECK_FALSE(Open()->adapts());
}

TEST_CASE_METHOD(Fixture, "a net with other data layers than the job's is refused by their names") {
  Add(6, 2);
  Add(6, 2);
  net.mutable_layer(1)->set_name("other");
  REQUIRE_STATUS(NetFeed::Open(net, data, {}), absl::StatusCode::kInvalidArgument,
                 "has 2 data layers (the first: \"l0\")");
  net.mutable_layer()->RemoveLast();
  REQUIRE_STATUS(NetFeed::Open(net, data, {}), absl::StatusCode::kInvalidArgument, "has 1 data layers");
}

}  // namespace
}  // namespace samovar
