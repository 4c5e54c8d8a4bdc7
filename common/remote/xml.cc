#include "common/remote/xml.h"

#include <expat.h>

#include <limits>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace samovar {
namespace {

struct Builder {
  XML_Parser parser = nullptr;
  // A root of roots, so that each element has one above it.
  XmlElement document;
  // From the document down to the element that is being read. Elements are moved to their parent at their end.
  std::vector<XmlElement> open;
  std::string refused;

  void Refuse(std::string why) {
    refused = std::move(why);
    XML_StopParser(parser, XML_FALSE);
  }
};

void Begin(void* user, const char* name, const char**) {
  Builder& builder = *static_cast<Builder*>(user);
  if (builder.open.size() >= kMaxXmlDepth) {
    return builder.Refuse(absl::StrCat("elements stand in each other more than ", kMaxXmlDepth, " deep"));
  }
  builder.open.push_back({.name = name, .text = "", .children = {}});
}

void End(void* user, const char*) {
  Builder& builder = *static_cast<Builder*>(user);
  XmlElement ended = std::move(builder.open.back());
  builder.open.pop_back();
  // Between elements it is layout; in one that has none it is a value.
  if (!ended.children.empty()) absl::StripAsciiWhitespace(&ended.text);
  XmlElement& parent = builder.open.empty() ? builder.document : builder.open.back();
  parent.children.push_back(std::move(ended));
}

void Text(void* user, const char* text, int bytes) {
  Builder& builder = *static_cast<Builder*>(user);
  if (!builder.open.empty()) builder.open.back().text.append(text, static_cast<size_t>(bytes));
}

void RefuseEntity(void* user, const char*, int, const char*, int, const char*, const char*, const char*, const char*) {
  static_cast<Builder*>(user)->Refuse("it declares entities");
}

}  // namespace

const XmlElement* XmlElement::Child(absl::string_view wanted) const {
  for (const XmlElement& child : children) {
    if (child.name == wanted) return &child;
  }
  return nullptr;
}

std::string XmlElement::ChildText(absl::string_view wanted) const {
  const XmlElement* child = Child(wanted);
  return child == nullptr ? "" : std::string(absl::StripAsciiWhitespace(child->text));
}

absl::StatusOr<XmlElement> ParseXml(absl::string_view text) {
  if (text.size() > static_cast<size_t>(std::numeric_limits<int>::max())) {
    return absl::InvalidArgumentError("no XML: larger than 2 GiB");
  }
  const std::unique_ptr<XML_ParserStruct, decltype(&XML_ParserFree)> parser(XML_ParserCreate(nullptr), XML_ParserFree);
  Builder builder;
  builder.parser = parser.get();
  XML_SetUserData(parser.get(), &builder);
  XML_SetElementHandler(parser.get(), Begin, End);
  XML_SetCharacterDataHandler(parser.get(), Text);
  XML_SetEntityDeclHandler(parser.get(), RefuseEntity);
  const XML_Status parsed = XML_Parse(parser.get(), text.data(), static_cast<int>(text.size()), XML_TRUE);
  const std::string line = absl::StrCat("no XML: line ", XML_GetCurrentLineNumber(parser.get()), ": ");
  if (!builder.refused.empty()) return absl::InvalidArgumentError(absl::StrCat(line, builder.refused));
  if (parsed != XML_STATUS_OK) {
    return absl::InvalidArgumentError(absl::StrCat(line, XML_ErrorString(XML_GetErrorCode(parser.get()))));
  }
  return std::move(builder.document.children.front());
}

}  // namespace samovar
