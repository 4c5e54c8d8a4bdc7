// The subcommands and flags of `samovar`, bound to their structs; used to parse a command line and to write
// completions.
#pragma once

#include "config/cli_flags.h"
#include "config/command_line.h"

namespace samovar {

struct CliLine {
  CliLine();
  CliLine(const CliLine&) = delete;
  CliLine& operator=(const CliLine&) = delete;

  CommandLine line;
  TrainOptions train;
  CheckOptions check;
  StatusOptions status;
  ImportIdxOptions import_idx;
  ImportCifar10Options import_cifar10;
  ImportImagesFlags import_images;
  DataMeanOptions data_mean;
  DataInfoOptions data_info;
  CompletionFlags completion;

  // The flags of the subcommand that was parsed.
  CliFlags Chosen() const;

 private:
  void AddTrain();
  void AddCheck();
  void AddStatus();
  void AddData();
  void AddImportCifar10(CLI::App* importers);
  void AddImportImages(CLI::App* importers);
  void AddDataMean(CLI::App* data);
  void AddSmallCommands();

  CLI::App* train_ = nullptr;
  CLI::App* check_ = nullptr;
  CLI::App* status_ = nullptr;
  CLI::App* import_idx_ = nullptr;
  CLI::App* import_cifar10_ = nullptr;
  CLI::App* import_images_ = nullptr;
  CLI::App* data_mean_ = nullptr;
  CLI::App* data_info_ = nullptr;
  CLI::App* completion_ = nullptr;
};

}  // namespace samovar
