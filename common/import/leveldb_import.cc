#include "common/import/leveldb_import.h"

#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/list_directory.h"
#include "common/base/printable.h"
#include "common/base/status_macros.h"
#include "common/data/image_decoder.h"
#include "common/data/leveldb_advice.h"
#include "common/import/staged_directory.h"
#include "common/storage/paths.h"
#ifdef SAMOVAR_HAS_LEVELDB
#include "leveldb/db.h"
#include "leveldb/iterator.h"
#endif

namespace samovar {

namespace fs = std::filesystem;

#ifndef SAMOVAR_HAS_LEVELDB

bool HasLevelDb() { return false; }

absl::StatusOr<ImportSummary> ImportLevelDb(const std::string&, const std::string&, const ImportOptions&) {
  return absl::UnimplementedError("this samovar was built without LevelDB; install libleveldb-dev and build it again");
}

#else

namespace {

// The longest key that LMDB takes.
constexpr size_t kMaxKeyBytes = 511;

// LevelDB's files under their names in another directory, where LevelDB may add and remove some: those that they lead
// to stay as they are.
class LinkedCopy {
 public:
  static absl::StatusOr<std::unique_ptr<LinkedCopy> > Make(const std::string& source, const std::string& beside) {
    auto copy = std::make_unique<LinkedCopy>();
    SAMOVAR_ASSIGN_OR_RETURN(copy->directory_, LocalPath(beside).ok()
                                                   ? StagedDirectory::Create(absl::StrCat(beside, ".leveldb"))
                                                   : StagedDirectory::CreateTemporary());
    SAMOVAR_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(source));
    std::error_code error;
    const fs::path absolute = fs::absolute(source, error);
    for (const std::string& name : names) {
      if (error) break;
      // They belong to the process that has it open.
      if (name == "LOCK" || absl::StartsWith(name, "LOG")) continue;
      fs::create_symlink(absolute / name, absl::StrCat(copy->path(), "/", name), error);
    }
    if (error)
      return absl::FailedPreconditionError(absl::StrCat(source, ": its files cannot be read: ", error.message()));
    return copy;
  }

  const std::string& path() const { return directory_->path(); }

 private:
  std::unique_ptr<StagedDirectory> directory_;
};

std::string KeyText(const leveldb::Slice& key) {
  return absl::StrCat("key \"", Printable(key.ToString(), kMaxKeyBytes), "\"");
}

absl::Status FromLevelDb(const leveldb::Status& status, const std::string& source) {
  if (status.ok()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(source, ": LevelDB says: ", Printable(status.ToString(), kMaxKeyBytes)));
}

// The shape of a record, decoded.
absl::StatusOr<RecordShape> ShapeOf(const caffe::Datum& datum) {
  if (datum.encoded()) {
    Image image;
    SAMOVAR_RETURN_IF_ERROR(DecodeImage(datum.data(), ImageChannels::kAsStored, &image));
    return image.shape;
  }
  const RecordShape shape = {datum.channels(), datum.height(), datum.width()};
  const size_t values = datum.data().empty() ? static_cast<size_t>(datum.float_data_size()) : datum.data().size();
  if (shape.channels < 1 || shape.height < 1 || shape.width < 1 || values != shape.elements()) {
    return absl::DataLossError(
        absl::StrCat("has ", values, " values; its shape is ", ToString(shape), " (channels x height x width)"));
  }
  return shape;
}

absl::Status AddRecord(const leveldb::Iterator& at, RecordImport* import) {
  const leveldb::Slice key = at.key();
  if (key.empty() || key.size() > kMaxKeyBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("has ", key.size(), " bytes; LMDB takes keys of 1 to ", kMaxKeyBytes));
  }
  std::string value = at.value().ToString();
  caffe::Datum datum;
  if (!datum.ParseFromString(value)) return absl::DataLossError("its value is not a Datum of Caffe");
  SAMOVAR_ASSIGN_OR_RETURN(const RecordShape shape, ShapeOf(datum));
  return import->AddSerialised(key.ToString(), std::move(value), datum, shape);
}

absl::StatusOr<uint64_t> CountRecords(leveldb::DB* db, const leveldb::ReadOptions& read, const std::string& source) {
  uint64_t records = 0;
  const std::unique_ptr<leveldb::Iterator> at(db->NewIterator(read));
  for (at->SeekToFirst(); at->Valid(); at->Next()) ++records;
  SAMOVAR_RETURN_IF_ERROR(FromLevelDb(at->status(), source));
  if (records == 0) return absl::InvalidArgumentError(absl::StrCat(source, ": has no records"));
  return records;
}

}  // namespace

bool HasLevelDb() { return true; }

absl::StatusOr<ImportSummary> ImportLevelDb(const std::string& uri, const std::string& lmdb_path,
                                            const ImportOptions& options) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string target, CheckSetTarget(lmdb_path, options.force, options.storage));
  SAMOVAR_ASSIGN_OR_RETURN(const std::string source, options.storage.Fetch(uri));
  std::error_code error;
  if (!fs::exists(source, error)) return absl::NotFoundError(absl::StrCat(source, ": no such directory"));
  if (!IsLevelDb(source)) {
    return absl::InvalidArgumentError(
        absl::StrCat(source, ": is not a LevelDB",
                     fs::exists(source + "/data.mdb", error) ? ", but an LMDB, which needs no import" : ""));
  }
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<LinkedCopy> copy, LinkedCopy::Make(source, target));
  leveldb::Options settings;
  settings.paranoid_checks = true;
  settings.max_open_files = 100;
  leveldb::DB* opened = nullptr;
  const leveldb::Status status = leveldb::DB::Open(settings, copy->path(), &opened);
  const std::unique_ptr<leveldb::DB> db(opened);
  SAMOVAR_RETURN_IF_ERROR(FromLevelDb(status, source));
  leveldb::ReadOptions read;
  read.verify_checksums = true;
  read.fill_cache = false;
  SAMOVAR_ASSIGN_OR_RETURN(const uint64_t records, CountRecords(db.get(), read, source));
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<RecordImport> import,
                           RecordImport::Begin(lmdb_path, records, options));
  const std::unique_ptr<leveldb::Iterator> at(db->NewIterator(read));
  for (at->SeekToFirst(); at->Valid(); at->Next()) {
    const absl::Status added = AddRecord(*at, import.get());
    // Errors of the target speak for themselves.
    const bool of_record = absl::IsDataLoss(added) || absl::IsInvalidArgument(added);
    if (!added.ok()) return of_record ? Annotate(added, absl::StrCat(source, ": ", KeyText(at->key()))) : added;
  }
  SAMOVAR_RETURN_IF_ERROR(FromLevelDb(at->status(), source));
  return import->Finish();
}

#endif

}  // namespace samovar
