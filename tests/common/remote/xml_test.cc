#include "common/remote/xml.h"

#include "absl/strings/str_cat.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

TEST_CASE("elements, their texts and their children are read") {
  const auto root = ParseXml(
      "<?xml version=\"1.0\"?><!-- c --><list a=\"1\"><item> one &amp; <![CDATA[<two>]]> "
      "</item><item/><deep><x>y</x></deep></list>");
  REQUIRE_OK(root);
  CHECK(root->name == "list");
  REQUIRE(root->children.size() == 3);
  CHECK(root->ChildText("item") == "one & <two>");
  CHECK(root->Child("item")->text == " one & <two> ");
  CHECK(root->children[1].text == "");
  REQUIRE(root->Child("deep") != nullptr);
  CHECK(root->Child("deep")->ChildText("x") == "y");
  CHECK(root->Child("none") == nullptr);
  CHECK(root->ChildText("none") == "");
}

TEST_CASE("what is no XML is refused with its line") {
  for (const char* text : {"", "text", "<a>\n<b></a>", "<a/><b/>", "<a>&unknown;</a>"}) {
    INFO(text);
    REQUIRE_STATUS(ParseXml(text).status(), absl::StatusCode::kInvalidArgument, "no XML: line ");
  }
  REQUIRE_STATUS(ParseXml("<a>\n<b></a>").status(), absl::StatusCode::kInvalidArgument, "line 2");
}

TEST_CASE("entities of a document's own, and elements without end in each other, are refused") {
  REQUIRE_STATUS(ParseXml("<!DOCTYPE a [<!ENTITY b \"bb\"><!ENTITY c \"&b;&b;\">]><a>&c;</a>").status(),
                 absl::StatusCode::kInvalidArgument, "entities");
  std::string deep;
  for (size_t i = 0; i <= kMaxXmlDepth; ++i) deep += "<a>";
  REQUIRE_STATUS(ParseXml(deep).status(), absl::StatusCode::kInvalidArgument, "deep");
}

}  // namespace
}  // namespace samovar
