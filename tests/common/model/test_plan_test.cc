#include "common/model/test_plan.h"

#include "tests/support/catch.h"

namespace samovar {
namespace {

// One test net with 100 records in batches of 10.
v1::JobSpec Spec(int test_iter, int test_interval, bool initialization) {
  v1::JobSpec spec;
  spec.mutable_solver()->add_test_iter(test_iter);
  spec.mutable_solver()->set_test_interval(test_interval);
  spec.mutable_solver()->set_test_initialization(initialization);
  v1::DatasetSpec* const data = spec.add_test_data();
  data->set_records(100);
  data->set_batch_size(10);
  return spec;
}

TEST_CASE("a test reads test_iter batches, and goes on where the one before it has stopped") {
  const v1::JobSpec spec = Spec(/*test_iter=*/3, /*test_interval=*/50, /*initialization=*/true);
  CHECK(RecordsOfTest(spec, 0, 0) == TestedRange{0, 30});
  CHECK(RecordsOfTest(spec, 0, 50) == TestedRange{30, 30});
  CHECK(RecordsOfTest(spec, 0, 100) == TestedRange{60, 30});
  // Beyond the last record: readers take positions modulo their number.
  CHECK(RecordsOfTest(spec, 0, 150) == TestedRange{90, 30});
  // The last test, between two multiples.
  CHECK(RecordsOfTest(spec, 0, 110) == TestedRange{90, 30});
}

TEST_CASE("without a test at the beginning the first one reads the first records") {
  const v1::JobSpec spec = Spec(/*test_iter=*/3, /*test_interval=*/50, /*initialization=*/false);
  CHECK(RecordsOfTest(spec, 0, 50) == TestedRange{0, 30});
  CHECK(RecordsOfTest(spec, 0, 100) == TestedRange{30, 30});
  CHECK(RecordsOfTest(spec, 0, 0) == TestedRange{0, 30});
}

TEST_CASE("a test of as many batches as there are, or more, reads each record once") {
  for (const int test_iter : {10, 11, 1000, INT32_MAX}) {
    for (const uint64_t iteration : {uint64_t{0}, uint64_t{50}, uint64_t{1000}}) {
      CHECK(RecordsOfTest(Spec(test_iter, 50, true), 0, iteration) == TestedRange{0, 100});
    }
  }
  v1::JobSpec odd = Spec(10, 50, true);
  odd.mutable_test_data(0)->set_records(97);
  CHECK(RecordsOfTest(odd, 0, 50) == TestedRange{0, 97});
}

TEST_CASE("data layers with batches of different sizes are tested by whole batches") {
  v1::JobSpec spec = Spec(10, 50, true);
  spec.mutable_test_data(0)->set_records(97);
  v1::DatasetSpec* const further = spec.mutable_test_data(0)->add_further();
  further->set_records(97);
  further->set_batch_size(10);
  CHECK(RecordsOfTest(spec, 0, 0) == TestedRange{0, 97});
  further->set_batch_size(5);
  CHECK(RecordsOfTest(spec, 0, 0) == TestedRange{0, 100});
  CHECK(WholeTest(spec.test_data(0)) == 100);
}

TEST_CASE("a net without a data layer is tested for test_iter batches, and numbers that a peer may send do no harm") {
  v1::JobSpec spec = Spec(7, 0, true);
  spec.mutable_test_data(0)->set_records(0);
  CHECK(RecordsOfTest(spec, 0, 100) == TestedRange{0, 70});
  spec = Spec(INT32_MAX, 1, true);
  spec.mutable_test_data(0)->set_records(uint64_t{1} << 40);
  spec.mutable_test_data(0)->set_batch_size(1 << 8);
  const TestedRange range = RecordsOfTest(spec, 0, INT32_MAX);
  CHECK(range.first + range.count > range.first);
  spec.mutable_solver()->set_test_iter(0, INT32_MIN);
  CHECK(RecordsOfTest(spec, 0, 0) == TestedRange{0, 256});
}

}  // namespace
}  // namespace samovar
