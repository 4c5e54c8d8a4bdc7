// `samovar features`: blobs of a net for every record, a JSON object a line.
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "cli/commands.h"
#include "cli/open_model.h"
#include "cli/report/exit_codes.h"
#include "cli/report/json_line.h"
#include "cli/report/record_progress.h"
#include "common/base/read_file.h"
#include "common/base/status_macros.h"
#include "common/base/suggest.h"
#include "common/storage/write_file.h"
#include "worker/feed/open_reader.h"

namespace samovar {
namespace {

// Rows that a thread computes before they are written.
constexpr uint64_t kRowsPerPiece = 32;

// 1.0, 0.028, 1e-07; null for NaN and infinity, which JSON does not have.
void AppendNumber(float value, std::string* out) {
  if (!std::isfinite(value)) {
    out->append("null");
    return;
  }
  char text[32];
  const std::to_chars_result end = std::to_chars(text, text + sizeof(text), value);
  const absl::string_view digits(text, static_cast<size_t>(end.ptr - text));
  absl::StrAppend(out, digits, digits.find_first_of(".e") == absl::string_view::npos ? ".0" : "");
}

// One thread's net, with a batch of one record, so that all values of a blob are that record's.
struct Lane {
  std::unique_ptr<Net> net;
  std::unique_ptr<NetFeed> feed;
};

class Extractor {
 public:
  static absl::StatusOr<std::unique_ptr<Extractor>> Create(const FeaturesOptions& options) {
    auto extractor = std::unique_ptr<Extractor>(new Extractor(options));
    SAMOVAR_RETURN_IF_ERROR(extractor->Open());
    return extractor;
  }

  uint64_t records() const { return model_.data.records(); }

  // Appends the lines of records [begin, end) to `lines`.
  absl::Status Extract(uint64_t begin, uint64_t end, std::string* lines) {
    const auto pieces = static_cast<int64_t>((end - begin + kRowsPerPiece - 1) / kRowsPerPiece);
    std::vector<std::string> texts(static_cast<size_t>(pieces));
    std::vector<absl::Status> statuses(static_cast<size_t>(pieces));
    pool_.ParallelFor(pieces, [&](int64_t piece, int thread) {
      const uint64_t from = begin + static_cast<uint64_t>(piece) * kRowsPerPiece;
      const auto at = static_cast<size_t>(piece);
      statuses[at] =
          ExtractOn(&lanes_[static_cast<size_t>(thread)], from, std::min(end, from + kRowsPerPiece), &texts[at]);
    });
    for (size_t i = 0; i < texts.size(); ++i) {
      SAMOVAR_RETURN_IF_ERROR(statuses[i]);
      lines->append(texts[i]);
    }
    return absl::OkStatus();
  }

 private:
  explicit Extractor(const FeaturesOptions& options) : options_(options), pool_(options.threads) {}

  absl::Status Open() {
    SAMOVAR_ASSIGN_OR_RETURN(model_, OpenModelFiles(options_.files, caffe::TEST));
    if (records() == 0) {
      return absl::InvalidArgumentError(absl::StrCat(options_.files.model,
                                                     ": the net has no data layer in phase TEST; name a net ",
                                                     "as it is trained, with a Data layer"));
    }
    SAMOVAR_ASSIGN_OR_RETURN(const std::vector<const caffe::LayerParameter*> layers, FindFedLayers(model_.param));
    // A row has the name of its record in the first data layer.
    SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<RecordReader> reader,
                             OpenReader(*layers[0], caffe::TEST, model_.data.uri(), nullptr, model_.storage));
    SAMOVAR_ASSIGN_OR_RETURN(names_, reader->Names());
    // Make each record a batch, if the layers' batches can be divided so.
    v1::DatasetSpec single = model_.data;
    if (DivideBatches(single.batch_size(), &single).ok()) model_.data = single;
    for (int i = 0; i < options_.threads; ++i) {
      Lane lane;
      SAMOVAR_ASSIGN_OR_RETURN(lane.net, BuildNetOf(model_, /*batch_size=*/1, nullptr, /*keep_blobs=*/true));
      SAMOVAR_ASSIGN_OR_RETURN(lane.feed, OpenFeedOf(model_));
      lanes_.push_back(std::move(lane));
    }
    return CheckBlobs();
  }

  absl::Status CheckBlobs() {
    blobs_ = absl::StrSplit(options_.blobs, ',', absl::SkipEmpty());
    if (blobs_.empty()) return absl::InvalidArgumentError("--blobs is empty; name one or more, separated by commas");
    if (!options_.label.empty()) blobs_.push_back(options_.label);
    for (auto blob = blobs_.begin(); blob != blobs_.end(); ++blob) {
      if (std::find(blobs_.begin(), blob, *blob) == blob) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("--blobs and --label name \"", *blob, "\" twice, and a row has each key once; name it once"));
    }
    const std::vector<std::string> known = lanes_[0].net->BlobNames();
    for (const std::string& blob : blobs_) {
      if (std::find(known.begin(), known.end(), blob) != known.end()) continue;
      return absl::InvalidArgumentError(absl::StrCat(options_.files.model, ": the net has no blob \"", blob,
                                                     "\" among ", absl::StrJoin(known, ", "), DidYouMean(blob, known)));
    }
    return absl::OkStatus();
  }

  absl::Status ExtractOn(Lane* lane, uint64_t begin, uint64_t end, std::string* lines) const {
    for (uint64_t record = begin; record < end; ++record) {
      SAMOVAR_RETURN_IF_ERROR(FitToRecord(record, lane->feed.get(), lane->net.get()));
      SAMOVAR_RETURN_IF_ERROR(lane->feed->FillRange(record, record + 1, FedTops(model_, *lane->net)));
      SAMOVAR_RETURN_IF_ERROR(lane->net->Forward(0, /*seed=*/1, /*first_record=*/record));
      JsonLine line;
      line.Text("SampleID", names_[record]);
      for (const std::string& blob : blobs_) {
        SAMOVAR_ASSIGN_OR_RETURN(const std::string values, ValuesOf(*lane->net, blob));
        line.Raw(blob, values);
      }
      absl::StrAppend(lines, line.Finish(), "\n");
    }
    return absl::OkStatus();
  }

  static absl::StatusOr<std::string> ValuesOf(const Net& net, const std::string& blob) {
    const absl::StatusOr<NetBlob> found = net.FindBlob(blob);
    if (!found.ok()) return found.status();
    std::string text = "[";
    for (const float value : found->values) {
      if (text.size() > 1) text.push_back(',');
      AppendNumber(value, &text);
    }
    return text + "]";
  }

  const FeaturesOptions options_;
  ThreadPool pool_;
  OpenModel model_;
  std::vector<std::string> names_;
  std::vector<std::string> blobs_;
  std::vector<Lane> lanes_;
};

// Takes lines; an error says why it cannot.
using Sink = std::function<absl::Status(absl::string_view lines)>;

// Writes all lines. `progress` may be empty.
absl::Status WriteLines(Extractor* extractor, int threads, const std::function<void(uint64_t, uint64_t)>& progress,
                        const Sink& sink) {
  const uint64_t step = kRowsPerPiece * static_cast<uint64_t>(threads) * 4;
  std::string lines;
  for (uint64_t begin = 0; begin < extractor->records(); begin += step) {
    const uint64_t end = std::min(begin + step, extractor->records());
    lines.clear();
    SAMOVAR_RETURN_IF_ERROR(extractor->Extract(begin, end, &lines));
    SAMOVAR_RETURN_IF_ERROR(sink(lines));
    if (progress) progress(end, extractor->records());
  }
  return absl::OkStatus();
}

// A file that is there is whole.
absl::Status WriteToFile(Extractor* extractor, const FeaturesOptions& options, const std::string& path) {
  const absl::Status written = options.files.storage.Put(path, [&](int fd) {
    return WriteLines(extractor, options.threads, RecordProgress(),
                      [&](absl::string_view lines) { return WriteAll(path, lines, fd); });
  });
  return CannotWrite(path, written);
}

absl::Status WriteToOutput(Extractor* extractor, const FeaturesOptions& options) {
  return WriteLines(extractor, options.threads, /*progress=*/{}, [](absl::string_view lines) {
    errno = 0;
    std::cout.write(lines.data(), static_cast<std::streamsize>(lines.size())).flush();
    if (std::cout.good()) return absl::OkStatus();
    return ErrnoStatus(errno != 0 ? errno : EIO, "write", "the output");
  });
}

}  // namespace

int RunFeatures(const FeaturesOptions& options) {
  const bool to_file = options.output != "-";
  const std::string directory = options.output.empty() ? "." : options.output;
  const std::string path = absl::StrCat(absl::StripSuffix(directory, "/"), "/features.jsonl");
  const absl::Status writable = to_file ? options.files.storage.CheckWritable(path) : absl::OkStatus();
  if (!writable.ok()) {
    PrintError(writable.message());
    return kExitUsage;
  }
  if (to_file && !options.force && options.files.storage.Exists(path)) {
    PrintError(absl::StrCat(path, ": exists already; --force replaces it"));
    return kExitUsage;
  }
  absl::StatusOr<std::unique_ptr<Extractor>> extractor = Extractor::Create(options);
  if (!extractor.ok()) {
    PrintError(extractor.status().message());
    return kExitUsage;
  }
  const absl::Status written =
      to_file ? WriteToFile(extractor->get(), options, path) : WriteToOutput(extractor->get(), options);
  if (!written.ok()) {
    PrintError(written.message());
    return kExitFailed;
  }
  if (to_file) std::cout << path << ": " << (*extractor)->records() << " rows\n";
  return kExitOk;
}

}  // namespace samovar
