#include "common/remote/hadoop_tokens.h"

#include <cstdlib>
#include <fstream>

#include "absl/strings/escaping.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

std::string Text(const std::string& text) {
  // Below 128: the number itself; from there on, -113 and one byte.
  if (text.size() < 128) return std::string(1, static_cast<char>(text.size())) + text;
  return std::string{static_cast<char>(-113), static_cast<char>(text.size())} + text;
}

std::string Token(const std::string& identifier, const std::string& kind, const std::string& service) {
  return Text(identifier) + Text("password") + Text(kind) + Text(service);
}

std::string File(const std::vector<std::string>& tokens) {
  std::string bytes = std::string("HDTS\0", 5) + static_cast<char>(tokens.size());
  for (const std::string& token : tokens) bytes += Text("alias") + token;
  return bytes;
}

TEST_CASE("the token of a name service is found among others") {
  const std::string main = Token(std::string(200, 'i'), "HDFS_DELEGATION_TOKEN", "ha-hdfs:main");
  const std::string bytes =
      File({Token("a", "YARN_AM_RM_TOKEN", ""), Token("b", "HDFS_DELEGATION_TOKEN", "10.0.0.1:8020"), main});
  const auto tokens = ParseHadoopTokens(bytes);
  REQUIRE_OK(tokens);
  REQUIRE(tokens->size() == 3);
  CHECK(tokens->at(2).service == "ha-hdfs:main");
  CHECK(tokens->at(2).url_text == absl::WebSafeBase64Escape(main));

  const TempDir directory;
  const std::string path = directory.File("tokens");
  std::ofstream(path, std::ios::binary) << bytes;
  setenv("HADOOP_TOKEN_FILE_LOCATION", path.c_str(), 1);
  CHECK(FindHdfsToken("main").value() == absl::WebSafeBase64Escape(main));
  // Another name's: the first that there is for HDFS.
  CHECK(FindHdfsToken("other").value() == tokens->at(1).url_text);
  std::ofstream(path, std::ios::binary) << "junk";
  REQUIRE_STATUS(FindHdfsToken("main").status(), absl::StatusCode::kInvalidArgument, "HADOOP_TOKEN_FILE_LOCATION");
  unsetenv("HADOOP_TOKEN_FILE_LOCATION");
  CHECK(FindHdfsToken("main").value() == "");
}

TEST_CASE("each beginning of a token file is refused, and so are other formats") {
  const std::string whole = File({Token("a", "b", "c"), Token(std::string(150, 'd'), "e", "f")});
  REQUIRE_OK(ParseHadoopTokens(whole));
  for (size_t size = 0; size < whole.size(); ++size) {
    INFO(size);
    CHECK(ParseHadoopTokens(whole.substr(0, size)).status().code() == absl::StatusCode::kInvalidArgument);
  }
  REQUIRE_STATUS(ParseHadoopTokens(std::string("HDTS\1", 5)).status(), absl::StatusCode::kInvalidArgument, "format 1");
  // A length beyond all files, and one below zero.
  CHECK_FALSE(ParseHadoopTokens(std::string("HDTS\0\1\x88\xff\xff\xff\xff\xff\xff\xff\xff", 15)).ok());
  CHECK_FALSE(ParseHadoopTokens(std::string("HDTS\0\1\x80", 7)).ok());
}

}  // namespace
}  // namespace samovar
