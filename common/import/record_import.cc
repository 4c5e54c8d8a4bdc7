#include "common/import/record_import.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/status_macros.h"
#include "common/data/dataset_manifest.h"
#include "common/data/lmdb_records.h"
#include "common/data/records_digest.h"
#include "common/storage/paths.h"
#include "common/storage/write_file.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxRecords = 100'000'000;
constexpr uint64_t kRecordsPerTransaction = 10'000;
constexpr uint64_t kBytesPerTransaction = 64 << 20;
// Decoded and resized, so many photographs take a few seconds.
constexpr uint64_t kRecordsPerProgress = 1'000;

absl::Status CheckPartitions(uint64_t total, uint32_t partitions) {
  if (partitions <= total && partitions <= kMaxSetPartitions) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("there are ", total, " records, which cannot be in ", partitions,
                                                 " partitions; choose 1 to ",
                                                 std::min<uint64_t>(total, kMaxSetPartitions)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<RecordImport>> RecordImport::Begin(const std::string& set_path, uint64_t total,
                                                                  const ImportOptions& options) {
  std::string target = set_path;
  if (options.describe) {
    SAMOVAR_RETURN_IF_ERROR(CheckPartitionTarget(target, options.storage));
  } else {
    SAMOVAR_ASSIGN_OR_RETURN(target, CheckSetTarget(set_path, options.force, options.storage));
  }
  if (total > kMaxRecords) {
    return absl::InvalidArgumentError(
        absl::StrCat("there are ", total, " records; keys of 8 digits allow ", kMaxRecords));
  }
  SAMOVAR_RETURN_IF_ERROR(CheckPartitions(total, options.partitions));
  std::unique_ptr<RecordImport> import(new RecordImport(std::move(target), total, options));
  if (LocalPath(import->target_).ok()) {
    SAMOVAR_ASSIGN_OR_RETURN(import->staging_, StagedDirectory::Create(import->target_));
  } else {
    SAMOVAR_ASSIGN_OR_RETURN(import->upload_, SetUpload::Begin(import->target_, options.storage, options.tell));
    SAMOVAR_ASSIGN_OR_RETURN(import->staging_, StagedDirectory::CreateTemporary());
  }
  SAMOVAR_RETURN_IF_ERROR(import->InUsersWords(import->OpenNext()));
  return import;
}

RecordImport::RecordImport(std::string target, uint64_t total, const ImportOptions& options)
    : target_(std::move(target)),
      total_(total),
      options_(options),
      cut_{total, std::max<uint32_t>(1, options.partitions)} {}

RecordImport::~RecordImport() = default;

std::string RecordImport::CurrentDirectory() const {
  return options_.partitions == 0 ? staging_->path() : absl::StrCat(staging_->path(), "/", PartitionName(current_));
}

absl::Status RecordImport::OpenNext() {
  SAMOVAR_ASSIGN_OR_RETURN(environment_, LmdbEnvironment::Open(CurrentDirectory(), {}));
  return absl::OkStatus();
}

absl::Status RecordImport::CheckStopped() const {
  if (options_.stopper == nullptr || !options_.stopper->stopped()) return absl::OkStatus();
  return absl::CancelledError(upload_ == nullptr
                                  ? "interrupted; nothing was made"
                                  : absl::StrCat("interrupted; no data set was made: partitions that were sent to ",
                                                 target_, " lie there until the next import"));
}

absl::Status RecordImport::UnlessStopped(const absl::Status& status) const {
  if (!status.ok()) SAMOVAR_RETURN_IF_ERROR(CheckStopped());
  return status;
}

absl::Status RecordImport::CloseCurrent() {
  SAMOVAR_RETURN_IF_ERROR(Flush());
  environment_.reset();
  const std::string directory = CurrentDirectory();
  std::string sample;
  if (IsOfSet()) {
    SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<const LmdbRecords> records, LmdbRecords::Open(directory));
    SAMOVAR_ASSIGN_OR_RETURN(sample, DigestOfRecords(*records, records->size()));
  }
  std::error_code error;
  fs::remove(directory + "/lock.mdb", error);  // is for readers of an open LMDB: there are none
  const std::string file = directory + "/data.mdb";
  const uint64_t bytes = fs::file_size(file, error);
  summary_.file_bytes += bytes;
  if (!IsOfSet()) return absl::OkStatus();
  const bool is_alone = options_.partitions == 0;
  v1::DatasetPartition& partition = *manifest_.add_partitions();
  if (is_alone) {
    partition.set_directory(target_.substr(target_.rfind('/') + 1));
  } else {
    partition.set_directory(upload_ == nullptr ? PartitionName(current_) : upload_->NameOf(current_));
  }
  partition.set_records(is_alone ? summary_.records : cut_.Size(current_));
  partition.set_bytes(bytes);
  SAMOVAR_ASSIGN_OR_RETURN(const uint32_t crc, ChecksumOf(file, [this](absl::string_view) { return CheckStopped(); }));
  partition.set_crc32(crc);
  partition.set_sample(sample);
  if (upload_ == nullptr || is_alone) return absl::OkStatus();
  SAMOVAR_RETURN_IF_ERROR(UnlessStopped(upload_->AddPartition(directory, current_)));
  fs::remove_all(directory, error);
  return absl::OkStatus();
}

absl::Status RecordImport::Add(std::string key, const caffe::Datum& datum, const RecordShape& shape) {
  return AddSerialised(std::move(key), datum.SerializeAsString(), datum, shape);
}

absl::Status RecordImport::InUsersWords(const absl::Status& status) const {
  if (status.ok()) return status;
  if (upload_ == nullptr) {
    return absl::Status(status.code(), absl::StrReplaceAll(status.message(), {{staging_->path(), target_}}));
  }
  if (!absl::StrContains(status.message(), staging_->path())) return status;
  return Annotate(status, absl::StrCat(target_,
                                       ": is made on this machine first, where TMPDIR, or /var/tmp without it, "
                                       "must have room"));
}

absl::Status RecordImport::AddSerialised(std::string key, std::string value, const caffe::Datum& datum,
                                         const RecordShape& shape) {
  return InUsersWords(AddOne(std::move(key), std::move(value), datum, shape));
}

absl::StatusOr<ImportSummary> RecordImport::Finish() {
  absl::StatusOr<ImportSummary> summary = FinishAll();
  if (summary.ok()) return summary;
  return InUsersWords(summary.status());
}

absl::Status RecordImport::AddOne(std::string key, std::string value, const caffe::Datum& datum,
                                  const RecordShape& shape) {
  SAMOVAR_RETURN_IF_ERROR(CheckStopped());
  const uint64_t number = summary_.records++;
  if (number == 0) {
    summary_.shape = shape;
    summary_.min_label = summary_.max_label = datum.label();
    manifest_.set_encoded(datum.encoded());
  }
  summary_.same_shape = summary_.same_shape && shape == summary_.shape;
  summary_.min_label = std::min(summary_.min_label, datum.label());
  summary_.max_label = std::max(summary_.max_label, datum.label());
  if (IsOfSet()) {
    if (number > 0 && key <= last_key_) {
      return absl::InvalidArgumentError(absl::StrCat("key \"", absl::CHexEscape(key), "\" comes after \"",
                                                     absl::CHexEscape(last_key_),
                                                     "\"; partitions need ascending keys"));
    }
    last_key_ = key;
    if (options_.partitions > 0 && number < total_ && cut_.Of(number) != current_) {
      SAMOVAR_RETURN_IF_ERROR(CloseCurrent());
      ++current_;
      SAMOVAR_RETURN_IF_ERROR(OpenNext());
    }
  }
  pending_.emplace_back(std::move(key), std::move(value));
  pending_bytes_ += pending_.back().second.size();
  if (options_.progress && (summary_.records % kRecordsPerProgress == 0 || summary_.records == total_)) {
    options_.progress(summary_.records, total_);
  }
  const bool full = pending_.size() >= kRecordsPerTransaction || pending_bytes_ >= kBytesPerTransaction;
  return full ? Flush() : absl::OkStatus();
}

absl::Status RecordImport::Flush() {
  if (pending_.empty()) return absl::OkStatus();
  SAMOVAR_RETURN_IF_ERROR(environment_->Write([&](LmdbTransaction& transaction) -> absl::Status {
    for (const auto& [key, value] : pending_) {
      SAMOVAR_RETURN_IF_ERROR(
          Annotate(transaction.Put(key, value), absl::StrCat("key \"", absl::CHexEscape(key), "\"")));
    }
    return absl::OkStatus();
  }));
  pending_.clear();
  pending_bytes_ = 0;
  return absl::OkStatus();
}

absl::Status RecordImport::PublishPartition() {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string report, TextOf(manifest_));
  const uint64_t bytes = manifest_.partitions(0).bytes();
  if (upload_ != nullptr) return upload_->FinishPartition(staging_->path(), bytes, report);
  SAMOVAR_RETURN_IF_ERROR(WriteBytesAtomically(absl::StrCat(staging_->path(), "/", kReportName), report));
  const absl::Status moved = staging_->MoveTo(target_, /*replace=*/false);
  if (!absl::IsAlreadyExists(moved)) return moved;
  SAMOVAR_RETURN_IF_ERROR(CheckIsRepeat(target_, report, options_.storage));
  return HasPartitionFile(target_, bytes, options_.storage) ? absl::OkStatus()
                                                            : staging_->MoveTo(target_, /*replace=*/true);
}

absl::Status RecordImport::Publish() {
  if (options_.describe) return PublishPartition();
  if (upload_ != nullptr) {
    return options_.partitions > 0 ? upload_->FinishSet(manifest_) : upload_->FinishLmdb(staging_->path());
  }
  if (options_.partitions > 0) SAMOVAR_RETURN_IF_ERROR(WriteManifest(staging_->path(), manifest_));
  const absl::Status moved = staging_->MoveTo(target_, options_.force);
  if (!absl::IsAlreadyExists(moved)) return moved;
  return absl::AlreadyExistsError(absl::StrCat(moved.message(), "; --force replaces it"));
}

absl::StatusOr<ImportSummary> RecordImport::FinishAll() {
  SAMOVAR_RETURN_IF_ERROR(CloseCurrent());
  if (options_.partitions > 0 && summary_.records != total_) {
    return absl::InvalidArgumentError(absl::StrCat("there were ", summary_.records, " records instead of ", total_));
  }
  if (IsOfSet()) {
    manifest_.set_format(kManifestFormat);
    manifest_.set_records(summary_.records);
    manifest_.set_channels(static_cast<uint32_t>(summary_.shape.channels));
    manifest_.set_height(static_cast<uint32_t>(summary_.shape.height));
    manifest_.set_width(static_cast<uint32_t>(summary_.shape.width));
    summary_.manifest = manifest_;
  }
  SAMOVAR_RETURN_IF_ERROR(CheckStopped());
  SAMOVAR_RETURN_IF_ERROR(UnlessStopped(Publish()));
  return summary_;
}

}  // namespace samovar
