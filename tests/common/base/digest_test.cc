#include "common/base/digest.h"

#include "tests/support/catch.h"

namespace samovar {
namespace {

TEST_CASE("a digest is SHA-256 of the bytes, however they are cut") {
  Digest whole;
  whole.Add("abc");
  // FIPS 180-4, example of one block.
  CHECK(whole.Hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Digest cut;
  cut.Add("a");
  cut.Add("");
  cut.Add("bc");
  CHECK(cut.Hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("fields with the same bytes between them in another place have another digest") {
  Digest one, other;
  for (const char* field : {"ab", "c"}) one.AddField(field);
  for (const char* field : {"a", "bc"}) other.AddField(field);
  CHECK(one.Hex() != other.Hex());
}

}  // namespace
}  // namespace samovar
