#include "cli/describe_plan.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/report/json_line.h"
#include "cli/report/progress.h"
#include "common/model/consistency.h"

namespace samovar {
namespace {

// Alternatives that people are told.
constexpr size_t kMostTold = 6;

std::string Row(const std::string& name, const std::string& text) { return absl::StrFormat("%-11s %s\n", name, text); }

std::string Count(uint64_t count, const std::string& noun) {
  return absl::StrCat(count, " ", noun, count == 1 ? "" : "s");
}

std::string RateText(double rate) { return absl::StrFormat(rate < 100 ? "%.1f images/s" : "%.0f images/s", rate); }

// With a digit behind the point where that matters.
std::string SecondsText(double seconds) {
  return seconds < 10 ? absl::StrFormat("%.1f s", seconds) : FormatDuration(seconds);
}

v1::Consistency ConsistencyOf(const JobChoices& choices) {
  v1::Consistency consistency;
  consistency.set_mode(choices.mode);
  if (choices.mode == v1::CONSISTENCY_BOUNDED) consistency.set_delay(choices.delay);
  if (choices.mode == v1::CONSISTENCY_SYNC) consistency.set_parts(choices.parts);
  if (choices.push_every > 1) consistency.set_push_every(choices.push_every);
  consistency.set_encoding(choices.encoding);
  if (choices.encoding == v1::ENCODING_SPARSE) consistency.set_topk_ratio(choices.topk_ratio);
  return consistency;
}

std::string JobText(const JobShape& job) {
  std::string text = absl::StrFormat("%s, %.2f M parameters (%s), batches of %d", job.name, job.parameters() * 1e-6,
                                     FormatBytes(4.0 * static_cast<double>(job.parameters())), job.batch);
  if (job.passes > 1) absl::StrAppend(&text, ", ", job.passes, " an iteration");
  return absl::StrCat(text, ", ", job.max_iter, " iterations");
}

std::string ClusterText(const ClusterSpec& cluster) {
  const Machine& machine = cluster.worker_machine;
  std::string text = Count(cluster.workers, "worker");
  if (cluster.one_machine) {
    absl::StrAppend(&text, " and ", Count(cluster.servers, "server"), " on this machine");
  } else {
    absl::StrAppend(&text, " and ", Count(cluster.servers, "server"), ", each on ", machine.name, " of its own");
  }
  absl::StrAppend(&text, ", ", Count(cluster.worker_threads, "compute thread"), " a worker");
  if (machine.network > 0) absl::StrAppendFormat(&text, ", %.4g Gb/s", machine.network * 8e-9);
  return text;
}

// The command that does what was planned.
std::string CommandText(const Plan& plan) {
  const JobChoices& choices = plan.choices;
  std::string text = absl::StrCat("--servers ", plan.cluster.servers, " --mode ", ModeName(choices.mode));
  if (choices.mode == v1::CONSISTENCY_BOUNDED) absl::StrAppend(&text, " --delay ", choices.delay);
  if (choices.mode == v1::CONSISTENCY_SYNC) absl::StrAppend(&text, " --parts ", choices.parts);
  absl::StrAppend(&text, " --encoding ", EncodingName(choices.encoding));
  if (choices.push_every > 1) absl::StrAppend(&text, " --push-every ", choices.push_every);
  return text;
}

std::string AccuracyText(const Plan& plan) {
  if (!plan.accuracy_warning.empty()) return plan.accuracy_warning;
  if (plan.choices.encoding == v1::ENCODING_SPARSE)
    return "topk costs some: 1.2 points of LeNet's 90.5 % (benchmarks/README.md)";
  if (!plan.workers_without_loss.has_value()) return "as with one worker";
  return absl::StrCat("as with one worker, up to ", Count(*plan.workers_without_loss, "worker"),
                      " for so many iterations");
}

std::string LoadsText(const Plan& plan) {
  std::string text;
  for (const Load& load : plan.outcome.loads) {
    absl::StrAppend(&text, text.empty() ? "" : "; ", load.resource, absl::StrFormat(" %.0f %%", 100 * load.used));
  }
  return text;
}

std::string AlternativesText(const Plan& plan) {
  std::string rows;
  const size_t told = std::min(kMostTold, plan.alternatives.size());
  for (size_t i = 0; i < told; ++i) {
    const Alternative& alternative = plan.alternatives[i];
    rows +=
        Row(i == 0 ? "faster with" : "",
            absl::StrFormat("%s: %s, %.2f times as fast", alternative.change, RateText(alternative.images_per_second),
                            alternative.images_per_second / plan.outcome.images_per_second));
  }
  return rows.empty() ? Row("faster with", "none of what was tried") : rows;
}

}  // namespace

std::string DescribePlan(const PlanRequest& request, const Plan& plan) {
  const RunOutcome& outcome = plan.outcome;
  std::string text = Row("job", JobText(request.job)) + Row("cluster", ClusterText(plan.cluster)) +
                     Row("mode", ConsistencyText(ConsistencyOf(plan.choices))) + Row("flags", CommandText(plan));
  text += Row("speed", absl::StrFormat("%s; one worker alone %s, so %.0f %% of %d times that",
                                       RateText(outcome.images_per_second), RateText(plan.alone_images_per_second),
                                       100 * plan.efficiency, plan.cluster.workers));
  if (request.job.records > 0) text += Row("epoch", SecondsText(plan.epoch_seconds));
  text += Row("job takes", SecondsText(plan.job_seconds));
  if (plan.choices.mode != v1::CONSISTENCY_SYNC)
    text += Row("staleness", absl::StrFormat("%.1f on average", outcome.staleness));
  text += Row("accuracy", AccuracyText(plan));
  text += Row("memory",
              absl::StrCat("worker ", FormatBytes(plan.worker_bytes), ", server ", FormatBytes(plan.server_bytes)));
  if (!plan.memory_warning.empty()) text += Row("", absl::StrCat("too little: ", plan.memory_warning));
  text += Row("held up by", plan.bottleneck) + Row("used", LoadsText(plan));
  return text + AlternativesText(plan);
}

std::string PlanJson(const PlanRequest& request, const Plan& plan) {
  JsonLine line;
  const auto round = [](double value) { return static_cast<uint64_t>(value + 0.5); };
  line.Text("net", request.job.name)
      .Integer("parameters", request.job.parameters())
      .Integer("workers", plan.cluster.workers)
      .Integer("servers", plan.cluster.servers)
      .Text("machine", plan.cluster.worker_machine.name)
      .Integer("threads", plan.cluster.worker_threads)
      .Number("network_gbits", plan.cluster.worker_machine.network * 8e-9)
      .Text("mode", ModeName(plan.choices.mode));
  if (plan.choices.mode == v1::CONSISTENCY_BOUNDED) line.Integer("delay", plan.choices.delay);
  if (plan.choices.mode == v1::CONSISTENCY_SYNC) line.Integer("parts", plan.choices.parts);
  line.Text("encoding", EncodingName(plan.choices.encoding))
      .Integer("push_every", plan.choices.push_every)
      .Number("images_per_second", plan.outcome.images_per_second)
      .Number("alone_images_per_second", plan.alone_images_per_second)
      .Number("efficiency", plan.efficiency)
      .Number("iterations_per_second", plan.outcome.iterations_per_second)
      .Integer("busy_workers", plan.outcome.busy_workers)
      .Number("staleness", plan.outcome.staleness);
  if (plan.workers_without_loss.has_value()) line.Integer("workers_without_loss", *plan.workers_without_loss);
  if (request.job.records > 0) line.Number("epoch_seconds", plan.epoch_seconds);
  line.Number("job_seconds", plan.job_seconds)
      .Integer("worker_bytes", round(plan.worker_bytes))
      .Integer("server_bytes", round(plan.server_bytes))
      .Text("memory_warning", plan.memory_warning)
      .Text("accuracy_warning", plan.accuracy_warning)
      .Text("bottleneck", plan.bottleneck);
  JsonLine used;
  for (const Load& load : plan.outcome.loads) used.Number(load.resource, load.used);
  std::string alternatives;
  for (const Alternative& alternative : plan.alternatives) {
    absl::StrAppend(&alternatives, alternatives.empty() ? "" : ",",
                    JsonLine()
                        .Text("change", alternative.change)
                        .Number("images_per_second", alternative.images_per_second)
                        .Finish());
  }
  return line.Raw("used", used.Finish()).Raw("alternatives", absl::StrCat("[", alternatives, "]")).Finish();
}

}  // namespace samovar
