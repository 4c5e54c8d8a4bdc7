#include "config/command_line.h"

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/base/suggest.h"
#include "common/base/utf8.h"
#include "common/base/version.h"
#include "common/caffe/utf8_fields.h"
#include "common/home/cluster_home.h"
#include "common/model/job_name.h"
#include "common/storage/paths.h"
#include "common/storage/storage_table.h"
#include "config/config_file.h"
#include "config/flag_groups.h"
#include "config/help_formatter.h"
#include "config/user_config.h"

namespace samovar {
namespace {

constexpr int kUsageError = 2;
// Name of the validator of OneOf; its choices follow.
constexpr char kChoices[] = "choices ";

// "samovar data import"
std::string FullName(const CLI::App& app) {
  const CLI::App* parent = app.get_parent();
  return parent == nullptr ? app.get_name() : absl::StrCat(FullName(*parent), " ", app.get_name());
}

std::vector<std::string> FlagNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) continue;
    for (const std::string& name : option->get_lnames()) names.push_back(absl::StrCat("--", name));
  }
  return names;
}

std::vector<std::string> CommandNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  return names;
}

// How a user names the option: "--solver", or "address" for a positional one whose flag has another name.
std::string OptionName(const CLI::Option& option) {
  if (option.get_positional() && !option.check_lname(option.get_name(/*positional=*/true)))
    return option.get_name(/*positional=*/true);
  return absl::StrCat("--", option.get_lnames().front());
}

}  // namespace

CommandLine::CommandLine(const std::string& program, const std::string& description, std::ostream* errors)
    : app_(description, program), errors_(*errors) {
  app_.set_help_flag("-h,--help", "Explains the command and its flags")->configurable(false);
  app_.set_version_flag("--version", absl::StrCat(program, " ", Version()), "Shows the version")->configurable(false);
  app_.formatter(std::make_shared<HelpFormatter>(&required_));
  app_.allow_extras();
  app_.option_defaults()->always_capture_default();
}

CLI::App* CommandLine::AddCommand(CLI::App* parent, const std::string& name, const std::string& description,
                                  const std::string& examples) {
  parent->require_subcommand(0, 1);
  CLI::App* command = parent->add_subcommand(name, description);
  command->footer(examples);
  return command;
}

void CommandLine::Require(CLI::App* command, CLI::Option* option) { required_.emplace_back(command, option); }

void CommandLine::TakeUserCoordinator(CLI::App* command, CLI::Option* option, std::string* source, bool is_required) {
  coordinators_.push_back({command, option, source, is_required});
}

void CommandLine::RequireUtf8(CLI::App* command) { utf8_.push_back(command); }

void CommandLine::AcceptConfigFile() {
  app_.add_option("--config", config_file_, "Reads flags that are not given from this file, in TOML: apply-threads = 4")
      ->transform(LocalPathValidator())
      ->type_name("FILE")
      ->configurable(false);
}

const CLI::App* CommandLine::command() const {
  const CLI::App* command = &app_;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().front();
  return command;
}

int CommandLine::UsageError(const std::string& message) const {
  errors_ << app_.get_name() << ": error: " << message << "\n"
          << "Run \"" << FullName(*command()) << " --help\" to see its commands and flags.\n";
  return kUsageError;
}

std::string CommandLine::DescribeExtra(const CLI::App& app, const std::string& argument) const {
  const bool is_flag = absl::StartsWith(argument, "-");
  const std::string name = argument.substr(0, argument.find('='));
  const std::vector<std::string> known = is_flag ? FlagNames(app) : CommandNames(app);
  if (!is_flag && known.empty()) return absl::StrCat("unexpected argument \"", argument, "\"");
  return absl::StrCat(is_flag ? "unknown flag \"" : "unknown command \"", name, "\"", DidYouMean(name, known));
}

int CommandLine::CoordinatorMissing(const std::string& name) const {
  return UsageError(absl::StrCat(name, " is missing: give the coordinator's HOST:PORT, or name it in ",
                                 kCoordinatorVariable, ", or in ", UserConfigPath(),
                                 " with the line: coordinator = \"HOST:PORT\""));
}

std::optional<int> CommandLine::FillCoordinator() {
  for (const UserCoordinator& entry : coordinators_) {
    if (entry.command != command() || entry.option->count() > 0) continue;
    const absl::StatusOr<std::optional<UserSetting>> found = FindUserCoordinator();
    if (!found.ok()) return UsageError(std::string(found.status().message()));
    if (found->has_value()) {
      const absl::Status status = SetOption((*found)->value, entry.option);
      if (!status.ok()) return UsageError(absl::StrCat((*found)->source, ": ", status.message()));
      *entry.source = (*found)->source;
    } else if (entry.is_required) {
      return CoordinatorMissing(OptionName(*entry.option));
    }
  }
  return std::nullopt;
}

std::optional<int> CommandLine::CheckComplete() {
  for (const CLI::App* app = &app_;; app = app->get_subcommands().front()) {
    std::vector<std::string> extras = app->remaining();
    // Behind it there are no flags: a job of an older version may be named as one.
    std::erase(extras, "--");
    if (!extras.empty()) return UsageError(DescribeExtra(*app, extras.front()));
    if (app->get_subcommands().empty()) break;
  }
  const std::vector<std::string> commands = CommandNames(*command());
  if (!commands.empty()) {
    return UsageError(absl::StrCat(FullName(*command()), " needs a command: ", absl::StrJoin(commands, ", ")));
  }
  // A shell's variable that is not set. Taken for a flag that was not given, it would have other weights tested, or
  // none.
  for (const CLI::Option* option : command() == &app_ ? std::vector<const CLI::Option*>() : command()->get_options()) {
    const std::string given = absl::StrJoin(option->results(), "");
    if (option->count() == 0 || given.find_first_not_of(" ,") != std::string::npos) continue;
    return UsageError(absl::StrCat(OptionName(*option), " is given, but empty; give it a value, or leave it out"));
  }
  for (const auto& [app, option] : required_) {
    if (app == command() && option->count() == 0) return UsageError(absl::StrCat(OptionName(*option), " is missing"));
  }
  return FillCoordinator();
}

std::optional<int> CommandLine::Parse(int argc, const char* const* argv) {
  GroupFlags(&app_);
  try {
    app_.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    std::cout << app_.help();
    return EXIT_SUCCESS;
  } catch (const CLI::CallForVersion& version) {
    std::cout << version.what() << "\n";
    return EXIT_SUCCESS;
  } catch (const CLI::ParseError& error) {
    return UsageError(error.what());
  }
  if (app_.get_option_no_throw("--config") != nullptr && app_.count("--config") > 0) {
    const absl::Status status = ReadConfigFile(config_file_, &app_);
    if (!status.ok()) return UsageError(std::string(status.message()));
  }
  const std::optional<int> incomplete = CheckComplete();
  if (incomplete.has_value() || std::find(utf8_.begin(), utf8_.end(), command()) == utf8_.end()) return incomplete;
  for (int i = 1; i < argc; ++i) {
    if (!IsUtf8(argv[i])) return UsageError(NotUtf8(argv[i]));
  }
  return std::nullopt;
}

void AddLogLevel(CLI::App* app, std::string* log_level) {
  app->add_option("--log-level", *log_level, "Writes events of this weight and above to the log")
      ->type_name("LEVEL")
      ->check(OneOf({"trace", "debug", "info", "warning", "error", "off"}));
}

void AddProcessOptions(CLI::App* app, int* ready_fd, std::string* log_level, std::string* log_format,
                       bool* die_with_parent) {
  AddLogLevel(app, log_level);
  app->add_option("--log-format", *log_format,
                  "Writes each event of the log as a line for people, or as a JSON object for programs")
      ->type_name("FORMAT")
      ->check(OneOf({"text", "json"}));
  app->add_option("--ready-fd", *ready_fd, "Writes a line to this file descriptor as soon as the process is ready")
      ->type_name("FD")
      ->default_str("")
      ->configurable(false)
      ->check(Between(0, INT_MAX));
  app->add_flag("--die-with-parent", *die_with_parent, "Ends when the process that started it ends, however that ends")
      ->configurable(false);
}

CLI::Validator AddressValidator(bool any_port) {
  return CLI::Validator(
      [any_port](std::string& address) -> std::string {
        if (absl::StartsWith(address, "unix:") && address.size() > 5) return "";
        const size_t colon = address.rfind(':');
        int port = 0;
        if (colon == std::string::npos || colon == 0 ||
            !absl::SimpleAtoi(absl::string_view(address).substr(colon + 1), &port)) {
          return absl::StrCat("\"", address, "\" is not HOST:PORT, as in 127.0.0.1:7100");
        }
        if (port < (any_port ? 0 : 1) || port > 65535)
          return absl::StrCat("\"", address, "\": there is no port ", port);
        return "";
      },
      "");
}

CLI::Validator HttpValidator() {
  const auto check = [](std::string& address) {
    if (address == "none") return std::string();
    const bool plain = address.find_first_of(", +/") == std::string::npos && absl::StrContains(address, ':') &&
                       (address[0] == '[' || address.find(':') == address.rfind(':'));
    if (!plain) return absl::StrCat("\"", address, "\" is neither HOST:PORT, as in 127.0.0.1:7180, nor none");
    return AddressValidator(/*any_port=*/true)(address);
  };
  return CLI::Validator(check, "");
}

CLI::Validator HomeValidator(const StorageTable& storage) {
  const auto check = [storage](std::string& home) -> std::string {
    home = ResolvePath(home, "");
    const absl::string_view scheme = SchemeOf(home);
    if (scheme == "http" || scheme == "https") {
      return absl::StrCat("\"", home, "\" is on a web server, which nobody writes to: no home of a cluster");
    }
    std::error_code error;
    if (std::filesystem::is_regular_file(home, error))
      return absl::StrCat("\"", home, "\" is a file, and a home of a cluster is a directory");
    const absl::Status offered = storage.StorageFor(home).status();
    return offered.ok() ? "" : std::string(offered.message());
  };
  return CLI::Validator(check, "", "Home");
}

CLI::Validator CoordinatorValidator(const StorageTable& storage) {
  const auto check = [storage](std::string& place) -> std::string {
    const std::string wrong =
        ClusterHome::IsHome(place) ? HomeValidator(storage)(place) : AddressValidator(/*any_port=*/false)(place);
    if (wrong.empty()) return wrong;
    return absl::StrCat(wrong,
                        "; a cluster is named by its coordinator's HOST:PORT, or by its home, a directory that "
                        "samovar-server --home names");
  };
  return CLI::Validator(check, "", "Coordinator");
}

CLI::Validator Between(uint64_t least, uint64_t most) {
  return CLI::Validator(
      [least, most](std::string& text) -> std::string {
        uint64_t value = 0;
        const bool number = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
        if (number && absl::SimpleAtoi(text, &value) && value >= least && value <= most) return "";
        return absl::StrCat("\"", text, "\" is not a whole number from ", least, " to ", most);
      },
      "");
}

CLI::Validator Ratio() {
  return CLI::Validator(
      [](std::string& text) -> std::string {
        double value = 0;
        if (absl::SimpleAtod(text, &value) && value > 0 && value <= 1) return "";
        return absl::StrCat("\"", text, "\" is not a number above 0 and at most 1");
      },
      "");
}

CLI::Validator JobNameValidator() {
  const auto check = [](std::string& name) {
    return name.empty() ? std::string() : std::string(CheckNewJobName(name).message());
  };
  return CLI::Validator(check, "", "JobName");
}

CLI::Validator KnownJobNameValidator() {
  const auto check = [](std::string& name) -> std::string {
    if (name == "." || name == "..") return absl::StrCat("\"", name, "\" is a directory, and no job's name");
    return std::string(CheckJobName(name).message());
  };
  return CLI::Validator(check, "", "KnownJobName");
}

CLI::Validator NumberUpTo(double most) {
  return CLI::Validator(
      [most](std::string& text) -> std::string {
        double value = 0;
        if (absl::SimpleAtod(text, &value) && value >= 0 && value <= most) return "";
        return absl::StrCat("\"", text, "\" is not a number from 0 to ", most);
      },
      "");
}

CLI::Validator LocalPathValidator() {
  const auto check = [](std::string& path) {
    absl::StatusOr<std::string> local = LocalPath(path);
    if (!local.ok()) return std::string(local.status().message());
    path = *std::move(local);
    return std::string();
  };
  return CLI::Validator(check, "", "LocalPath");
}

CLI::Validator StoredPathValidator(const StorageTable& storage) {
  const auto check = [storage](std::string& path) {
    const absl::Status offered = storage.StorageFor(path = WithoutFileScheme(path)).status();
    return std::string(offered.message());
  };
  return CLI::Validator(check, "", "StoredPath");
}

CLI::Validator StoredPathsValidator(const StorageTable& storage) {
  const auto check = [storage](std::string& paths) {
    std::vector<std::string> found;
    for (const absl::string_view path : absl::StrSplit(paths, ',')) {
      found.push_back(WithoutFileScheme(std::string(absl::StripAsciiWhitespace(path))));
      const absl::Status offered = storage.StorageFor(found.back()).status();
      if (!offered.ok()) return std::string(offered.message());
    }
    paths = absl::StrJoin(found, ",");
    return std::string();
  };
  return CLI::Validator(check, "", "StoredPaths");
}

CLI::Validator OneOf(const std::vector<std::string>& choices) {
  return CLI::Validator(
      [choices](std::string& text) -> std::string {
        if (std::find(choices.begin(), choices.end(), text) != choices.end()) return "";
        return absl::StrCat("\"", text, "\" is none of ", absl::StrJoin(choices, ", "), DidYouMean(text, choices));
      },
      "", absl::StrCat(kChoices, absl::StrJoin(choices, " ")));
}

std::vector<std::string> ChoicesOf(CLI::Option* option) {
  try {
    for (int i = 0;; ++i) {
      const std::string name = option->get_validator(i)->get_name();
      if (absl::StartsWith(name, kChoices)) return absl::StrSplit(absl::StripPrefix(name, kChoices), ' ');
    }
  } catch (const CLI::OptionNotFound&) {
    return {};
  }
}

}  // namespace samovar
