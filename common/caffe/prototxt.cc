#include "common/caffe/prototxt.h"

#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/base/utf8.h"
#include "common/caffe/text_errors.h"
#include "common/caffe/text_file.h"
#include "common/caffe/utf8_fields.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/text_format.h"

namespace samovar {
namespace {

constexpr uint64_t kMaxTextBytes = 64 << 20;

// Keeps the parser's first error, for errors that FindTextErrors does not see.
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  FirstError(absl::string_view text, const std::string& file) : text_(text), file_(file) {}

  void AddError(int line, int column, const std::string& message) override {
    if (!message_.empty()) return;
    message_ = line < 0
                   ? absl::StrCat(file_, ": ", message)
                   : absl::StrCat(file_, ":", line + 1, ":", ByteColumn(LineOf(text_, line), column), ": ", message);
  }
  void AddWarning(int, int, const std::string&) override {}

  const std::string& message() const { return message_; }

 private:
  const absl::string_view text_;
  const std::string& file_;
  std::string message_;
};

template <typename Message>
absl::StatusOr<Message> Parse(absl::string_view text, const std::string& file, std::unique_ptr<SourceMap>* source_map) {
  if (text.size() > kMaxTextBytes) {
    return absl::InvalidArgumentError(absl::StrCat(file, ": more than ", kMaxTextBytes, " bytes of text"));
  }
  auto locations = std::make_unique<SourceMap>(file, std::string(text));
  FirstError first(text, file);
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&first);
  parser.SetRecursionLimit(kMaxTextDepth);
  parser.WriteLocationsTo(locations->tree());
  google::protobuf::io::ArrayInputStream input(text.data(), static_cast<int>(text.size()));
  Message message;
  if (!parser.Parse(&input, &message)) {
    std::vector<std::string> errors = FindTextErrors(text, *Message::descriptor(), file, kMaxTextErrors);
    if (errors.empty()) errors.push_back(first.message());
    return absl::InvalidArgumentError(absl::StrJoin(errors, "\n"));
  }
  // A comment may be in any encoding. An escape can make any byte.
  if (!IsUtf8(text) || absl::StrContains(text, '\\')) {
    SAMOVAR_RETURN_IF_ERROR(
        CheckUtf8Fields(message, [&](const auto& path) { return locations->WherePath(message, path); }));
  }
  if (source_map != nullptr) *source_map = std::move(locations);
  return message;
}

template <typename Message>
absl::StatusOr<Message> Read(const std::string& path, std::unique_ptr<SourceMap>* source_map,
                             const StorageTable& storage) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path, kMaxTextBytes, storage));
  return Parse<Message>(text, path, source_map);
}

}  // namespace

absl::StatusOr<caffe::NetParameter> ParseNet(absl::string_view text, const std::string& file,
                                             std::unique_ptr<SourceMap>* source_map) {
  return Parse<caffe::NetParameter>(text, file, source_map);
}

absl::StatusOr<caffe::SolverParameter> ParseSolver(absl::string_view text, const std::string& file,
                                                   std::unique_ptr<SourceMap>* source_map) {
  return Parse<caffe::SolverParameter>(text, file, source_map);
}

absl::StatusOr<caffe::NetParameter> ReadNetFile(const std::string& path, std::unique_ptr<SourceMap>* source_map,
                                                const StorageTable& storage) {
  return Read<caffe::NetParameter>(path, source_map, storage);
}

absl::StatusOr<caffe::SolverParameter> ReadSolverFile(const std::string& path, std::unique_ptr<SourceMap>* source_map,
                                                      const StorageTable& storage) {
  return Read<caffe::SolverParameter>(path, source_map, storage);
}

}  // namespace samovar
