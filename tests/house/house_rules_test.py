#!/usr/bin/env python3
"""Plants violations in a small tree and sees each of them reported, and nothing else."""

import contextlib
import io
import pathlib
import tempfile
import unittest

import house_rules

# A tree in order: a room of common, an engine, a server, a command, flags, a test.
CLEAN = {
    "CMakeLists.txt": "add_subdirectory(common)\nadd_subdirectory(worker)\nadd_subdirectory(server)\nadd_subdirectory(cli)\n"
                      "add_subdirectory(config)\nadd_subdirectory(tests)\n",
    "common/CMakeLists.txt": "add_subdirectory(base)\nadd_subdirectory(storage)\n",
    "common/base/CMakeLists.txt": "samovar_library(samovar_common_base SOURCES clock.h)\n",
    "common/base/clock.h": "#pragma once\n#include <string>\n",
    "common/storage/CMakeLists.txt": "samovar_library(samovar_common_storage SOURCES lmdb.cc lmdb.h)\n",
    "common/storage/lmdb.h": '#pragma once\n#include "common/base/clock.h"\n',
    "common/storage/lmdb.cc": '#include "common/storage/lmdb.h"\n#include <lmdb.h>\n',
    "worker/CMakeLists.txt": "add_subdirectory(nn)\nadd_subdirectory(train)\n",
    "worker/nn/CMakeLists.txt": "samovar_library(samovar_worker_nn SOURCES net.h layers/relu_layer.cc kernels/eigen.h)\n",
    "worker/nn/net.h": '#pragma once\n#include "worker/nn/kernels/eigen.h"\n#include "caffe.pb.h"\n',
    "worker/nn/layers/relu_layer.cc": '#include "worker/nn/kernels/eigen.h"\n',
    "worker/nn/kernels/eigen.h": "#pragma once\n#include <Eigen/Core>\n",
    "worker/train/CMakeLists.txt": "samovar_library(samovar_worker_train SOURCES loop.h)\n",
    "worker/train/loop.h": '#pragma once\n#include "samovar/v1/coordinator.grpc.pb.h"\n#include "worker/nn/net.h"\n',
    "server/CMakeLists.txt": "samovar_library(samovar_server SOURCES server.h)\nsamovar_program(samovar-server SOURCES main.cc)\n",
    "server/server.h": "#pragma once\n#include <grpcpp/grpcpp.h>\n",
    "server/main.cc": '#include "config/flags.h"\n#include "server/server.h"\n',
    "cli/CMakeLists.txt": "samovar_library(samovar_cli SOURCES check.cc)\n",
    "cli/check.cc": '#include "worker/nn/net.h"\n',
    "config/CMakeLists.txt": "samovar_library(samovar_config SOURCES flags.h)\n",
    "config/flags.h": "#pragma once\n#include <CLI/CLI.hpp>\n",
    "tests/CMakeLists.txt": "add_subdirectory(common)\n",
    "tests/common/CMakeLists.txt": "samovar_test(clock_test SOURCES clock_test.cc)\n",
    "tests/common/clock_test.cc": '#include "common/base/clock.h"\n',
}


def home(name: str) -> str:
    return "/" + "home" + "/" + name


class HouseRulesTest(unittest.TestCase):
    def found_in(self, files=None):
        """The violations and warnings of the clean tree with some files added or replaced."""
        with tempfile.TemporaryDirectory() as directory:
            root = pathlib.Path(directory)
            for path, text in {**CLEAN, **(files or {})}.items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text, encoding="utf-8")
            tree = house_rules.read_tree(root)
            return house_rules.violations(tree), list(house_rules.size_warnings(tree))

    def assert_only(self, where: str, part: str, files):
        found, _ = self.found_in(files=files)
        self.assertEqual(len(found), 1, found)
        self.assertTrue(found[0].startswith(where), found[0])
        self.assertIn(part, found[0])

    def test_a_tree_in_order_has_no_violations(self):
        self.assertEqual(self.found_in(), ([], []))

    def test_directions(self):
        cases = [
            ("common/base/clock.h", "server/server.h"),
            ("common/base/clock.h", "worker/nn/net.h"),
            ("common/base/clock.h", "cli/check.h"),
            ("common/base/clock.h", "common/caffe/prototxt.h"),
            ("common/base/clock.h", "config/flags.h"),
            ("server/server.h", "worker/nn/net.h"),
            ("server/server.h", "config/flags.h"),
            ("server/server.h", "cli/check.h"),
            ("worker/train/loop.h", "server/server.h"),
            ("worker/train/loop.h", "config/flags.h"),
            ("worker/nn/net.h", "worker/train/lease.h"),
            ("worker/nn/layers/relu_layer.cc", "worker/nn/net.h"),
            ("worker/nn/kernels/eigen.h", "worker/nn/layers/fields.h"),
            ("cli/check.cc", "server/server.h"),
            ("cli/check.cc", "worker/train/loop.h"),
            ("cli/check.cc", "config/flags.h"),
            ("worker/train/loop.h", "tests/support/catch.h"),
            ("cli/check.cc", "benchmarks/kernels.h"),
        ]
        for path, header in cases:
            with self.subTest(path=path, header=header):
                once = "#pragma once\n" if path.endswith(".h") else ""
                line = 2 if once else 1
                self.assert_only(f"{path}:{line}:", f'must not include "{header}"', {path: f'{once}#include "{header}"\n'})

    def test_an_include_in_angle_brackets_is_no_way_around(self):
        self.assert_only("server/server.h:2:", "must not include", {"server/server.h": "#pragma once\n#  include <worker/nn/net.h>\n"})

    def test_paths_are_written_from_the_root(self):
        self.assert_only("cli/check.cc:1:", "climbs", {"cli/check.cc": '#include "../worker/nn/net.h"\n'})
        self.assert_only("common/storage/lmdb.cc:2:", "is a neighbour",
                         {"common/storage/lmdb.cc": '#include "common/storage/lmdb.h"\n#include "lmdb.h"\n', "common/storage/lmdb.h": "#pragma once\n"})
        self.assert_only("cli/check.cc:1:", "there is no", {"cli/check.cc": '#include "common/base/gone.h"\n'})

    def test_third_parties_have_one_door(self):
        cases = [
            ("cli/check.cc", "CLI/CLI.hpp", "CLI11"),
            ("server/main.cc", "spdlog/spdlog.h", "spdlog"),
            ("server/main.cc", "prometheus/counter.h", "prometheus-cpp"),
            ("server/main.cc", "fmt/core.h", "spdlog"),
            ("server/main.cc", "lmdb.h", "LMDB"),
            ("server/main.cc", "Eigen/Core", "Eigen"),
            ("common/storage/lmdb.cc", "grpcpp/grpcpp.h", "gRPC"),
            ("common/storage/lmdb.cc", "samovar/v1/job.grpc.pb.h", "gRPC"),
            ("tests/common/clock_test.cc", "catch2/catch.hpp", "Catch2"),
        ]
        for path, header, party in cases:
            with self.subTest(path=path, header=header):
                own = '#include "common/storage/lmdb.h"\n' if path == "common/storage/lmdb.cc" else ""
                self.assert_only(f"{path}:{2 if own else 1}:", f"{party}'s", {path: f"{own}#include <{header}>\n"})

    def test_a_cycle_of_headers_is_found(self):
        found, _ = self.found_in(files={
            "common/storage/lmdb.h": '#pragma once\n#include "common/storage/read.h"\n',
            "common/storage/read.h": '#pragma once\n#include "common/storage/lmdb.h"\n'})
        self.assertEqual(len(found), 1, found)
        self.assertIn("common/storage/lmdb.h -> common/storage/read.h -> common/storage/lmdb.h", found[0])

    def test_a_header_needs_pragma_once(self):
        self.assert_only("config/flags.h:1:", "#pragma once", {"config/flags.h": "#include <string>\n"})

    def test_a_source_includes_its_own_header_first(self):
        self.assert_only("common/storage/lmdb.cc:1:", 'must include "common/storage/lmdb.h" first',
                         {"common/storage/lmdb.cc": '#include <lmdb.h>\n#include "common/storage/lmdb.h"\n'})

    def test_long_comments_are_found(self):
        long_comment = "// " + "word " * 24 + "\n"
        self.assert_only("config/flags.h:2:", "longer than 120 columns", {"config/flags.h": "#pragma once\n" + long_comment})

    def test_comments_without_a_subject_are_found(self):
        for opening, comment in (("Of", "Of a job: its name."), ("What", "What a job waits for.")):
            self.assert_only("config/flags.h:2:", f'begins with "{opening}"', {"config/flags.h": f"#pragma once\n// {comment}\nint x;\n"})

    def test_a_test_that_is_not_listed_is_found(self):
        self.assert_only("tests/common/gone_test.cc:1:", "does not list it", {"tests/common/gone_test.cc": "int x;\n"})

    def test_a_test_that_is_commented_out_is_found(self):
        self.assert_only("tests/common/clock_test.cc:1:", "does not list it",
                         {"tests/common/CMakeLists.txt": "# samovar_test(clock_test SOURCES clock_test.cc)\n"})

    def test_a_longer_name_does_not_list_a_shorter_one(self):
        self.assert_only("tests/common/clock_test.cc:1:", "does not list it",
                         {"tests/common/CMakeLists.txt": "samovar_test(clock_test SOURCES wall_clock_test.cc)\n"})

    def test_a_list_names_files_of_folders_without_one_by_their_path(self):
        self.assert_only("worker/nn/layers/relu_layer.cc:1:", "worker/nn/CMakeLists.txt does not list it",
                         {"worker/nn/CMakeLists.txt": "samovar_library(samovar_worker_nn SOURCES net.h relu_layer.cc)\n"})

    def test_a_folder_that_is_not_added_is_found(self):
        self.assert_only("worker/nn/CMakeLists.txt:1:", "does not add this folder",
                         {"worker/CMakeLists.txt": "add_subdirectory(train)\n# add_subdirectory(nn)\n"})

    def test_names_that_ctest_would_not_run_are_found(self):
        for name in ["UnitFloat covers [0, 1)", "a; b", "costs $5", "a * b"]:
            with self.subTest(name=name):
                self.assert_only("tests/common/clock_test.cc:1:", "would not run", {"tests/common/clock_test.cc": f'TEST_CASE("{name}") {{}}\n'})
        found, _ = self.found_in(files={"tests/common/clock_test.cc": 'TEST_CASE("a tag, and a comma", "[slow]") {}\n'})
        self.assertEqual(found, [])

    def test_paths_of_one_machine_are_found(self):
        self.assert_only("deploy/start.sh:2:", "path of one machine", {"deploy/start.sh": f"set -e\ncd {home('ivan')}\n"})
        found, _ = self.found_in(files={"README.md": f"https://example.org{home('page')} and .{home('x')}\n"})
        self.assertEqual(found, [])

    def test_unfinished_places_are_found(self):
        self.assert_only("cli/check.cc:2:", "finish it", {"cli/check.cc": "int x;\n// TO" + "DO: more\n"})

    def test_loops_over_directories_are_found(self):
        self.assert_only("cli/check.cc:1:", "ListDirectory", {"cli/check.cc": "for (auto& e : fs::directory_iterator(d)) {}\n"})

    def test_connections_past_the_dialer_and_the_listener_are_found(self):
        for call in ("grpc::InsecureChannelCredentials()", "grpc::InsecureServerCredentials()", "grpc::CreateCustomChannel(a, c, x)",
                     "grpc::CreateChannel(a, c)", "MakeChannel(a)", "builder.AddListeningPort(a, c)"):
            self.assert_only("server/server.cc:2:", "connect with a Dialer", {
                "server/server.cc": f'#include "server/server.h"\nvoid f() {{ {call}; }}\n',
                "server/CMakeLists.txt": "samovar_library(samovar_server SOURCES server.cc server.h)\nsamovar_program(samovar-server SOURCES main.cc)\n"})
        found, _ = self.found_in(files={
            "common/rpc/dialer.h": "#pragma once\nvoid f() { grpc::CreateCustomChannel(a, grpc::InsecureChannelCredentials(), x); }\n"})
        self.assertEqual(found, [])

    def test_a_client_that_makes_up_its_dialer_is_found(self):
        self.assert_only("cli/check.cc:1:", "makes up its RpcOptions", {"cli/check.cc": "auto c = Dialer(RpcOptions()).Dial(a);\n"})
        found, _ = self.found_in(files={"tests/common/clock_test.cc": "auto c = Dialer(RpcOptions()).Dial(a);\n"})
        self.assertEqual(found, [])

    def test_a_table_of_storages_that_is_not_the_programs_is_found(self):
        self.assert_only("cli/check.cc:1:", "makes a StorageTable of its own", {"cli/check.cc": "auto p = StorageTable().Fetch(uri);\n"})
        self.assert_only("common/base/clock.h:2:", "makes a StorageTable of its own",
                         {"common/base/clock.h": "#pragma once\nvoid Read(const StorageTable& storage = StorageTable{});\n"})
        for place in ("cli/main.cc", "tests/common/clock_test.cc"):
            found, _ = self.found_in(files={place: "StorageTable storage = StorageTable();\n"})
            self.assertEqual([line for line in found if "StorageTable" in line], [])

    def test_what_is_not_source_is_left_alone(self):
        found, _ = self.found_in(files={"build/release/gen.h": "int x;\n", "output/x.cc": "int x;\n", "data/y.cc": "int y;\n"})
        self.assertEqual(found, [])

    def test_long_files_are_warned_of_only(self):
        found, warnings = self.found_in(files={"config/flags.h": "#pragma once\n" + "int x;\n" * 250,
                                               "cli/check.cc": "int x;\n" * 500})
        self.assertEqual(found, [])
        self.assertEqual(len(warnings), 1, warnings)
        self.assertIn("config/flags.h:251", warnings[0])

    def test_the_command_says_how_many_and_fails(self):
        with tempfile.TemporaryDirectory() as directory:
            root = pathlib.Path(directory)
            (root / "common").mkdir()
            (root / "common" / "x.h").write_text("int x;\n", encoding="utf-8")
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                self.assertEqual(house_rules.main([directory]), 1)
            self.assertIn("1 files, 1 violations", out.getvalue())
            with contextlib.redirect_stdout(out):
                (root / "common" / "x.h").write_text("#pragma once\n", encoding="utf-8")
                self.assertEqual(house_rules.main([directory]), 0)

    def test_a_wrong_root_is_an_error(self):
        with tempfile.TemporaryDirectory() as directory, contextlib.redirect_stderr(io.StringIO()) as err:
            self.assertEqual(house_rules.main([directory]), 2)
        self.assertIn("no source files", err.getvalue())


if __name__ == "__main__":
    unittest.main()
