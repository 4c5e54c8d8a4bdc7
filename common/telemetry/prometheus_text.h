// PrometheusText writes figures that are no Metrics, as those of a status, in Prometheus' text format:
// https://prometheus.io/docs/instrumenting/exposition_formats
//
//   PrometheusText text;
//   text.Begin("samovar_job_iteration", "gauge", "Iterations that all chunks have applied.");
//   text.Add({{"job", "lenet"}}, 1200);
//   text.text()
//
// Thread safety: none.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace samovar {

class PrometheusText {
 public:
  using Labels = std::vector<std::pair<std::string, std::string>>;

  // The values that follow are of this family. Each family once. `type`: "gauge", "counter" or "histogram".
  void Begin(const std::string& name, const std::string& type, const std::string& help);
  // `suffix`: "_bucket", "_sum" and "_count" of a histogram.
  void Add(const Labels& labels, double value, absl::string_view suffix = "");

  const std::string& text() const { return text_; }

 private:
  std::string name_;
  std::string text_;
};

}  // namespace samovar
