#include "common/model/job_spec_before.h"

#include <string>

namespace samovar {

v1::Consistency ConsistencyBefore(const v1::JobSpecBefore& before) {
  v1::Consistency consistency;
  consistency.set_mode(before.mode());
  consistency.set_delay(before.delay());
  consistency.set_parts(before.parts());
  consistency.set_encoding(before.encoding());
  consistency.set_topk_ratio(before.topk_ratio());
  consistency.set_staleness_scaling(before.staleness_scaling());
  consistency.set_delay_compensation(before.delay_compensation());
  consistency.set_push_every(before.push_every());
  consistency.set_on_numeric_failure(before.on_numeric_failure());
  return consistency;
}

void AdoptConsistencyBefore(v1::JobSpec* spec) {
  if (spec->has_consistency()) return;
  const google::protobuf::UnknownFieldSet& unknown = spec->GetReflection()->GetUnknownFields(*spec);
  std::string bytes;
  v1::JobSpecBefore before;
  // Fields that a JobSpecBefore does not have either are ignored, and so are bytes that are no fields.
  if (unknown.SerializeToString(&bytes) && before.ParseFromString(bytes))
    *spec->mutable_consistency() = ConsistencyBefore(before);
  spec->GetReflection()->MutableUnknownFields(spec)->Clear();
}

}  // namespace samovar
