#include "common/base/printable.h"

#include <string>

#include "tests/support/catch.h"

namespace samovar {
namespace {

TEST_CASE("harmless text is shown as it is, in any language") {
  for (const std::string text : {"", "job lenet: loss = 0.5", "Grüße, 模型, модель, 🍵", "back\\slash"})
    CHECK(Printable(text) == text);
}

TEST_CASE("control characters cannot end a line or reach a terminal") {
  CHECK(Printable("a\nE server: forged") == "a\\nE server: forged");
  CHECK(Printable("\x1b[2J\r\t\x7f") == "\\x1b[2J\\r\\t\\x7f");
  CHECK(Printable(std::string("a\0b", 3)) == "a\\x00b");
  // Control Sequence Introducer in one character.
  CHECK(Printable("\xc2\x9b") == "\\xc2\\x9b");
  CHECK(PrintableLines("a\n\tb\x1b", 100) == "a\n\tb\\x1b");
}

TEST_CASE("bytes that are no UTF-8 are shown by their numbers") {
  CHECK(Printable("caf\xe9") == "caf\\xe9");
  CHECK(Printable("\xff\xfe") == "\\xff\\xfe");
  // Overlong, a surrogate, beyond the last character, cut off.
  CHECK(Printable("\xc0\xaf") == "\\xc0\\xaf");
  CHECK(Printable("\xed\xa0\x80") == "\\xed\\xa0\\x80");
  CHECK(Printable("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");
  CHECK(Printable("\xe6\xa8") == "\\xe6\\xa8");
}

TEST_CASE("a long text is cut between characters, and says how much is left out") {
  CHECK(Printable(std::string(10, 'x'), 4) == "xxxx... (6 bytes more)");
  CHECK(Printable("xxx模x", 5) == "xxx... (4 bytes more)");
  CHECK(Printable(std::string(40'000'000, 'x')).size() < kMaxPeerTextBytes + 64);
}

}  // namespace
}  // namespace samovar
