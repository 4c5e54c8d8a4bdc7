#include "cli/plan/machine_profile.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "cli/plan/built_in_profile.h"
#include "common/base/status_macros.h"
#include "common/model/consistency.h"
#include "common/remote/json.h"

namespace samovar {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;

constexpr double kNano = 1e-9;
constexpr double kMicro = 1e-6;
constexpr double kGibi = 1024.0 * 1024 * 1024;

// Reads `name` of the object, times `unit`, where it is there.
absl::Status Read(const Struct& object, const std::string& name, double unit, double* value) {
  const auto field = object.fields().find(name);
  if (field == object.fields().end()) return absl::OkStatus();
  const double number = field->second.number_value();
  if (field->second.kind_case() != Value::kNumberValue || !std::isfinite(number) || number < 0)
    return absl::InvalidArgumentError(absl::StrCat("\"", name, "\" is to be a number from 0 on"));
  *value = number * unit;
  return absl::OkStatus();
}

// The same, where 0 has no meaning.
absl::Status ReadPositive(const Struct& object, const std::string& name, double unit, double* value) {
  SAMOVAR_RETURN_IF_ERROR(Read(object, name, unit, value));
  if (*value > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("\"", name, "\" is to be above 0"));
}

absl::Status ReadEncoding(const Struct& object, const std::string& name, FloatSeconds* seconds) {
  const Struct& costs = JsonObject(object, name);
  for (const auto& [field, value] : {std::pair("worker_push", &seconds->worker_push),
                                     {"worker_pull", &seconds->worker_pull},
                                     {"server_push", &seconds->server_push},
                                     {"server_pull", &seconds->server_pull}}) {
    SAMOVAR_RETURN_IF_ERROR(Annotate(Read(costs, field, kNano, value), name));
  }
  return absl::OkStatus();
}

absl::Status ReadCosts(const Struct& object, ProcessCosts* costs) {
  const Struct& floats = JsonObject(object, "nanoseconds_a_float");
  for (const std::string& name : EncodingNames())
    SAMOVAR_RETURN_IF_ERROR(ReadEncoding(floats, name, &costs->encodings[static_cast<size_t>(EncodingOf(name))]));
  SAMOVAR_RETURN_IF_ERROR(Read(floats, "apply", kNano, &costs->apply));
  SAMOVAR_RETURN_IF_ERROR(Read(floats, "add", kNano, &costs->add));
  const Struct& micro = JsonObject(object, "microseconds");
  for (const auto& [field, value] : {std::pair("worker_request", &costs->worker_request),
                                     {"server_request", &costs->server_request},
                                     {"worker_pass", &costs->worker_pass},
                                     {"wake", &costs->wake},
                                     {"lease", &costs->lease}}) {
    SAMOVAR_RETURN_IF_ERROR(Read(micro, field, kMicro, value));
  }
  SAMOVAR_RETURN_IF_ERROR(Read(object, "jitter", 1, &costs->jitter));
  return ReadPositive(object, "beyond_caches", 1, &costs->beyond_caches);
}

absl::StatusOr<Profile> Parse(absl::string_view json, Profile profile) {
  SAMOVAR_ASSIGN_OR_RETURN(const Struct object, ParseJson(json));
  if (const std::string name = JsonText(object, "name"); !name.empty()) profile.name = name;
  profile.reference.name = profile.name;
  SAMOVAR_RETURN_IF_ERROR(ReadPositive(object, "threads", 1, &profile.reference.threads));
  SAMOVAR_RETURN_IF_ERROR(ReadPositive(object, "cores", 1, &profile.reference.cores));
  SAMOVAR_RETURN_IF_ERROR(ReadPositive(object, "peak_gflops", 1e9, &profile.peak_flops));
  SAMOVAR_RETURN_IF_ERROR(ReadCosts(object, &profile.costs));
  return profile;
}

// Sizes of Azure's Dsv5 and Esv5 series: threads, memory and network as Microsoft states them. Two threads share a
// core: two that compute are worth 1.3 of one alone; a thread alone computes as fast as one of the reference machine,
// whose peak is 0.7 of theirs by AVX-512, which nets hardly reach (benchmarks/scale/README.md).
Machine AzureSize(const char* name, double threads, double memory_gib, double gigabits) {
  return {name, threads, threads / 2 * 1.3, 1, gigabits * 1e9 / 8, memory_gib * kGibi};
}

}  // namespace

const Profile& BuiltInProfile() {
  static const Profile* const profile = [] {
    absl::StatusOr<Profile> parsed = Parse(kBuiltInProfile, Profile());
    return new Profile(parsed.ok() ? *std::move(parsed) : Profile());
  }();
  return *profile;
}

absl::StatusOr<Profile> ParseProfile(absl::string_view json) { return Parse(json, BuiltInProfile()); }

const std::vector<Machine>& KnownMachines() {
  static const auto* const machines = new std::vector<Machine>{
      AzureSize("D2s_v5", 2, 8, 12.5),    AzureSize("D4s_v5", 4, 16, 12.5),  AzureSize("D8s_v5", 8, 32, 12.5),
      AzureSize("D16s_v5", 16, 64, 12.5), AzureSize("D32s_v5", 32, 128, 16), AzureSize("D48s_v5", 48, 192, 24),
      AzureSize("D64s_v5", 64, 256, 30),  AzureSize("D96s_v5", 96, 384, 35)};
  return *machines;
}

absl::StatusOr<Machine> FindMachine(absl::string_view name) {
  const absl::string_view bare = absl::StripPrefix(name, "Standard_");
  for (const Machine& machine : KnownMachines()) {
    if (absl::EqualsIgnoreCase(machine.name, bare)) return machine;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", name, "\" is not a machine that is known: ",
                   absl::StrJoin(KnownMachines(), ", ",
                                 [](std::string* out, const Machine& machine) { out->append(machine.name); })));
}

absl::StatusOr<double> ParseNetwork(absl::string_view text) {
  absl::string_view digits = text;
  double unit = 0;
  if (absl::ConsumeSuffix(&digits, "gbit")) unit = 1e9 / 8;
  if (unit == 0 && absl::ConsumeSuffix(&digits, "mbit")) unit = 1e6 / 8;
  double number = 0;
  if (unit > 0 && absl::SimpleAtod(digits, &number) && std::isfinite(number) && number > 0) return number * unit;
  return absl::InvalidArgumentError(
      absl::StrCat("\"", text, "\" is not a network's speed, for example 10gbit or 100mbit"));
}

}  // namespace samovar
