#include "cli/report/json_line.h"

#include <limits>

#include "tests/support/catch.h"

namespace samovar {

TEST_CASE("a JSON line keeps its fields in order") {
  const std::string line = JsonLine()
                               .Text("event", "test")
                               .Integer("iteration", 18446744073709551615u)
                               .Number("loss", 0.25)
                               .Bool("done", true)
                               .Raw("outputs", "[]")
                               .Finish();
  CHECK(line == R"({"event":"test","iteration":18446744073709551615,"loss":0.25,"done":true,"outputs":[]})");
  CHECK(JsonLine().Finish() == "{}");
}

TEST_CASE("numbers that JSON lacks are null") {
  CHECK(JsonLine().Number("x", std::numeric_limits<double>::quiet_NaN()).Finish() == R"({"x":null})");
  CHECK(JsonLine().Number("x", std::numeric_limits<double>::infinity()).Finish() == R"({"x":null})");
}

TEST_CASE("text is escaped as JSON demands") {
  CHECK(JsonString("a \"b\" \\ \n\t\x01") == R"("a \"b\" \\ \n\u0009\u0001")");
  CHECK(JsonString("čaj ☕ 🫖") == "\"čaj ☕ 🫖\"");
}

TEST_CASE("bytes that are not UTF-8 become replacement characters") {
  CHECK(JsonString("a\xff"
                   "b") == R"("a\ufffdb")");
  // Cut off, too long, a surrogate, beyond the last character.
  CHECK(JsonString("\xe2\x98") == R"("\ufffd\ufffd")");
  CHECK(JsonString("\xc0\x80") == R"("\ufffd\ufffd")");
  CHECK(JsonString("\xed\xa0\x80") == R"("\ufffd\ufffd\ufffd")");
  CHECK(JsonString("\xf4\x90\x80\x80") == R"("\ufffd\ufffd\ufffd\ufffd")");
}

}  // namespace samovar
