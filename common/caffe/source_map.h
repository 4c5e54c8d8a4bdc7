// Where the fields of a parsed text file stand in it, so that an error about a value can name file, line and column as
// an error about its syntax does.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "google/protobuf/text_format.h"

namespace samovar {

// Column, from 1, in bytes, of protobuf's `column` (from 0, a tab reaching to the next multiple of 8) in a line.
int ByteColumn(absl::string_view line, int column);

// The line of `text` with this index, from 0, without its end; empty beyond the last one.
absl::string_view LineOf(absl::string_view text, int line);

// One step from a message to a value in it: a field, and which of its values if it is repeated; -1 is the last one.
struct FieldStep {
  absl::string_view field;
  int index = -1;
};

// Thread safety: const methods may be called from any thread.
class SourceMap {
 public:
  SourceMap(std::string file, std::string text);
  SourceMap(const SourceMap&) = delete;
  SourceMap& operator=(const SourceMap&) = delete;

  const std::string& file() const { return file_; }

  // "file:line:column" of the field's name in the top-level message; of the last value if `index` is -1 and the field
  // is repeated. Just "file" for a field that the file does not have.
  std::string Where(const google::protobuf::Message& message, absl::string_view field, int index = -1) const;

  // "file:line:column" of field `inner` (its first value, if repeated) of the index-th `outer`; of `outer` if it has no
  // `inner`.
  std::string WhereNested(const google::protobuf::Message& message, absl::string_view outer, int index,
                          absl::string_view inner) const;

  // "file:line:column" of the value that the steps lead to from the top-level message, or of the deepest one on the way
  // that the file has.
  std::string WherePath(const google::protobuf::Message& message, const std::vector<FieldStep>& path) const;

  // For google::protobuf::TextFormat::Parser::WriteLocationsTo to fill.
  google::protobuf::TextFormat::ParseInfoTree* tree() { return &tree_; }

 private:
  std::string Format(google::protobuf::TextFormat::ParseLocation location) const;

  const std::string file_;
  const std::string text_;
  // Where each line of the text begins.
  std::vector<size_t> lines_;
  google::protobuf::TextFormat::ParseInfoTree tree_;
};

}  // namespace samovar
