#include "common/import/cifar_import.h"

#include <algorithm>
#include <filesystem>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "caffe.pb.h"
#include "common/base/list_directory.h"
#include "common/base/read_file.h"
#include "common/base/status_macros.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

constexpr RecordShape kShape = {3, 32, 32};
constexpr size_t kRecordBytes = 1 + 3 * 32 * 32;
constexpr int kClasses = 10;
constexpr uint64_t kMaxFileBytes = uint64_t{1} << 30;
constexpr uint64_t kMaxRecords = 100'000;  // keys have 5 digits

std::string BatchName(size_t number) { return absl::StrCat("data_batch_", number, ".bin"); }

// The training files in a directory: data_batch_1.bin and so on.
absl::StatusOr<std::vector<std::string>> BatchesIn(const std::string& directory) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(directory));
  std::error_code error;
  const auto batches = static_cast<size_t>(std::count_if(names.begin(), names.end(), [](const std::string& name) {
    return absl::StartsWith(name, "data_batch_") && absl::EndsWith(name, ".bin");
  }));
  if (batches == 0) {
    return absl::NotFoundError(absl::StrCat(directory, ": has no ", BatchName(1),
                                            "; name the directory into which the binary "
                                            "version of CIFAR-10 was unpacked, or its files"));
  }
  std::vector<std::string> files;
  for (size_t i = 1; i <= batches; ++i) {
    files.push_back((fs::path(directory) / BatchName(i)).string());
    if (fs::exists(files.back(), error)) continue;
    return absl::NotFoundError(absl::StrCat(directory, ": has ", batches, " files data_batch_N.bin, but no ",
                                            BatchName(i), "; unpack it anew, or name the files"));
  }
  return files;
}

absl::StatusOr<std::vector<std::string>> FilesOf(const std::vector<std::string>& inputs, const StorageTable& storage) {
  std::vector<std::string> files;
  std::error_code error;
  for (const std::string& uri : inputs) {
    SAMOVAR_ASSIGN_OR_RETURN(const std::string input, storage.Fetch(uri));
    if (!fs::is_directory(input, error)) {
      files.push_back(input);
      continue;
    }
    SAMOVAR_ASSIGN_OR_RETURN(const std::vector<std::string> batches, BatchesIn(input));
    files.insert(files.end(), batches.begin(), batches.end());
  }
  if (files.empty()) return absl::InvalidArgumentError("there are no files to import");
  return files;
}

absl::StatusOr<uint64_t> RecordsIn(const std::string& file) {
  std::error_code error;
  const uint64_t bytes = fs::file_size(file, error);
  if (error) return ErrnoStatus(error.value(), "read", file);
  if (bytes == 0 || bytes % kRecordBytes != 0) {
    return absl::InvalidArgumentError(absl::StrCat(file, ": has ", bytes,
                                                   " bytes; a file of the binary version of CIFAR-10 has ",
                                                   kRecordBytes, " for each record"));
  }
  return bytes / kRecordBytes;
}

absl::Status AddFile(const std::string& file, uint64_t records, uint64_t* done, RecordImport* import) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(file, kMaxFileBytes));
  if (bytes.size() != records * kRecordBytes)
    return absl::InvalidArgumentError(absl::StrCat(file, ": was changed while it was read"));
  caffe::Datum datum;
  datum.set_channels(kShape.channels);
  datum.set_height(kShape.height);
  datum.set_width(kShape.width);
  for (size_t at = 0; at < bytes.size(); at += kRecordBytes) {
    const int label = static_cast<unsigned char>(bytes[at]);
    if (label >= kClasses) {
      return absl::InvalidArgumentError(absl::StrCat(file, ": record ", at / kRecordBytes, " has label ", label,
                                                     "; those of CIFAR-10 are 0 to 9. Is this the binary version?"));
    }
    datum.set_label(label);
    datum.set_data(bytes.data() + at + 1, kRecordBytes - 1);
    SAMOVAR_RETURN_IF_ERROR(import->Add(absl::StrFormat("%05d", (*done)++), datum, kShape));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ImportSummary> ImportCifar10(const std::vector<std::string>& inputs, const std::string& lmdb_path,
                                            const ImportOptions& options) {
  SAMOVAR_RETURN_IF_ERROR(CheckSetTarget(lmdb_path, options.force, options.storage).status());
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<std::string> files, FilesOf(inputs, options.storage));
  std::vector<uint64_t> records;
  uint64_t total = 0;
  for (const std::string& file : files) {
    SAMOVAR_ASSIGN_OR_RETURN(const uint64_t count, RecordsIn(file));
    records.push_back(count);
    total += count;
  }
  if (total > kMaxRecords) {
    return absl::InvalidArgumentError(
        absl::StrCat("the files have ", total, " records; keys of 5 digits allow ", kMaxRecords));
  }
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<RecordImport> import, RecordImport::Begin(lmdb_path, total, options));
  uint64_t done = 0;
  for (size_t i = 0; i < files.size(); ++i) {
    SAMOVAR_RETURN_IF_ERROR(AddFile(files[i], records[i], &done, import.get()));
  }
  return import->Finish();
}

}  // namespace samovar
