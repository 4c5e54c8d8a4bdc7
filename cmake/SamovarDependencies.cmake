# Third parties, all from the distribution's packages (deploy/packages.txt); nothing is downloaded.
# After this file the following targets exist, under these names on every distribution:
#   samovar::grpc samovar::grpc_reflection samovar::protobuf samovar::lmdb samovar::eigen samovar::spdlog samovar::cli11 samovar::catch2 samovar::zlib
#   samovar::crypto samovar::jpeg samovar::png samovar::hdf5 samovar::prometheus samovar::civetweb samovar::curl samovar::expat samovar::ncurses absl::*
# And, where it is installed, samovar::leveldb, with SAMOVAR_LEVELDB set: for `samovar data import leveldb` alone.

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(absl REQUIRED)
find_package(Protobuf REQUIRED)
find_package(Eigen3 REQUIRED NO_MODULE)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(ZLIB REQUIRED)
# SHA-256. gRPC stands on it as well.
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(JPEG REQUIRED)
find_package(PNG REQUIRED)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET GLOBAL libcurl)
pkg_check_modules(EXPAT REQUIRED IMPORTED_TARGET GLOBAL expat)
# The library for wide characters. Its compiler flags are those of C programs of old.
pkg_check_modules(NCURSES REQUIRED ncursesw)
pkg_check_modules(LMDB REQUIRED IMPORTED_TARGET GLOBAL lmdb)
# Its core alone: what is counted. Its CMake file wants what its web server and its client need, too.
pkg_check_modules(PROMETHEUS REQUIRED IMPORTED_TARGET GLOBAL prometheus-cpp-core)
# The library for one process, not the one for MPI.
pkg_search_module(HDF5 REQUIRED IMPORTED_TARGET GLOBAL hdf5-serial hdf5)

# Debian packages it without a pkg-config file.
find_library(SAMOVAR_LEVELDB_LIBRARY leveldb)
find_path(SAMOVAR_LEVELDB_INCLUDE leveldb/db.h)
set(SAMOVAR_LEVELDB OFF)
if(SAMOVAR_LEVELDB_LIBRARY AND SAMOVAR_LEVELDB_INCLUDE)
  set(SAMOVAR_LEVELDB ON)
  add_library(samovar::leveldb UNKNOWN IMPORTED GLOBAL)
  set_target_properties(samovar::leveldb PROPERTIES IMPORTED_LOCATION "${SAMOVAR_LEVELDB_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${SAMOVAR_LEVELDB_INCLUDE}" INTERFACE_COMPILE_DEFINITIONS SAMOVAR_HAS_LEVELDB)
else()
  message(STATUS "LevelDB is not installed (libleveldb-dev): `samovar data import leveldb` is left out.")
endif()

add_library(samovar::protobuf ALIAS protobuf::libprotobuf)
add_library(samovar::lmdb ALIAS PkgConfig::LMDB)
add_library(samovar::curl ALIAS PkgConfig::CURL)
add_library(samovar::expat ALIAS PkgConfig::EXPAT)
add_library(samovar::ncurses INTERFACE IMPORTED GLOBAL)
target_link_libraries(samovar::ncurses INTERFACE ${NCURSES_LINK_LIBRARIES})
add_library(samovar::hdf5 ALIAS PkgConfig::HDF5)
# Its package has no file for pkg-config.
find_library(SAMOVAR_CIVETWEB civetweb REQUIRED)
add_library(samovar::civetweb INTERFACE IMPORTED GLOBAL)
target_link_libraries(samovar::civetweb INTERFACE ${SAMOVAR_CIVETWEB})
add_library(samovar::prometheus ALIAS PkgConfig::PROMETHEUS)
add_library(samovar::eigen ALIAS Eigen3::Eigen)
add_library(samovar::spdlog ALIAS spdlog::spdlog)
add_library(samovar::cli11 ALIAS CLI11::CLI11)
add_library(samovar::zlib ALIAS ZLIB::ZLIB)
add_library(samovar::crypto ALIAS OpenSSL::Crypto)
add_library(samovar::jpeg ALIAS JPEG::JPEG)
add_library(samovar::png ALIAS PNG::PNG)

# Older distributions package gRPC without its CMake files, but always with pkg-config's.
find_package(gRPC CONFIG QUIET)
if(gRPC_FOUND)
  add_library(samovar::grpc ALIAS gRPC::grpc++)
else()
  pkg_check_modules(GRPCPP REQUIRED IMPORTED_TARGET GLOBAL grpc++)
  add_library(samovar::grpc ALIAS PkgConfig::GRPCPP)
endif()
find_program(SAMOVAR_GRPC_CPP_PLUGIN grpc_cpp_plugin REQUIRED)
find_library(SAMOVAR_GRPC_REFLECTION grpc++_reflection REQUIRED)
add_library(samovar::grpc_reflection INTERFACE IMPORTED GLOBAL)
target_link_libraries(samovar::grpc_reflection INTERFACE ${SAMOVAR_GRPC_REFLECTION})

if(SAMOVAR_TESTS)
  find_package(Catch2 REQUIRED)
  add_library(samovar::catch2 ALIAS Catch2::Catch2)
endif()

# ccache, where it is installed. The sloppiness is what its manual asks for with GCC's precompiled headers. Paths below the root are
# taken as relative to the build's directory, so that a clone in another folder finds what was compiled in this one.
find_program(SAMOVAR_CCACHE ccache)
if(SAMOVAR_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1
      ${SAMOVAR_CCACHE})
endif()
