#include "common/data/cifar_import.h"

#include <filesystem>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "caffe.pb.h"
#include "common/base/status_macros.h"
#include "common/caffe/read_file.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

constexpr RecordShape kShape = {3, 32, 32};
constexpr size_t kRecordBytes = 1 + 3 * 32 * 32;
constexpr int kClasses = 10;
constexpr uint64_t kMaxFileBytes = uint64_t{1} << 30;
constexpr uint64_t kMaxRecords = 100'000;  // keys have 5 digits

absl::StatusOr<std::vector<std::string>> FilesOf(const std::vector<std::string>& inputs) {
  std::vector<std::string> files;
  std::error_code error;
  for (const std::string& input : inputs) {
    if (!fs::is_directory(input, error)) {
      files.push_back(input);
      continue;
    }
    const size_t before = files.size();
    for (int i = 1;; ++i) {
      const std::string file = absl::StrCat(input, input.back() == '/' ? "" : "/", "data_batch_", i, ".bin");
      if (!fs::exists(file, error)) break;
      files.push_back(file);
    }
    if (files.size() == before) {
      return absl::NotFoundError(absl::StrCat(input, ": has no data_batch_1.bin; name the directory into which the binary "
                                                     "version of CIFAR-10 was unpacked, or its files"));
    }
  }
  if (files.empty()) return absl::InvalidArgumentError("there are no files to import");
  return files;
}

absl::StatusOr<uint64_t> RecordsIn(const std::string& file) {
  std::error_code error;
  const uint64_t bytes = fs::file_size(file, error);
  if (error) return ErrnoStatus(error.value(), "read", file);
  if (bytes == 0 || bytes % kRecordBytes != 0) {
    return absl::InvalidArgumentError(absl::StrCat(file, ": has ", bytes, " bytes; a file of the binary version of CIFAR-10 has ",
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
  SAMOVAR_RETURN_IF_ERROR(RecordImport::CheckTarget(lmdb_path, options.force).status());
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<std::string> files, FilesOf(inputs));
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
