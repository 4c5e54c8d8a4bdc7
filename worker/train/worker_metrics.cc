#include "worker/train/worker_metrics.h"

namespace samovar {

WorkerMetrics::WorkerMetrics(Metrics* metrics)
    : records(metrics->AddCounter("samovar_worker_records_total", "Records that were computed in training.")),
      compute_seconds(metrics->AddCounter("samovar_worker_compute_seconds_total", "Time of passes over the net.")),
      feed_wait_seconds(
          metrics->AddCounter("samovar_worker_feed_wait_seconds_total", "Time in which records were waited for.")),
      push_wait_seconds(metrics->AddCounter("samovar_worker_push_wait_seconds_total",
                                            "Time in which servers were waited for to take gradients.")),
      pull_wait_seconds(
          metrics->AddCounter("samovar_worker_pull_wait_seconds_total", "Time in which weights were waited for.")) {}

}  // namespace samovar
