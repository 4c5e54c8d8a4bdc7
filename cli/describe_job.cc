#include "cli/describe_job.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/report/progress.h"
#include "cli/run/model_export.h"
#include "common/model/consistency.h"
#include "common/model/last_snapshot.h"
#include "common/model/layout.h"
#include "common/model/solver_history.h"

namespace samovar {
namespace {

std::string Row(const std::string& name, const std::string& text) { return absl::StrFormat("%-9s %s\n", name, text); }

std::string SolverText(const caffe::SolverParameter& solver) {
  std::string text = absl::StrCat(solver.type(), ", ", solver.max_iter(), " iterations, base_lr ", solver.base_lr(),
                                  " (", solver.lr_policy(), ")");
  if (solver.momentum() != 0) absl::StrAppend(&text, ", momentum ", solver.momentum());
  if (solver.weight_decay() != 0) absl::StrAppend(&text, ", weight_decay ", solver.weight_decay());
  if (solver.clip_gradients() >= 0)
    absl::StrAppend(&text, ", gradients clipped to a norm of ", solver.clip_gradients());
  return text;
}

std::string TopText(const v1::RecordTop& top) {
  return top.shape().empty() ? "a label" : absl::StrJoin(top.shape(), "x");
}

// One layer's. `parts`: batches of an iteration.
std::string LayerText(const v1::DatasetSpec& data, int parts) {
  const std::string batch =
      absl::StrCat(data.batch_size(), " a batch", parts > 1 ? absl::StrCat(", ", parts, " batches an iteration") : "");
  if (data.records() == 0) return absl::StrCat("no data layer, ", batch);
  std::vector<std::string> tops;
  for (const v1::RecordTop& top : data.tops()) tops.push_back(TopText(top));
  const std::string stored = data.block() > 1 ? absl::StrCat(" in ", data.partitions(), " partitions") : "";
  return absl::StrCat(data.uri(), ": ", data.records(), " records of ", absl::StrJoin(tops, " and "), stored, ", ",
                      batch);
}

// A row for each data layer.
std::string DataRows(const v1::DatasetSpec& data, int parts) {
  std::string rows = Row("", LayerText(data, parts));
  for (const v1::DatasetSpec& further : data.further()) absl::StrAppend(&rows, Row("", LayerText(further, parts)));
  if (data.further().empty()) return rows;
  return rows +
         Row("", data.in_order()
                     ? "data layers of different batches or lengths: each is read in its own order, as Caffe does"
                     : "data layers keep together: record i of one is with record i of the others");
}

std::string OutputsText(const v1::NetOutputs& outputs) {
  return absl::StrJoin(outputs.outputs(), ", ", [](std::string* out, const v1::OutputSpec& output) {
    out->append(output.name());
    if (output.mean_of() != 0) absl::StrAppend(out, " (mean of its ", output.mean_of(), " values)");
  });
}

std::string TrainText(const v1::JobSpec& spec) {
  const std::string text = absl::StrCat(spec.train_net().name(), ", ", spec.train_net().layer_size(),
                                        " layers, outputs ", OutputsText(spec.train_outputs()));
  if (spec.train_data().records() == 0) return text;
  const double samples =
      static_cast<double>(spec.solver().max_iter()) * spec.solver().iter_size() * spec.train_data().batch_size();
  return text +
         absl::StrFormat("; %.2f rounds of the data", samples / static_cast<double>(spec.train_data().records()));
}

std::string TestText(const v1::JobSpec& spec, int net) {
  return absl::StrCat(spec.test_nets(net).name(), ", ", spec.test_nets(net).layer_size(), " layers, outputs ",
                      OutputsText(spec.test_outputs(net)), "; ", TestedText(spec, net));
}

std::string ParameterTable(const v1::ParameterLayout& layout) {
  std::string table;
  for (const v1::ParameterBlob& blob : layout.blobs()) {
    absl::StrAppend(
        &table, Row("", absl::StrFormat("%-20s %-16s %10d  %s", absl::StrCat(blob.layer(), " ", blob.index()),
                                        absl::StrJoin(blob.shape(), "x"), BlobElements(blob), blob.filler().type())));
  }
  return table;
}

}  // namespace

std::string TestedText(const v1::JobSpec& spec, int net) {
  const std::string when = absl::StrCat("every ", spec.solver().test_interval(), " iterations");
  const v1::DatasetSpec& data = spec.test_data(net);
  const uint64_t asked = static_cast<uint64_t>(spec.solver().test_iter(net)) * data.batch_size();
  if (data.records() == 0) return absl::StrCat(when, " with ", asked, " records");
  if (asked < data.records()) {
    return absl::StrCat(
        when, " with ", asked, " of ", data.records(),
        " records (test_iter x batch_size), a test going on where the one before has stopped; --test-all takes all");
  }
  return absl::StrCat(
      when, " with all ", data.records(), " records",
      asked == data.records() ? "" : absl::StrCat(", each once (test_iter x batch_size is ", asked, ")"));
}

std::string DescribeJob(const CheckedJob& job) {
  const v1::JobSpec& spec = job.spec;
  const double bytes = static_cast<double>(spec.layout().elements()) * sizeof(float);
  std::string text = Row("solver", SolverText(spec.solver()));
  absl::StrAppend(&text, Row("train", TrainText(spec)), DataRows(spec.train_data(), spec.solver().iter_size()));
  for (int i = 0; i < spec.test_nets_size(); ++i) {
    absl::StrAppend(&text, Row(absl::StrCat("test #", i), TestText(spec, i)), DataRows(spec.test_data(i), /*parts=*/1));
  }
  absl::StrAppend(&text, Row("model", absl::StrCat(spec.layout().elements(), " parameters, ", FormatBytes(bytes))),
                  ParameterTable(spec.layout()));
  if (!job.start.empty()) absl::StrAppend(&text, Row("weights", job.start));
  // Weights and gradients; weights and the solver's history, and as much again while a snapshot is taken.
  const double server_bytes = 2 * bytes * (1 + HistoryVectors(spec.solver()).value_or(1));
  absl::StrAppend(&text, Row("memory", absl::StrCat(FormatBytes(2 * bytes), " of parameters in each worker, ",
                                                    FormatBytes(server_bytes), " at most in all servers together")));
  const auto max_iter = static_cast<uint64_t>(spec.solver().max_iter());
  if (const auto workers = WorkersWithoutLoss(spec.consistency(), max_iter); workers.has_value()) {
    absl::StrAppend(&text, Row("workers", absl::StrCat("up to ", *workers,
                                                       " without loss of accuracy in async mode; "
                                                       "for more choose --mode bounded or --mode sync")));
  }
  const std::string model = WritesLastSnapshot(spec.solver())
                                ? ModelPath(job.snapshot_prefix, max_iter, spec.solver())
                                : absl::StrCat(ModelPath(job.snapshot_prefix, max_iter, spec.solver()),
                                               " is not written (snapshot_after_train: false)");
  absl::StrAppend(&text,
                  Row("files", spec.solver().snapshot() > 0
                                   ? absl::StrCat(model, ", and one every ", spec.solver().snapshot(), " iterations")
                                   : model));
  return text;
}

}  // namespace samovar
