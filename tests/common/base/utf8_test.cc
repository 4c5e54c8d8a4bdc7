#include "common/base/utf8.h"

#include <string>

#include "tests/support/catch.h"

namespace samovar {

TEST_CASE("text in any language is UTF-8") {
  for (const std::string text :
       {"", "out/lenet", "dir with blank/\u7814\u7a76-\u00e4", "\U0001f375", "\x7f\n", "\xc2\x80"})
    CHECK(IsUtf8(text));
}

TEST_CASE("bytes of other encodings, and characters that are cut, overlong or beyond the last one are no UTF-8") {
  for (const std::string text : {"latin-\xe4", "latin-\xe4/lmdb", "\xe4", "\xff\xfe", "\xc0\xaf", "\xed\xa0\x80",
                                 "\xf4\x90\x80\x80", "\xe7\xa0", "a\x80"}) {
    CHECK_FALSE(IsUtf8(text));
  }
}

}  // namespace samovar
