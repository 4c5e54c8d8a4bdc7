#include "common/remote/hadoop_tokens.h"

#include <cstdint>
#include <cstdlib>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/read_file.h"
#include "common/base/status_macros.h"

namespace samovar {
namespace {

constexpr absl::string_view kMagic = "HDTS";
// The format of Hadoop's Writables, as containers get it.
constexpr char kWritables = 0;
constexpr uint64_t kMaxFileBytes = 16 << 20;

// Reads what Hadoop's Writables write; each method fails for good once bytes are missing.
class Reader {
 public:
  explicit Reader(absl::string_view bytes) : rest_(bytes) {}

  bool ok() const { return ok_; }
  absl::string_view rest() const { return rest_; }

  absl::string_view Bytes(uint64_t count) {
    if (count > rest_.size()) ok_ = false;
    if (!ok_) return "";
    const absl::string_view bytes = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return bytes;
  }

  // A number as WritableUtils.writeVLong has it; negative ones are not taken.
  uint64_t Number() {
    const absl::string_view first = Bytes(1);
    if (!ok_) return 0;
    const auto head = static_cast<signed char>(first.front());
    if (head >= 0) return static_cast<uint64_t>(head);
    // -113 to -120: the number of bytes that follow.
    const int count = -(head + 112);
    if (count < 1 || count > 8) {
      ok_ = false;
      return 0;
    }
    uint64_t number = 0;
    for (const char byte : Bytes(static_cast<uint64_t>(count))) number = number << 8 | static_cast<unsigned char>(byte);
    return number;
  }

  absl::string_view Text() { return Bytes(Number()); }

 private:
  absl::string_view rest_;
  bool ok_ = true;
};

}  // namespace

absl::StatusOr<std::vector<HadoopToken>> ParseHadoopTokens(absl::string_view bytes) {
  if (!absl::ConsumePrefix(&bytes, kMagic) || bytes.empty()) {
    return absl::InvalidArgumentError("it is no file of Hadoop's tokens: it does not begin with \"HDTS\"");
  }
  if (bytes.front() != kWritables) {
    return absl::InvalidArgumentError(
        absl::StrCat("its tokens are in format ", static_cast<int>(bytes.front()), ", and only 0 is read"));
  }
  Reader reader(bytes.substr(1));
  std::vector<HadoopToken> tokens;
  const uint64_t count = reader.Number();
  for (uint64_t i = 0; i < count && reader.ok(); ++i) {
    reader.Text();  // the name that it is stored under
    const absl::string_view begin = reader.rest();
    reader.Text();  // identifier
    reader.Text();  // password
    HadoopToken token;
    token.kind = std::string(reader.Text());
    token.service = std::string(reader.Text());
    token.url_text = absl::WebSafeBase64Escape(begin.substr(0, begin.size() - reader.rest().size()));
    if (reader.ok()) tokens.push_back(std::move(token));
  }
  if (!reader.ok()) return absl::InvalidArgumentError("it ends within a token");
  return tokens;
}

absl::StatusOr<std::string> FindHdfsToken(absl::string_view authority) {
  const char* path = std::getenv("HADOOP_TOKEN_FILE_LOCATION");
  if (path == nullptr || *path == '\0') return "";
  SAMOVAR_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, kMaxFileBytes));
  const absl::StatusOr<std::vector<HadoopToken>> tokens = ParseHadoopTokens(bytes);
  if (!tokens.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(path, " (HADOOP_TOKEN_FILE_LOCATION): ", tokens.status().message()));
  }
  std::string found;
  for (const HadoopToken& token : *tokens) {
    if (token.kind != "HDFS_DELEGATION_TOKEN" && token.kind != "WEBHDFS delegation") continue;
    if (token.service == absl::StrCat("ha-hdfs:", authority) || token.service == authority) return token.url_text;
    if (found.empty()) found = token.url_text;
  }
  return found;
}

}  // namespace samovar
