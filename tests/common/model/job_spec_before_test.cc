#include "common/model/job_spec_before.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>

#include <string>

#include "tests/support/catch.h"

namespace samovar {
namespace {

using google::protobuf::internal::WireFormatLite;

// A JobSpec as the version before wrote it, field by field in the order of their numbers.
std::string BytesBefore() {
  std::string bytes;
  google::protobuf::io::StringOutputStream string(&bytes);
  google::protobuf::io::CodedOutputStream out(&string);
  WireFormatLite::WriteString(1, "lenet", &out);
  WireFormatLite::WriteEnum(8, v1::CONSISTENCY_BOUNDED, &out);
  WireFormatLite::WriteUInt64(9, 1701, &out);
  WireFormatLite::WriteUInt32(10, 2, &out);
  WireFormatLite::WriteUInt32(17, 24, &out);
  WireFormatLite::WriteUInt32(18, 5, &out);
  WireFormatLite::WriteEnum(19, v1::ENCODING_SPARSE, &out);
  WireFormatLite::WriteDouble(20, 0.25, &out);
  WireFormatLite::WriteEnum(31, v1::STALENESS_SCALING_NONE, &out);
  WireFormatLite::WriteFloat(32, 0.04f, &out);
  WireFormatLite::WriteUInt64(50, 7, &out);
  WireFormatLite::WriteEnum(51, v1::NUMERIC_FAILURE_SKIP, &out);
  WireFormatLite::WriteUInt32(70, 8, &out);
  out.Trim();
  return bytes;
}

TEST_CASE("a job that the version before wrote has the consistency that it had") {
  v1::JobSpec spec;
  REQUIRE(spec.ParseFromString(BytesBefore()));
  AdoptConsistencyBefore(&spec);
  v1::Consistency expected;
  expected.set_mode(v1::CONSISTENCY_BOUNDED);
  expected.set_delay(24);
  expected.set_parts(5);
  expected.set_encoding(v1::ENCODING_SPARSE);
  expected.set_topk_ratio(0.25);
  expected.set_staleness_scaling(v1::STALENESS_SCALING_NONE);
  expected.set_delay_compensation(0.04f);
  expected.set_push_every(8);
  expected.set_on_numeric_failure(v1::NUMERIC_FAILURE_SKIP);
  CHECK(spec.consistency().SerializeAsString() == expected.SerializeAsString());
  CHECK(spec.job_id() == "lenet");
  CHECK(spec.seed() == 1701);
  CHECK(spec.servers() == 2);
  CHECK(spec.run() == 7);
  // Nothing of its old form is left, so that it is stored in the new one only.
  v1::JobSpec copy;
  REQUIRE(copy.ParseFromString(spec.SerializeAsString()));
  copy.clear_consistency();
  AdoptConsistencyBefore(&copy);
  CHECK(copy.has_consistency());
  CHECK(copy.consistency().mode() == v1::CONSISTENCY_ASYNC);
}

TEST_CASE("a job of this version keeps its consistency, whatever else stands in it") {
  v1::JobSpec spec;
  REQUIRE(spec.ParseFromString(BytesBefore()));
  spec.mutable_consistency()->set_mode(v1::CONSISTENCY_SYNC);
  AdoptConsistencyBefore(&spec);
  CHECK(spec.consistency().mode() == v1::CONSISTENCY_SYNC);
  CHECK(spec.consistency().delay() == 0);
}

TEST_CASE("a job that says nothing of its consistency is asynchronous") {
  v1::JobSpec spec;
  spec.set_job_id("lenet");
  AdoptConsistencyBefore(&spec);
  REQUIRE(spec.has_consistency());
  CHECK(spec.consistency().ByteSizeLong() == 0);
}

}  // namespace
}  // namespace samovar
