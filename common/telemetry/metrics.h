// Metrics are the counters, gauges and histograms of one object of a process, a server or a worker: two in one process
// have their own. An object that counts registers its metrics at its construction, and keeps the pointers; a view reads
// Samples. The door to prometheus-cpp.
//
//   Metrics metrics;
//   MetricCounter* const pushes = metrics.AddCounter("samovar_server_pushes_total", "Chunks that were pushed.");
//   pushes->Increment();
//   metrics.Value("samovar_server_pushes_total");  // 1
//
// Names follow Prometheus' conventions: samovar_<process>_<what>_<unit>, in base units (seconds, bytes), and counters
// end in _total. Labels have few values: each costs its memory for as long as the object lives.
//
// Cost: Increment is one atomic addition (10 ns, 50 ns where two threads fight over it), Observe two and a search. So
// once for each message or task, not for each float.
//
// Thread safety: all methods may be called from any thread, and so may those of what Add... returns.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace samovar {

using MetricCounter = prometheus::Counter;
using MetricGauge = prometheus::Gauge;
using MetricHistogram = prometheus::Histogram;

class Metrics {
 public:
  // Name and value.
  using Labels = std::map<std::string, std::string>;

  Metrics() = default;
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // Belong to this. The same name and labels give the same object. `help` is a sentence. REQUIRES: the name is one by
  // Prometheus' conventions (CheckMetricName), and is that of one kind of metric only
  MetricCounter* AddCounter(const std::string& name, const std::string& help, const Labels& labels = {});
  MetricGauge* AddGauge(const std::string& name, const std::string& help, const Labels& labels = {});
  // `bounds`: the largest values of the buckets, ascending; above the last there is one more.
  MetricHistogram* AddHistogram(const std::string& name, const std::string& help, const std::vector<double>& bounds,
                                const Labels& labels = {});

  struct Sample {
    std::string name;
    Labels labels;
    double value = 0;
  };
  // The values of all now, ordered by name and labels. A histogram is two samples, NAME_count and NAME_sum.
  std::vector<Sample> Samples() const;
  // The value of one of the samples; 0 if there is none. With fewer labels than it has: the sum over the others.
  double Value(const std::string& name, const Labels& labels = {}) const;
  // All samples that are not 0 in one line, `a_total 3, b_total{reason="full"} 1`, for the log.
  std::string Line() const;
  // All in Prometheus' text format.
  std::string Text() const;

 private:
  prometheus::Registry registry_;
};

// Empty, or the rule of Prometheus' conventions that the name breaks: "counters end in _total".
std::string CheckMetricName(absl::string_view name, bool is_counter);

}  // namespace samovar
