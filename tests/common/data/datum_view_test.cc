#include "common/data/datum_view.h"

#include "tests/common/data/write_dataset.h"
#include "tests/support/catch.h"

namespace samovar {
namespace {

// Whether the view has what protobuf reads of the bytes.
bool IsAsParsed(const DatumView& view, const std::string& bytes) {
  caffe::Datum datum;
  return datum.ParseFromString(bytes) && view.shape == RecordShape{datum.channels(), datum.height(), datum.width()} &&
         view.label == datum.label() && view.encoded == datum.encoded() && view.data == datum.data() &&
         datum.float_data_size() == 0;
}

TEST_CASE("a view of a Datum has its fields, and its values where they lie") {
  caffe::Datum datum = MakeDatum({2, 3, 300}, -7, 5);
  datum.set_encoded(true);
  const std::string bytes = datum.SerializeAsString();
  const auto view = ViewDatum(bytes);
  REQUIRE(view.has_value());
  REQUIRE(IsAsParsed(*view, bytes));
  REQUIRE(view->data.data() > bytes.data());
  REQUIRE(view->data.data() + view->data.size() <= bytes.data() + bytes.size());
}

TEST_CASE("of a field that comes twice the last one counts, and what is missing is zero") {
  const std::string twice =
      MakeDatum({1, 2, 3}, 4, 5).SerializeAsString() + MakeDatum({1, 3, 2}, 6, 7).SerializeAsString();
  REQUIRE(IsAsParsed(*ViewDatum(twice), twice));
  REQUIRE(IsAsParsed(*ViewDatum(""), ""));
}

TEST_CASE("other fields than those of a view are left to protobuf") {
  caffe::Datum floats;
  floats.add_float_data(1);
  REQUIRE_FALSE(ViewDatum(floats.SerializeAsString()).has_value());
  REQUIRE_FALSE(ViewDatum(std::string("\x78\x01", 2)).has_value());
}

TEST_CASE("whichever byte of a Datum is wrong or missing, a view has what protobuf reads, or there is none") {
  const std::string whole = MakeDatum({1, 2, 3}, 300, 5).SerializeAsString();
  int viewed = 0;
  const auto check = [&](const std::string& bytes) {
    const auto view = ViewDatum(bytes);
    viewed += view.has_value();
    if (view.has_value()) REQUIRE(IsAsParsed(*view, bytes));
  };
  for (size_t i = 0; i < whole.size(); ++i) {
    check(whole.substr(0, i));
    for (int change = 1; change < 256; ++change) {
      std::string changed = whole;
      changed[i] = static_cast<char>(changed[i] ^ change);
      check(changed);
    }
  }
  REQUIRE(viewed > 1000);
}

}  // namespace
}  // namespace samovar
