#!/usr/bin/env python3
"""Every path of a user goes through one door: what is of a scheme that there is not is refused wherever it stands, before anything
is begun; and what a killed process left unfinished is removed."""

import os
import re
import subprocess
import unittest
from typing import Iterator, List, Tuple

import testbed
from mistakes_itest import MistakeTest
from testbed import Run

OTHERS = ("s3://b/x", "gs://b/x", "file://host/x")
REFUSAL = 'is not offered; give a path of this machine, with or without "file:"'
# What help says of a value that is a path.
PATH_TYPES = ("FILE", "DIR", "PATH", "SOLVER", "FILE_OR_DIR", "SOURCE", "DEST", "FILE[,FILE...]")

DATA = """layer {{
  name: "images" type: "{type}" top: "data" top: "label"
  {fields}
}}
layer {{ name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param {{ num_output: 4 }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }}
"""
LMDB = 'data_param { source: "test_lmdb" backend: LMDB batch_size: 10 }'


class OtherSchemeTest(MistakeTest):
    def help_of(self, program: str, *words: str) -> str:
        return subprocess.run([testbed.program(program), *words, "--help"], capture_output=True, check=True, text=True,
                              timeout=testbed.COMMAND_SECONDS).stdout

    def commands(self, *words: str) -> Iterator[Tuple[str, ...]]:
        """All commands of samovar that have none below them."""
        text = self.help_of("samovar", *words)
        # Behind the last flags stand examples.
        listed = text.partition("\nOther flags:\n")[0] if " COMMAND [FLAGS]" in text else ""
        below = re.findall(r"^  (\w+) {2,}", listed, re.MULTILINE)
        for word in below:
            yield from self.commands(*words, word)
        if not below:
            yield words

    def path_arguments(self, program: str, *words: str) -> List[List[str]]:
        """Arguments that end with a flag or a place for a path, whose value is to follow."""
        text = self.help_of(program, *words)
        found = []
        before: List[str] = []
        arguments = text.partition("\nArguments:\n")[2].partition("\n\n")[0]
        for kind in re.findall(r"^  ([A-Z][A-Z|]*)(?=[, \n])", arguments, re.MULTILINE):
            if kind in PATH_TYPES:
                found.append([*words, *before])
            before.append("127.0.0.1:1" if kind == "ADDRESS" else "x")
        flags = text.partition("\nOther flags:\n")[0]
        for flag, kind in re.findall(r"^  (--[\w-]+) ([A-Z]\S*?)(?:=\S*)?(?: |$)", flags, re.MULTILINE):
            if kind in PATH_TYPES:
                found.append([*words, flag])
        return found

    def refuse(self, program: str, arguments: List[str], *parts: str) -> None:
        before = self.workspace.entries()
        done = subprocess.run([testbed.program(program), *arguments], cwd=self.workspace.path, capture_output=True, check=False, text=True,
                              timeout=testbed.COMMAND_SECONDS)
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        for part in parts:
            self.assertIn(part, done.stderr)
        self.assertEqual(self.workspace.entries(), before)

    def test_each_flag_for_a_path_refuses_schemes_that_there_are_not(self):
        places = [("samovar", place) for words in self.commands() for place in self.path_arguments("samovar", *words)]
        places += [(program, place) for program in ("samovar-server", "samovar-worker") for place in self.path_arguments(program)]
        # Flags of a kind that this test does not know are not among them: then it would walk fewer.
        self.assertGreaterEqual(len(places), 41, places)
        for program, place in places:
            for uri in OTHERS:
                with self.subTest(place=place, uri=uri):
                    self.refuse(program, [*place, uri], uri, REFUSAL)
        for place in (["train", "--weights"], ["submit", "--weights"]):
            self.refuse("samovar", [*place, "a.caffemodel, s3://b/x"], "s3://b/x", REFUSAL)

    def test_a_path_in_a_configuration_file_is_as_one_in_a_flag(self):
        for program, flag in (("samovar-server", "state"), ("samovar-worker", "cache")):
            (self.workspace.path / "config.toml").write_text(f'{flag} = "s3:///x"\n', encoding="utf-8")
            self.refuse(program, ["--config", "config.toml"], "s3:///x", REFUSAL)

    def test_each_field_of_a_solver_refuses_schemes_that_there_are_not(self):
        fields = ({"net": "{}"}, {"net": None, "train_net": "{}", "test_net": '"net.prototxt"'},
                  {"net": None, "train_net": '"net.prototxt"', "test_net": "{}"}, {"weights": "{}"}, {"snapshot_prefix": "{}"})
        for field in fields:
            for uri in OTHERS:
                with self.subTest(field=field, uri=uri):
                    changed = {name: value and value.replace("{}", f'"{uri}"') for name, value in field.items()}
                    self.workspace.write_solver(**changed)
                    self.assert_train_and_check_refuse("solver.prototxt:", uri, REFUSAL)

    def nets_that_name(self, uri: str) -> Iterator[Tuple[str, str]]:
        """Nets with the URI in one place of each kind; the place."""
        for kind, param in (("Data", "data"), ("MemoryData", "memory_data"), ("ImageData", "image_data"), ("HDF5Data", "hdf5_data")):
            extra = {"Data": "backend: LMDB", "MemoryData": "channels: 1 height: 20 width: 20"}.get(kind, "")
            source_class = 'source_class: "com.yahoo.ml.caffe.LMDB"' if kind == "MemoryData" else ""
            fields = f'{source_class} {param}_param {{ source: "{uri}" batch_size: 10 {extra} }}'
            yield DATA.format(type=kind, fields=fields), f"{param}_param.source"
        (self.workspace.path / "uris.txt").write_text(f"{uri} 1\n", encoding="utf-8")
        (self.workspace.path / "files.txt").write_text(f"{uri}\n", encoding="utf-8")
        (self.workspace.path / "names.txt").write_text("a.png 1\n", encoding="utf-8")
        yield DATA.format(type="ImageData", fields='image_data_param { source: "uris.txt" batch_size: 10 }'), "uris.txt:1"
        yield DATA.format(type="ImageData", fields='image_data_param { source: "uris.txt" root_folder: "a/" batch_size: 10 }'), "uris.txt:1"
        yield DATA.format(type="ImageData", fields=f'image_data_param {{ source: "names.txt" root_folder: "{uri}" batch_size: 10 }}'), uri
        yield DATA.format(type="HDF5Data", fields='hdf5_data_param { source: "files.txt" batch_size: 10 }'), "files.txt:1"
        yield DATA.format(type="Data", fields=LMDB + f' transform_param {{ mean_file: "{uri}" }}'), "mean_file"
        infogain = DATA.format(type="Data", fields=LMDB).replace('"SoftmaxWithLoss"', '"InfogainLoss"').rstrip().removesuffix("}")
        yield infogain + f'infogain_loss_param {{ source: "{uri}" }} }}\n', "infogain_loss_param.source"

    def test_each_field_of_a_net_refuses_schemes_that_there_are_not(self):
        (self.workspace.path / "w.caffemodel").write_bytes(b"")
        model = ("--model", "net.prototxt", "--weights", "w.caffemodel")
        commands = (("check", "solver.prototxt"), ("train", "--solver", "solver.prototxt"), ("test", *model),
                    ("features", *model, "--blobs", "ip", "--output", "rows"), ("time", "--model", "net.prototxt"))
        self.workspace.write_solver(test_iter=None, test_interval=None)
        for uri in OTHERS:
            for net, place in self.nets_that_name(uri):
                self.workspace.write_net(lambda _, net=net: net)
                for command in commands:
                    with self.subTest(command=command[0], uri=uri, place=place):
                        self.assert_refused(place, uri, REFUSAL, arguments=command)

    def test_what_a_list_of_images_names_is_refused_by_the_import(self):
        (self.workspace.path / "list.txt").write_text("s3:///x.png 1\n", encoding="utf-8")
        self.assert_refused("list.txt:1", "s3:///x.png", REFUSAL,
                            arguments=("data", "import", "images", "--list", "list.txt", "--output", "lmdb"))

    def test_names_with_the_scheme_of_files_are_paths_wherever_they_stand(self):
        here = self.workspace.path
        self.workspace.write_net(lambda text: text.replace('"train_lmdb"', f'"file://{here}/train_lmdb"')
                                 .replace('"test_lmdb"', '"file:test_lmdb"').replace("mean_value: 128", 'mean_file: "file:mean"'))
        self.workspace.check("data", "mean", "file:train_lmdb", "--output", f"file://localhost{here}/mean")
        self.workspace.write_solver(net='"file:net.prototxt"', snapshot_prefix=f'"file://{here}/out/small"', max_iter=4, test_interval=4)
        self.workspace.check("check", "file:solver.prototxt")
        with Run(self.workspace, "--state", f"file:{here}/state", "--export-snapshots", "file:exports",
                 solver=f"file://{here}/solver.prototxt") as run:
            self.assert_success(run)
        model = ("--model", "file:net.prototxt", "--weights", "file:out/small_iter_4.caffemodel", "--data", "file:test_lmdb")
        self.workspace.check("test", *model)
        self.workspace.check("features", *model, "--blobs", "ip2", "--output", "file:rows")
        self.workspace.check("time", "--model", "file:net.prototxt", "--iterations", 1)
        self.workspace.check("data", "partition", "file:test_lmdb", "file:set", "--partitions", 2)
        self.workspace.check("data", "info", f"file://{here}/set")
        for name in ("out/small_iter_4.caffemodel", "rows/features.jsonl", "set/manifest", "state/run", "exports/small_iter_4/manifest"):
            self.assertTrue((here / name).exists(), name)
        self.assertFalse((here / "file:").exists())


class UnfinishedFileTest(testbed.TestCase):
    def test_a_run_removes_the_unfinished_models_of_its_prefix_whose_process_has_gone_and_no_others(self):
        gone = subprocess.Popen(["true"])
        gone.wait()
        out = self.workspace.path / "out"
        out.mkdir()
        removed = [f"small_iter_400.caffemodel.{gone.pid}.0.tmp", f"small_iter_400.solverstate.h5.{gone.pid}.12.tmp"]
        kept = [f"small_iter_400.caffemodel.{os.getpid()}.0.tmp", f"other_iter_400.caffemodel.{gone.pid}.0.tmp",
                f"small_iter_400.caffemodel.{gone.pid}.tmp", f"small_iter_x.caffemodel.{gone.pid}.0.tmp", f"small.{gone.pid}.0.tmp"]
        for name in (*removed, *kept):
            (out / name).write_bytes(b"x")
        self.workspace.write_solver(max_iter=2, test_iter=None, test_interval=None)
        self.workspace.check("check", "solver.prototxt")
        self.assertTrue(all((out / name).exists() for name in removed))
        with Run(self.workspace) as run:
            self.assert_success(run)
        self.assertEqual([name for name in removed if (out / name).exists()], [])
        self.assertEqual([name for name in kept if not (out / name).exists()], [])


if __name__ == "__main__":
    unittest.main()
