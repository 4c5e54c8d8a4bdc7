#include "common/model/ledger.h"

#include <random>
#include <set>

#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

v1::Ledger Message(uint64_t watermark, const std::vector<IterationRange>& ranges) {
  v1::Ledger message;
  message.set_watermark(watermark);
  for (const IterationRange& range : ranges) {
    v1::IterationRange* added = message.add_beyond();
    added->set_begin(range.begin);
    added->set_end(range.end);
  }
  return message;
}

// All that a ledger can be asked, compared with a plain set.
void RequireSame(const Ledger& ledger, const std::set<uint64_t>& model, uint64_t limit) {
  uint64_t watermark = 0;
  while (model.count(watermark)) ++watermark;
  REQUIRE(ledger.watermark() == watermark);
  REQUIRE(ledger.size() == model.size());
  uint64_t previous_end = ledger.watermark();
  for (const IterationRange& range : ledger.beyond()) {
    REQUIRE(range.begin > previous_end);
    REQUIRE(range.end > range.begin);
    previous_end = range.end;
  }
  for (uint64_t t = 0; t < limit; ++t) REQUIRE(ledger.Contains(t) == (model.count(t) == 1));
  auto copy = Ledger::FromProto(ledger.ToProto());
  REQUIRE_OK(copy);
  REQUIRE(*copy == ledger);
}

std::set<uint64_t> MissingOf(const std::set<uint64_t>& model, uint64_t begin, uint64_t end) {
  std::set<uint64_t> missing;
  for (uint64_t t = begin; t < end; ++t) {
    if (!model.count(t)) missing.insert(t);
  }
  return missing;
}

TEST_CASE("a ledger answers like a set, whatever the order of additions") {
  constexpr uint64_t kLimit = 90;
  std::mt19937 random(7);
  for (int round = 0; round < 60; ++round) {
    Ledger ledger;
    std::set<uint64_t> model;
    for (int step = 0; step < 80; ++step) {
      const uint64_t t = random() % kLimit;
      if (random() % 8 == 0) {
        const uint64_t end = std::min<uint64_t>(kLimit, t + random() % 12);
        ledger.AddRange(t, end);
        for (uint64_t i = t; i < end; ++i) model.insert(i);
      } else {
        REQUIRE(ledger.Add(t) == model.insert(t).second);
      }
      if (step % 8 == 0) RequireSame(ledger, model, kLimit + 2);
      const uint64_t begin = random() % kLimit;
      const uint64_t end = random() % (kLimit + 10);
      std::set<uint64_t> missing;
      uint64_t previous_end = 0;
      for (const IterationRange& range : ledger.Missing(begin, end)) {
        REQUIRE(range.begin < range.end);
        if (!missing.empty()) REQUIRE(range.begin > previous_end);
        previous_end = range.end;
        for (uint64_t i = range.begin; i < range.end; ++i) missing.insert(i);
      }
      REQUIRE(missing == MissingOf(model, begin, end));
    }
    RequireSame(ledger, model, kLimit + 2);
  }
}

TEST_CASE("merging two ledgers gives their union") {
  std::mt19937 random(11);
  for (int round = 0; round < 50; ++round) {
    Ledger a, b;
    std::set<uint64_t> model;
    for (int i = 0; i < 30; ++i) {
      const uint64_t t = random() % 60;
      (random() % 2 ? a : b).Add(t);
      model.insert(t);
    }
    a.Merge(b);
    RequireSame(a, model, 62);
  }
}

TEST_CASE("iterations added in order leave no ranges beyond the watermark") {
  Ledger ledger;
  for (uint64_t t = 0; t < 1000; ++t) REQUIRE(ledger.Add(t));
  REQUIRE(ledger.watermark() == 1000);
  REQUIRE(ledger.beyond_ranges() == 0);
  REQUIRE_FALSE(ledger.Add(999));
}

TEST_CASE("filling the gap below a range moves the watermark to its end") {
  Ledger ledger;
  ledger.Add(2);
  ledger.Add(1);
  REQUIRE(ledger.beyond() == std::vector<IterationRange>{{1, 3}});
  ledger.Add(0);
  REQUIRE(ledger.watermark() == 3);
  REQUIRE(ledger.beyond().empty());
}

TEST_CASE("a stored ledger that breaks the rules is refused") {
  const auto code = absl::StatusCode::kInvalidArgument;
  REQUIRE_OK(Ledger::FromProto(Message(3, {{4, 5}, {6, 9}})));
  REQUIRE_STATUS(Ledger::FromProto(Message(3, {{3, 5}})), code, "[3, 5)");
  REQUIRE_STATUS(Ledger::FromProto(Message(3, {{5, 5}})), code, "[5, 5)");
  REQUIRE_STATUS(Ledger::FromProto(Message(3, {{9, 5}})), code, "[9, 5)");
  REQUIRE_STATUS(Ledger::FromProto(Message(3, {{5, 7}, {7, 8}})), code, "[7, 8)");
  REQUIRE_STATUS(Ledger::FromProto(Message(3, {{8, 9}, {5, 6}})), code, "[5, 6)");
  REQUIRE_STATUS(Ledger::FromProto(Message(3, {{8, UINT64_MAX}})), code, "out of range");
  REQUIRE_STATUS(Ledger::FromProto(Message(UINT64_MAX, {})), code, "watermark");
}

}  // namespace
}  // namespace samovar
