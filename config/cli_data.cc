// The commands about data sets.
#include <cstdint>
#include <limits>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/data/dataset_manifest.h"
#include "config/command_tree.h"

namespace samovar {
namespace {

constexpr char kImportIdxExamples[] =
    "Example:\n"
    "  samovar data import idx --images t10k-images-idx3-ubyte.gz --labels t10k-labels-idx1-ubyte.gz --output "
    "mnist_test_lmdb";
constexpr char kImportCifar10Examples[] =
    "Examples: the training images, then the test images\n"
    "  samovar data import cifar10 --input cifar-10-batches-bin --output cifar10_train_lmdb\n"
    "  samovar data import cifar10 --input cifar-10-batches-bin/test_batch.bin --output cifar10_test_lmdb";
constexpr char kImportLevelDbExamples[] =
    "Caffe's siamese example keeps pairs so, of two channels, labelled 1 where both are of one class.\n"
    "Example:\n"
    "  samovar data import leveldb --input mnist_siamese_train_leveldb --output mnist_siamese_train_lmdb";
constexpr char kImportImagesExamples[] =
    "The list has a line for each image: its name, a space, its label, which is a whole number from 0. A net's images "
    "are all of\n"
    "one size: resize them here, or crop them with crop_size in transform_param.\n"
    "Examples:\n"
    "  samovar data import images --list train.txt --root images --output train_lmdb --resize 256x256 --shuffle\n"
    "  samovar data import images --list val.txt --root images --output val_lmdb --resize 256x256 --encoded";
constexpr char kMeanExamples[] =
    "Example:\n"
    "  samovar data mean cifar10_train_lmdb --output mean.binaryproto";
constexpr char kInfoExamples[] =
    "Reads every record and decodes its image, which finds each record that training would fail on. With --verify it "
    "also reads\n"
    "every byte of a partitioned set's files, for instance after a copy.\n"
    "Examples:\n"
    "  samovar data info mnist_test_lmdb\n"
    "  samovar data info mnist_train_set --verify";
constexpr char kPartitionExamples[] =
    "A partitioned set is a directory with an LMDB for each partition and a manifest. It is named where an LMDB is: as "
    "source of a Data\n"
    "layer, in commands. Workers with --cache, and all workers if it is in a cluster's storage, copy partitions to "
    "their own "
    "disk when\n"
    "they need them, and are given iterations of those that they have. Give each worker two or more partitions; "
    "positions "
    "and keys of\n"
    "the records stay as they are. In a storage a set is there with its manifest, which comes last.\n"
    "Examples:\n"
    "  samovar data partition mnist_train_lmdb mnist_train_set --partitions 8\n"
    "  samovar data partition mnist_train_lmdb hdfs:///data/mnist_train_set --partitions 8\n"
    "  samovar data info mnist_train_set --verify";

constexpr char kWritePartitionExamples[] =
    "For programs that make a set side by side, on several machines. The input has, for each record, in ascending "
    "order "
    "of keys: the\n"
    "key's length, the key, the value's length, the value, a serialised Datum of Caffe; and at the end a length of 0. "
    "Lengths are 4\n"
    "bytes, the highest first; nothing comes behind that 0. Prints what `samovar data write-manifest` takes, one "
    "line.\n"
    "A partition of this name that is there already stays: the same one is as good as written, another one is "
    "refused.\n"
    "Example:\n"
    "  samovar data write-partition hdfs:///data/set --name part-00003-17 < records > part-00003";
constexpr char kWriteManifestExamples[] =
    "The input has the lines that `samovar data write-partition` has printed, in the partitions' order; each must say "
    "what the\n"
    "partition's own report says. With the manifest there is a set; partitions that it does not name are removed, and "
    "other files\n"
    "stay where they are.\n"
    "Example:\n"
    "  cat part-00000 part-00001 | samovar data write-manifest hdfs:///data/set";

// "HEIGHTxWIDTH"
void ParseSize(const std::string& text, ImportImagesOptions* images) {
  const size_t times = text.find('x');
  if (times == std::string::npos || !absl::SimpleAtoi(text.substr(0, times), &images->height) ||
      !absl::SimpleAtoi(text.substr(times + 1), &images->width) || images->height < 1 || images->width < 1) {
    throw CLI::ValidationError("--resize",
                               absl::StrCat("\"", text, "\" is not HEIGHTxWIDTH in pixels, for example 256x256"));
  }
}

CLI::Option* AddPartitions(CLI::App* command, uint32_t* partitions, const std::string& description) {
  return command->add_option("--partitions", *partitions, description)
      ->type_name("P")
      ->default_str("")
      ->check(Between(1, kMaxSetPartitions));
}

void AddSetFlags(CLI::App* command, uint32_t* partitions, bool* force) {
  AddPartitions(command, partitions,
                "Makes a partitioned set of so many LMDBs, as data partition does; without it, one LMDB");
  command->add_flag("--force", *force, "Replaces a data set that is there already");
}

}  // namespace

void CommandTree::AddData() {
  CLI::App* data =
      line.AddCommand(line.app(), "data", "Makes and describes the data sets that nets are trained on", "");
  CLI::App* importers = line.AddCommand(data, "import", "Makes an LMDB from files of another format", "");
  import_idx_ =
      line.AddCommand(importers, "idx", "Makes an LMDB from the IDX files of MNIST and its relatives, gzipped or not",
                      kImportIdxExamples);
  line.Require(import_idx_,
               import_idx_->add_option("--images", import_idx.images, "Reads the images from this IDX file")
                   ->type_name("FILE")
                   ->transform(StoredPathValidator(storage_)));
  line.Require(import_idx_,
               import_idx_->add_option("--labels", import_idx.labels, "Reads the labels from this IDX file")
                   ->type_name("FILE")
                   ->transform(StoredPathValidator(storage_)));
  line.Require(import_idx_, import_idx_->add_option("--output", import_idx.output, "Makes the LMDB in this directory")
                                ->type_name("DIR")
                                ->transform(StoredPathValidator(storage_)));
  AddSetFlags(import_idx_, &import_idx.partitions, &import_idx.force);
  AddImportCifar10(importers);
  AddImportLevelDb(importers);
  AddImportImages(importers);
  AddDataPartition(data);
  AddDataWrite(data);
  AddDataMean(data);
  data_info_ =
      line.AddCommand(data, "info", "Describes a data set: its records, their shape and their labels", kInfoExamples);
  line.Require(data_info_,
               data_info_->add_option("set", data_info.path, "Reads the LMDB or the partitioned set in this directory")
                   ->type_name("DIR")
                   ->transform(StoredPathValidator(storage_)));
  data_info_->add_flag("--verify", data_info.verify,
                       "Compares the files of a partitioned set with the checksums in its manifest");
  data_info_->add_flag("--quick", data_info.quick,
                       "Does not decode encoded images, which takes long for many: damaged ones are not found");
}

void CommandTree::AddImportCifar10(CLI::App* importers) {
  import_cifar10_ = line.AddCommand(importers, "cifar10", "Makes an LMDB from the binary version of CIFAR-10",
                                    kImportCifar10Examples);
  line.Require(import_cifar10_,
               import_cifar10_
                   ->add_option("--input", import_cifar10.inputs,
                                "Reads these files, one after the other; a directory stands for data_batch_1.bin, "
                                "data_batch_2.bin and so on in it, the training images")
                   ->type_name("FILE_OR_DIR")
                   ->transform(StoredPathValidator(storage_)));
  line.Require(import_cifar10_,
               import_cifar10_->add_option("--output", import_cifar10.output, "Makes the LMDB in this directory")
                   ->type_name("DIR")
                   ->transform(StoredPathValidator(storage_)));
  AddSetFlags(import_cifar10_, &import_cifar10.partitions, &import_cifar10.force);
}

void CommandTree::AddImportLevelDb(CLI::App* importers) {
  import_leveldb_ =
      line.AddCommand(importers, "leveldb", "Makes an LMDB from a LevelDB of Caffe, with the same keys and values",
                      kImportLevelDbExamples);
  line.Require(import_leveldb_, import_leveldb_
                                    ->add_option("--input", import_leveldb.input,
                                                 "Reads the LevelDB in this directory, and leaves it as it is")
                                    ->type_name("DIR")
                                    ->transform(StoredPathValidator(storage_)));
  line.Require(import_leveldb_,
               import_leveldb_->add_option("--output", import_leveldb.output, "Makes the LMDB in this directory")
                   ->type_name("DIR")
                   ->transform(StoredPathValidator(storage_)));
  AddSetFlags(import_leveldb_, &import_leveldb.partitions, &import_leveldb.force);
}

void CommandTree::AddImportImages(CLI::App* importers) {
  import_images_ = line.AddCommand(importers, "images", "Makes an LMDB from JPEG and PNG files", kImportImagesExamples);
  ImportImagesOptions& images = import_images.images;
  line.Require(import_images_,
               import_images_->add_option("--list", images.list, "Reads the images' names and labels from this file")
                   ->type_name("FILE")
                   ->transform(StoredPathValidator(storage_)));
  import_images_->add_option("--root", images.root, "Takes the names in the list from this directory")
      ->type_name("DIR")
      ->transform(StoredPathValidator(storage_));
  line.Require(import_images_,
               import_images_->add_option("--output", import_images.output, "Makes the LMDB in this directory")
                   ->type_name("DIR")
                   ->transform(StoredPathValidator(storage_)));
  import_images_
      ->add_option_function<std::string>(
          "--resize", [this](const std::string& size) { ParseSize(size, &import_images.images); },
          "Resizes all images to so many pixels")
      ->type_name("HEIGHTxWIDTH");
  import_images_->add_flag("--gray", images.gray, "Makes one channel of each image instead of three");
  import_images_->add_flag("--encoded", images.encoded,
                           "Keeps the images as JPEG or PNG: smaller, and decoded each time they are read");
  import_images_->add_flag("--shuffle", images.shuffle, "Numbers the images in a random order");
  import_images_->add_option("--seed", images.seed, "Draws that order from this number")
      ->type_name("N")
      ->check(Between(0, std::numeric_limits<uint64_t>::max()));
  AddSetFlags(import_images_, &import_images.partitions, &import_images.force);
}

void CommandTree::AddDataPartition(CLI::App* data) {
  data_partition_ = line.AddCommand(
      data, "partition", "Cuts a data set into partitions that workers can copy one by one", kPartitionExamples);
  line.Require(data_partition_, data_partition_
                                    ->add_option("source", data_partition.source,
                                                 "Reads the LMDB, or the set of other partitions, in this directory")
                                    ->type_name("SOURCE")
                                    ->transform(StoredPathValidator(storage_)));
  line.Require(data_partition_,
               data_partition_->add_option("output", data_partition.output, "Makes the set in this directory")
                   ->type_name("DEST")
                   ->transform(StoredPathValidator(storage_)));
  line.Require(data_partition_, AddPartitions(data_partition_, &data_partition.partitions,
                                              "Makes so many partitions, of sizes that differ by one record at most"));
  data_partition_->add_flag("--force", data_partition.force, "Replaces a data set that is there already");
}

void CommandTree::AddDataWrite(CLI::App* data) {
  write_partition_ = line.AddCommand(data, "write-partition", "Writes a partition of a set from records on the input",
                                     kWritePartitionExamples);
  line.Require(write_partition_,
               write_partition_->add_option("set", write_partition.set, "Writes into the set in this directory")
                   ->type_name("DIR")
                   ->transform(StoredPathValidator(storage_)));
  line.Require(write_partition_, write_partition_
                                     ->add_option("--name", write_partition.name,
                                                  "Names the partition's directory in it; begins with part-")
                                     ->type_name("NAME"));
  write_manifest_ = line.AddCommand(data, "write-manifest", "Makes a set of partitions that were written one by one",
                                    kWriteManifestExamples);
  line.Require(write_manifest_,
               write_manifest_->add_option("set", write_manifest.set, "Makes the set in this directory")
                   ->type_name("DIR")
                   ->transform(StoredPathValidator(storage_)));
  write_manifest_->add_flag("--force", write_manifest.force, "Replaces a data set that is there already");
  write_manifest_->add_flag("--check", write_manifest.check,
                            "Only looks whether a set can be made there, and reads no input");
}

void CommandTree::AddDataMean(CLI::App* data) {
  data_mean_ = line.AddCommand(
      data, "mean", "Writes the mean of a data set's records, for mean_file in transform_param", kMeanExamples);
  line.Require(data_mean_,
               data_mean_->add_option("set", data_mean.path, "Reads the LMDB or the partitioned set in this directory")
                   ->type_name("DIR")
                   ->transform(StoredPathValidator(storage_)));
  line.Require(data_mean_, data_mean_->add_option("--output", data_mean.output, "Writes this file, a .binaryproto")
                               ->type_name("FILE")
                               ->transform(StoredPathValidator(storage_)));
  data_mean_->add_flag("--force", data_mean.force, "Replaces a file that is there already");
}

}  // namespace samovar
