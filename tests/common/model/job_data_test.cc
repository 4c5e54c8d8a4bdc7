#include "common/model/job_data.h"

#include "tests/common/data/write_dataset.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

struct Fixture {
  Fixture() {
    WriteBytes(mean, "mean");
    WriteBytes(matrix, "matrix");
    AddData("Data");
    caffe::LayerParameter* const loss = net.add_layer();
    loss->set_type("InfogainLoss");
    loss->mutable_infogain_loss_param()->set_source(matrix);
  }

  void AddData(const std::string& type) {
    caffe::LayerParameter* const data = net.add_layer();
    data->set_type(type);
    data->mutable_transform_param()->set_mean_file(mean);
  }

  TempDir directory;
  std::string mean = directory.File("mean.binaryproto");
  std::string matrix = directory.File("matrix.binaryproto");
  caffe::NetParameter net;
  v1::JobSpec spec;
};

TEST_CASE_METHOD(Fixture, "a job holds the digest of each file that its nets read, once") {
  AddData("ImageData");
  net.add_layer()->mutable_transform_param()->set_mean_file("nobody reads it");
  REQUIRE_OK(AddNetFiles(net, &spec, StorageTable()));
  REQUIRE_OK(AddNetFiles(net, &spec, StorageTable()));
  REQUIRE(spec.net_files_size() == 2);
  CHECK(spec.net_files(0).path() == mean);
  CHECK(spec.net_files(1).path() == matrix);
  CHECK(spec.net_files(0).digest().size() == 64);
  CHECK(spec.net_files(0).digest() != spec.net_files(1).digest());
}

TEST_CASE_METHOD(Fixture, "a mean image and a matrix that were overwritten since are refused for good, by name") {
  REQUIRE_OK(AddNetFiles(net, &spec, StorageTable()));
  REQUIRE_OK(CheckNetFiles(net, spec, StorageTable()));
  for (const std::string& path : {mean, matrix}) {
    const std::string before = ReadBytes(path);
    WriteBytes(path, before + "!");
    REQUIRE_STATUS(CheckNetFiles(net, spec, StorageTable()), absl::StatusCode::kInvalidArgument,
                   path + ": its content is not what the job was submitted with");
    WriteBytes(path, before);
    REQUIRE_OK(CheckNetFiles(net, spec, StorageTable()));
  }
  SECTION("a job that says nothing of its files takes what there is") {
    WriteBytes(mean, "another");
    REQUIRE_OK(CheckNetFiles(net, v1::JobSpec(), StorageTable()));
  }
}

TEST_CASE_METHOD(Fixture, "what a job reads that an earlier one did not is told by layer, place and number") {
  const auto set = [](v1::DatasetSpec* data, const std::string& layer, const std::string& uri, uint64_t records,
                      char digit) {
    data->set_layer(layer);
    data->set_uri(uri);
    data->set_records(records);
    data->set_digest(std::string(64, digit));
  };
  v1::JobSpec now;
  set(spec.mutable_train_data(), "images", "/a", 10, '1');
  set(spec.mutable_train_data()->add_further(), "labels", "/b", 10, '2');
  set(spec.add_test_data(), "images", "/c", 5, '3');
  now = spec;
  CHECK(DescribeOtherData(spec, now).empty());
  // Of another phase, another layer: not compared.
  set(now.mutable_train_data(), "pictures", "/x", 10, '9');
  CHECK(DescribeOtherData(spec, now).empty());
  now = spec;
  now.mutable_train_data()->clear_digest();
  CHECK(DescribeOtherData(spec, now).empty());
  now = spec;
  set(now.mutable_train_data()->mutable_further(0), "labels", "/b", 12, '4');
  set(now.mutable_test_data(0), "images", "/d", 5, '5');
  CHECK(DescribeOtherData(spec, now) ==
        std::vector<std::string>{"data layer \"images\" reads other records than before (/d, before /c)",
                                 "data layer \"labels\" reads other records than before (/b: 10, then 12)"});
  REQUIRE_OK(AddNetFiles(net, &spec, StorageTable()));
  now = spec;
  CHECK(DescribeOtherData(spec, now).empty());
  now.mutable_net_files(0)->set_digest(std::string(64, '0'));
  CHECK(DescribeOtherData(spec, now) ==
        std::vector<std::string>{"the nets read another file than before under the name " + mean});
}

}  // namespace
}  // namespace samovar
