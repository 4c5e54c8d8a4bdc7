// Names of files: URIs, and files that other files name.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace samovar {

// The scheme of files of this machine.
inline constexpr char kFileScheme[] = "file";

// "hdfs" of "hdfs://host/x" and "hdfs:/x": two letters or digits at least, a colon and a slash. Empty: a path.
absl::string_view SchemeOf(absl::string_view uri);

// "/a" of "file:/a", "file:///a" and "file://localhost/a", and "a" of "file:a"; all else stays as it is, so that a URI
// that still begins with "file:" names another machine.
std::string WithoutFileScheme(const std::string& path);

// The path of a file or directory that must be of this machine: without the scheme of local files. INVALID_ARGUMENT,
// with NotOffered's message, for any other: it would become a folder of the name "hdfs:". Paths that may be elsewhere
// go through a StorageTable.
absl::StatusOr<std::string> LocalPath(const std::string& path);

// Why a URI is refused, and what to give instead. REQUIRES: SchemeOf(WithoutFileScheme(uri)) is not empty
std::string NotOffered(const std::string& uri);

// Whether the path is one from the root of the file system, for all processes of a machine the same. False for one with
// a zero byte.
bool IsAbsolutePath(absl::string_view path);

// Whether the path or URI can be told to another process: an absolute path, or a URI, of whatever scheme. One with a
// zero byte cannot.
bool IsSamePlaceEverywhere(absl::string_view path);

// The absolute path of `path`, which stands in the file `referring_file`. A relative path is taken from the current
// directory, as Caffe does, or, if there is nothing, from the directory of referring_file; if there is nothing either,
// the result is the one from the current directory, and its reader reports that. Where referring_file is in another
// storage, the result is beside it, whether there is something or not, and whatever the current directory has: the file
// means the same for each machine that reads it. "file:" is taken off; another URI ("hdfs://...") and an empty path
// stay as they are.
std::string ResolvePath(const std::string& path, const std::string& referring_file);

// The file (or directory) that FindFile passes over: the one beside referring_file, if the current directory has
// another one of that name. Empty if there is none, if it is the same, or a file with the same content, and where
// referring_file is in another storage (named_file.h).
std::string FindPassedOver(const std::string& path, const std::string& referring_file);
// Why a user who wrote the path may mean that file: the one that is taken, the other, and what to do. Or "".
std::string DescribePassedOver(const std::string& path, const std::string& referring_file);

// The URI, of a web server, without its query and its fragment: a query may hold a signature, which is for this file
// alone, and slashes. Other URIs and paths have none, and stay as they are.
std::string WithoutQuery(const std::string& uri);

// Like ResolvePath, but relative to the current directory if `path` and `referring_file` are: for people to read.
std::string FindFile(const std::string& path, const std::string& referring_file);

}  // namespace samovar
