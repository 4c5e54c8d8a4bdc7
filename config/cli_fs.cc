// The commands about files where a cluster keeps them.
#include "config/command_tree.h"

namespace samovar {
namespace {

constexpr char kFsExamples[] =
    "A URI is one of these; every path that a command, a solver or a net names may be one:\n"
    "  /data/x, file:///data/x                  a file of this machine\n"
    "  hdfs://HOST/x, hdfs://NAMESERVICE/x, hdfs:///x, webhdfs://HOST:PORT/x\n"
    "                                           Hadoop's file system, by WebHDFS\n"
    "  wasbs://CONTAINER@ACCOUNT.blob.core.windows.net/x, abfss://FILESYSTEM@ACCOUNT.dfs.core.windows.net/x, "
    "wasbs:///x\n"
    "                                           Azure's storage\n"
    "  https://HOST/x, http://HOST/x            a web server, for reading\n"
    "HADOOP_CONF_DIR names the directory of core-site.xml and hdfs-site.xml (without it /etc/hadoop/conf): addresses, "
    "keys, what\n"
    "hdfs:///x and wasbs:///x are. Azure's keys may also be in AZURE_STORAGE_CONNECTION_STRING, or in "
    "AZURE_STORAGE_ACCOUNT with\n"
    "AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN. HADOOP_USER_NAME is the user of HDFS. Copies that commands read are "
    "kept in\n"
    "SAMOVAR_FILE_CACHE, or in /var/tmp/samovar-files-UID.";
constexpr char kListExamples[] =
    "Examples:\n"
    "  samovar fs ls hdfs:///data\n"
    "  samovar fs ls wasbs://data@account.blob.core.windows.net/ --recursive --json";
constexpr char kCatExamples[] =
    "Example:\n"
    "  samovar fs cat hdfs:///models/lenet_solver.prototxt";
constexpr char kCopyExamples[] =
    "A file is there whole or not at all. A directory goes into a directory that there is, under its own name; with "
    "--force over a\n"
    "copy of it that is there.\n"
    "Examples:\n"
    "  samovar fs cp mnist_train_set hdfs:///data/mnist_train_set --recursive\n"
    "  samovar fs cp wasbs://out@account.blob.core.windows.net/lenet.caffemodel .";
constexpr char kRemoveExamples[] =
    "Examples:\n"
    "  samovar fs rm hdfs:///models/old.caffemodel\n"
    "  samovar fs rm hdfs:///data/old_set --recursive";

}  // namespace

void CommandTree::AddFs() {
  CLI::App* fs =
      line.AddCommand(line.app(), "fs", "Lists, shows, copies and removes files, here and on a cluster", kFsExamples);
  const auto add_uri = [this](CLI::App* command, const char* name, std::string* uri, const char* what) {
    line.Require(command,
                 command->add_option(name, *uri, what)->type_name("PATH")->transform(StoredPathValidator(storage_)));
  };
  fs_list_ = line.AddCommand(fs, "ls", "Lists a directory: sizes in bytes, and names", kListExamples);
  add_uri(fs_list_, "uri", &fs_list.uri, "Lists this directory, or this file");
  fs_list_->add_flag("--recursive", fs_list.recursive, "Lists all that is in it, at any depth");
  fs_list_->add_flag("--json", fs_list.json, "Prints one JSON object a file");
  fs_cat_ = line.AddCommand(fs, "cat", "Writes a file to the standard output", kCatExamples);
  add_uri(fs_cat_, "uri", &fs_cat.uri, "Writes this file");
  fs_copy_ = line.AddCommand(fs, "cp", "Copies a file, or a directory, from anywhere to anywhere", kCopyExamples);
  add_uri(fs_copy_, "from", &fs_copy.from, "Copies this");
  add_uri(fs_copy_, "to", &fs_copy.to, "Copies to this name, or into this directory");
  fs_copy_->add_flag("--recursive", fs_copy.recursive, "Copies a directory with all that is in it");
  fs_copy_->add_flag("--force", fs_copy.force, "Replaces files that are there already");
  fs_remove_ = line.AddCommand(fs, "rm", "Removes a file, or a directory", kRemoveExamples);
  add_uri(fs_remove_, "uri", &fs_remove.uri, "Removes this");
  fs_remove_->add_flag("--recursive", fs_remove.recursive, "Removes a directory with all that is in it");
}

}  // namespace samovar
