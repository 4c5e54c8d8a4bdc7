#include "common/telemetry/metrics.h"

#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cstdlib>
#include <tuple>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/telemetry/log.h"

namespace samovar {
namespace {

void Add(const std::string& name, const prometheus::ClientMetric& metric, double value,
         std::vector<Metrics::Sample>* samples) {
  Metrics::Sample sample;
  sample.name = name;
  for (const prometheus::ClientMetric::Label& label : metric.label) sample.labels[label.name] = label.value;
  sample.value = value;
  samples->push_back(std::move(sample));
}

// A wrong name is a mistake in the program, which every start of it finds.
void RequireName(const std::string& name, bool is_counter) {
  const std::string wrong = CheckMetricName(name, is_counter);
  if (wrong.empty()) return;
  LogError(absl::StrCat("the metric ", name, " has no name by Prometheus' conventions: ", wrong));
  std::abort();
}

bool HasLabels(const Metrics::Sample& sample, const Metrics::Labels& labels) {
  return std::all_of(labels.begin(), labels.end(), [&](const auto& label) {
    const auto found = sample.labels.find(label.first);
    return found != sample.labels.end() && found->second == label.second;
  });
}

}  // namespace

std::string CheckMetricName(absl::string_view name, bool is_counter) {
  const bool plain = std::all_of(name.begin(), name.end(),
                                 [](char c) { return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_'; });
  if (!plain || !absl::StartsWith(name, "samovar_")) return "a name is samovar_ and small letters, digits and _";
  if (absl::EndsWith(name, "_total") != is_counter) return "counters end in _total, and nothing else does";
  for (const char* unit : {"_ms", "_millis", "_us", "_minutes", "_kb", "_mb", "_mib"}) {
    if (absl::EndsWith(name, unit) || absl::StrContains(name, absl::StrCat(unit, "_"))) {
      return "units are seconds and bytes";
    }
  }
  return "";
}

MetricCounter* Metrics::AddCounter(const std::string& name, const std::string& help, const Labels& labels) {
  RequireName(name, /*is_counter=*/true);
  return &prometheus::BuildCounter().Name(name).Help(help).Register(registry_).Add(labels);
}

MetricGauge* Metrics::AddGauge(const std::string& name, const std::string& help, const Labels& labels) {
  RequireName(name, /*is_counter=*/false);
  return &prometheus::BuildGauge().Name(name).Help(help).Register(registry_).Add(labels);
}

MetricHistogram* Metrics::AddHistogram(const std::string& name, const std::string& help,
                                       const std::vector<double>& bounds, const Labels& labels) {
  RequireName(name, /*is_counter=*/false);
  return &prometheus::BuildHistogram().Name(name).Help(help).Register(registry_).Add(labels, bounds);
}

std::vector<Metrics::Sample> Metrics::Samples() const {
  std::vector<Sample> samples;
  for (const prometheus::MetricFamily& family : registry_.Collect()) {
    for (const prometheus::ClientMetric& metric : family.metric) {
      if (family.type == prometheus::MetricType::Counter) {
        Add(family.name, metric, metric.counter.value, &samples);
      } else if (family.type == prometheus::MetricType::Gauge) {
        Add(family.name, metric, metric.gauge.value, &samples);
      } else {
        Add(family.name + "_count", metric, static_cast<double>(metric.histogram.sample_count), &samples);
        Add(family.name + "_sum", metric, metric.histogram.sample_sum, &samples);
      }
    }
  }
  std::sort(samples.begin(), samples.end(),
            [](const Sample& a, const Sample& b) { return std::tie(a.name, a.labels) < std::tie(b.name, b.labels); });
  return samples;
}

double Metrics::Value(const std::string& name, const Labels& labels) const {
  double value = 0;
  for (const Sample& sample : Samples()) {
    if (sample.name == name && HasLabels(sample, labels)) value += sample.value;
  }
  return value;
}

std::string Metrics::Text() const { return prometheus::TextSerializer().Serialize(registry_.Collect()); }

std::string Metrics::Line() const {
  std::vector<std::string> parts;
  for (const Sample& sample : Samples()) {
    if (sample.value == 0) continue;
    const std::string labels = absl::StrJoin(sample.labels, ",", [](std::string* out, const auto& label) {
      absl::StrAppend(out, label.first, "=\"", label.second, "\"");
    });
    parts.push_back(absl::StrCat(sample.name, labels.empty() ? "" : absl::StrCat("{", labels, "}"), " ", sample.value));
  }
  return absl::StrJoin(parts, ", ");
}

}  // namespace samovar
