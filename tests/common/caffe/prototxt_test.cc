#include "common/caffe/prototxt.h"

#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "common/base/suggest.h"
#include "common/caffe/text_errors.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

std::string NetError(const std::string& text) { return std::string(ParseNet(text, "net.prototxt").status().message()); }

}  // namespace

TEST_CASE("a byte order mark in front of a text is not seen, and that of another encoding is named") {
  const TempDir directory;
  const std::string path = directory.File("net.prototxt");
  std::ofstream(path, std::ios::binary) << "\xef\xbb\xbfname: \"n\"\nnam: 1\n";
  REQUIRE_STATUS(ReadNetFile(path, nullptr, StorageTable()), absl::StatusCode::kInvalidArgument, path + ":2:1: ");
  std::ofstream(path, std::ios::binary) << "\xef\xbb\xbfname: \"n\"\n";
  REQUIRE_OK(ReadNetFile(path, nullptr, StorageTable()));
  for (const std::string& mark : {std::string("\xff\xfe"), std::string("\xfe\xff")}) {
    std::ofstream(path, std::ios::binary) << mark << "n";
    REQUIRE_STATUS(ReadNetFile(path, nullptr, StorageTable()), absl::StatusCode::kInvalidArgument, "UTF-8");
  }
}

TEST_CASE("a net in text is read with Caffe's fields and defaults") {
  const auto net = ParseNet(R"(
    name: "n"  # a comment
    layer {
      name: 'conv' "1" type: "Convolution" bottom: "data" top: "conv"
      param { lr_mult: 1 } param < lr_mult: 2.5f decay_mult: 0 >
      convolution_param: { num_output: 20, kernel_size: [5, 3]; pad: 0x2 weight_filler { type: "xavier" } }
      include { phase: TEST }
    })",
                            "net.prototxt");
  REQUIRE_OK(net);
  REQUIRE(net->layer_size() == 1);
  const caffe::LayerParameter& layer = net->layer(0);
  CHECK(layer.name() == "conv1");
  CHECK(layer.param(1).lr_mult() == 2.5f);
  CHECK(layer.convolution_param().kernel_size(1) == 3);
  CHECK(layer.convolution_param().pad(0) == 2);
  CHECK(layer.convolution_param().group() == 1);
  CHECK(layer.convolution_param().weight_filler().std() == 1);
  CHECK(layer.include(0).phase() == caffe::TEST);
}

TEST_CASE("an unknown field is reported where it stands, with the field that was meant") {
  const std::string text =
      "name: \"n\"\n"
      "layer {\n"
      "  convolution_param {\n"
      "\tnum_ouput: 20\n"
      "  }\n"
      "}\n";
  CHECK(NetError(text) ==
        "net.prototxt:4:2: unknown field \"num_ouput\" in convolution_param; did you mean \"num_output\"?");
}

TEST_CASE("an unknown field that resembles none is reported without a guess") {
  CHECK(NetError("frobnicate_all { x: 1 }") == "net.prototxt:1:1: unknown field \"frobnicate_all\" in the net");
}

TEST_CASE("an unknown enum value is reported with the values there are") {
  CHECK(NetError("layer { data_param { backend: LMDBX } }") ==
        "net.prototxt:1:31: unknown value \"LMDBX\" for backend, expected one of LEVELDB, LMDB; did you mean "
        "\"LMDB\"?");
  CHECK(NetError("layer { pooling_param { pool: \"MAX\" } }") ==
        "net.prototxt:1:31: pool is written without quotes; it is one of MAX, AVE, STOCHASTIC");
}

TEST_CASE("a value of the wrong kind is reported with the kind that is right") {
  CHECK(NetError("layer { name: conv1 }") == "net.prototxt:1:15: name must be a text in double quotes, not \"conv1\"");
  CHECK(NetError("layer { data_param { batch_size: -3 } }") ==
        "net.prototxt:1:34: batch_size must be a whole number from 0 to 4294967295, not \"-3\"");
  CHECK(NetError("layer { data_param { batch_size: 1.5 } }") ==
        "net.prototxt:1:34: batch_size must be a whole number from 0 to 4294967295, not \"1.5\"");
  CHECK(NetError("force_backward: 2") == "net.prototxt:1:17: force_backward must be true or false, not \"2\"");
  CHECK(NetError("layer { loss_weight: \"1\" }") ==
        "net.prototxt:1:22: loss_weight must be a number, not the text \"1\"");
  CHECK(NetError("input_dim: 3000000000") ==
        "net.prototxt:1:12: input_dim must be a whole number of at most 32 bits, not \"3000000000\"");
}

TEST_CASE("the forms of old and new nets mixed up are told apart") {
  CHECK(NetError("layers { type: \"Convolution\" }") ==
        "net.prototxt:1:16: type is written without quotes in \"layers\", Caffe's old form; write \"layer\" instead");
  CHECK(NetError("layers { type: CONVOLUTON }") ==
        "net.prototxt:1:16: unknown value \"CONVOLUTON\" for type, expected one of 40 names in capitals; did you mean "
        "\"CONVOLUTION\"?");
  CHECK(NetError("layer { type: CONVOLUTION }") ==
        "net.prototxt:1:15: type must be a text in double quotes, not \"CONVOLUTION\"");
}

TEST_CASE("all errors of a file are reported, a line each, ten at most") {
  const std::string three =
      "layer { nam: \"a\" }\n"
      "layer { pooling_param { pool: MIN kernel_size: two } }\n";
  CHECK(NetError(three) ==
        "net.prototxt:1:9: unknown field \"nam\" in layer; did you mean \"name\"?\n"
        "net.prototxt:2:31: unknown value \"MIN\" for pool, expected one of MAX, AVE, STOCHASTIC\n"
        "net.prototxt:2:48: kernel_size must be a whole number from 0 to 4294967295, not \"two\"");
  std::string many;
  for (int i = 0; i < 50; ++i) many += "wrong: 1\n";
  const std::vector<std::string> lines = absl::StrSplit(NetError(many), '\n');
  CHECK(lines.size() == static_cast<size_t>(kMaxTextErrors));
}

TEST_CASE("a value given twice and a missing colon or brace are reported") {
  CHECK(NetError("name: \"a\"\nname: \"b\"") == "net.prototxt:2:1: name is given twice in the net; it has one value");
  CHECK(NetError("layer { name \"a\" }") == "net.prototxt:1:14: expected \":\" after name, found \"a\"");
  CHECK(NetError("layer {\n  name: \"a\"\n") ==
        "net.prototxt:3:1: expected a field of layer or its \"}\", found the end of the file");
  CHECK(NetError("}") == "net.prototxt:1:1: expected a field of the net, found \"}\"");
  CHECK(NetError("layer: 3") == "net.prototxt:1:8: expected \"{\" after layer, found \"3\"");
  CHECK(NetError("name { }") == "net.prototxt:1:6: name must be a text in double quotes, written name: ...");
}

TEST_CASE("an open text and a missing required field are reported") {
  CHECK(NetError("name: \"a\nlayer { }") == "net.prototxt:1:9: String literals cannot cross line boundaries.");
  const std::string clip = NetError("layer { clip_param { min: 1 } }");
  CHECK(clip.find("net.prototxt: ") == 0);
  CHECK(clip.find("clip_param.max") != std::string::npos);
}

TEST_CASE("the error finder finds nothing in what the parser reads") {
  const std::string text =
      "name: 'a' \"b\"; state < level: -1 stage: ['x', 'y'] >, layer { loss_weight: [1, -2.5f, inf, -nan, 1e-3] "
      "propagate_down: t pooling_param: { pool: 1 global_pooling: 1 } } # end";
  REQUIRE_OK(ParseNet(text, "net"));
  const auto errors = FindTextErrors(text, *caffe::NetParameter::descriptor(), "net", 10);
  INFO((errors.empty() ? "" : errors[0]));
  CHECK(errors.empty());
}

TEST_CASE("deep nesting is an error, not a crash") {
  // No message of a net nests in itself, so that depth comes from an unknown field.
  std::string unknown = "x ";
  for (int i = 0; i < 200000; ++i) unknown += "{ x ";
  REQUIRE_STATUS(ParseNet(unknown, "net"), absl::StatusCode::kInvalidArgument, "unknown field \"x\"");
}

TEST_CASE("garbage is an error with an explanation, not a crash") {
  const std::string valid =
      "layer { name: \"a\" data_param { source: 'x' backend: LMDB batch_size: 64 } "
      "loss_weight: [1.5, 2] include { phase: TEST } } state < level: -3 >";
  std::mt19937 random(7);
  for (int i = 0; i < 3000; ++i) {
    std::string text = valid;
    for (int k = 0; k < 3; ++k) text[random() % text.size()] = static_cast<char>(random());
    const auto net = ParseNet(text, "net");
    if (!net.ok()) REQUIRE(absl::StartsWith(net.status().message(), "net:"));
    // A text that one parser refuses the other one explains.
    REQUIRE(net.ok() == FindTextErrors(text, *caffe::NetParameter::descriptor(), "net", 1).empty());
    std::string noise;
    for (int k = 0; k < 40; ++k) noise += static_cast<char>(random());
    const auto nothing = ParseNet(noise, "net");
    if (!nothing.ok()) REQUIRE(absl::StartsWith(nothing.status().message(), "net:"));
  }
}

TEST_CASE("files that cannot be read are errors that name them") {
  TempDir dir;
  REQUIRE_STATUS(ReadNetFile(dir.File("none.prototxt"), nullptr, StorageTable()), absl::StatusCode::kNotFound,
                 dir.File("none.prototxt"));
  REQUIRE_STATUS(ReadSolverFile(dir.path(), nullptr, StorageTable()), absl::StatusCode::kInvalidArgument,
                 "is a directory");
  std::ofstream(dir.File("solver.prototxt")) << "base_lr: 0.01\nmax_iters: 3\n";
  REQUIRE_STATUS(
      ReadSolverFile(dir.File("solver.prototxt"), nullptr, StorageTable()), absl::StatusCode::kInvalidArgument,
      dir.File("solver.prototxt") + ":2:1: unknown field \"max_iters\" in the solver; did you mean \"max_iter\"?");
}

TEST_CASE("a source map says where fields stand") {
  std::unique_ptr<SourceMap> map;
  const auto solver = ParseSolver("base_lr: 1\n\t test_iter: 1 test_iter: 2\nnet_param { name: \"x\" }", "s", &map);
  REQUIRE_OK(solver);
  CHECK(map->Where(*solver, "base_lr") == "s:1:1");
  CHECK(map->Where(*solver, "test_iter", 0) == "s:2:3");
  CHECK(map->Where(*solver, "test_iter") == "s:2:16");
  CHECK(map->Where(*solver, "max_iter") == "s");
  CHECK(map->Where(*solver, "stepvalue") == "s");
  CHECK(map->WhereNested(*solver, "net_param", -1, "name") == "s:3:13");
  CHECK(map->WhereNested(*solver, "net_param", -1, "layer") == "s:3:1");
}

TEST_CASE("a suggestion is near, whatever the case, or there is none") {
  CHECK(EditDistance("kitten", "sitting") == 3);
  CHECK(EditDistance("num_otuput", "num_output") == 1);
  CHECK(DidYouMean("lmdb", {"LEVELDB", "LMDB"}) == "; did you mean \"LMDB\"?");
  CHECK(DidYouMean("xy", {"ab", "cd"}) == "");
  CHECK(DidYouMean(std::string(100000, 'a'), {"ab"}) == "");
}

TEST_CASE("a text of a net that is not UTF-8 is refused with its place, whatever the encoding of comments") {
  REQUIRE_OK(ParseNet("# gr\xfc\xdf\nlayer { name: \"a\" }", "net"));
  REQUIRE_STATUS(ParseNet("layer {\n  name: \"a\" data_param { source: \"latin-\xe4/lmdb\" }\n}", "net"),
                 absl::StatusCode::kInvalidArgument, "net:2:26: source: \"latin-\\xe4/lmdb\" is not UTF-8");
  REQUIRE_STATUS(ParseNet("layer { name: \"a\\xe4\" }", "net"), absl::StatusCode::kInvalidArgument,
                 "net:1:9: name: \"a\\xe4\" is not UTF-8");
  REQUIRE_STATUS(ParseSolver("net: \"\xe4\"\nsnapshot_prefix: \"\xe4\"", "solver"), absl::StatusCode::kInvalidArgument,
                 "solver:2:1: snapshot_prefix: ");
}

}  // namespace samovar
