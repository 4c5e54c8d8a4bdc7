#!/usr/bin/env python3
"""The start script of YARN's containers, with a program in the place of the real ones that says how it was started."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
from typing import Dict, List

SCRIPT = pathlib.Path(__file__).resolve().parent.parent.parent / "deploy" / "yarn" / "container.sh"
# Prints its name, its arguments and what it was given; ends as WANTED says: by a code, or by a signal ("-9").
PROGRAM = """#!/bin/sh
echo "${0##*/} $*"
echo "conf=${HADOOP_CONF_DIR-none} cache=$SAMOVAR_FILE_CACHE"
case $WANTED in -*) kill "$WANTED" $$ ;; esac
exit "$WANTED"
"""


class ContainerTest(unittest.TestCase):
    def setUp(self) -> None:
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="samovar_container_")).resolve()
        self.addCleanup(shutil.rmtree, self.path)
        (self.path / "work").mkdir()
        bundle = self.path / "bundle of users"
        (bundle / "bin").mkdir(parents=True)
        (bundle / "deploy" / "yarn").mkdir(parents=True)
        shutil.copy(SCRIPT, bundle / "deploy" / "yarn")
        for name in ("samovar-server", "samovar-worker"):
            (bundle / "bin" / name).write_text(PROGRAM, encoding="ascii")
            (bundle / "bin" / name).chmod(0o755)
        self.script = bundle / "deploy" / "yarn" / "container.sh"

    def start(self, *arguments: str, wanted: str = "2", restart: str = "0") -> "subprocess.CompletedProcess[str]":
        environment: Dict[str, str] = {"PATH": os.environ["PATH"], "NM_HOST": "wn3", "WANTED": wanted, "SAMOVAR_RESTART_SECONDS": restart}
        return subprocess.run(["sh", str(self.script), *arguments], cwd=self.path / "work", env=environment, capture_output=True, text=True,
                              timeout=60, check=False)

    def lines(self, *arguments: str) -> List[str]:
        return self.start(*arguments).stdout.splitlines()

    def test_server_0_is_the_coordinator_and_the_others_join_by_the_home(self) -> None:
        self.assertEqual(self.lines("server", "0", "hdfs:///h", "--apply-threads", "2")[0],
                         "samovar-server --coordinator --home hdfs:///h --snapshots hdfs:///h/snapshots --state state --listen wn3:0 "
                         "--apply-threads 2")
        self.assertEqual(self.lines("server", "1", "hdfs:///h")[0], "samovar-server --join hdfs:///h --state state --listen wn3:0")
        self.assertEqual(self.lines("worker", "0", "hdfs:///h", "--threads", "4")[0],
                         "samovar-worker --coordinator hdfs:///h --name worker-0/wn3 --threads 4")

    def test_the_service_s_own_configuration_counts_where_it_brings_one(self) -> None:
        work = self.path / "work"
        self.assertEqual(self.lines("worker", "0", "hdfs:///h")[1], f"conf=none cache={work}/files")
        (work / "core-site.xml").touch()
        self.assertEqual(self.lines("worker", "0", "hdfs:///h")[1], f"conf={work} cache={work}/files")
        (work / "core-site.xml").unlink()
        (work / "resources").mkdir()
        (work / "resources" / "hdfs-site.xml").touch()
        self.assertEqual(self.lines("worker", "0", "hdfs:///h")[1], f"conf={work}/resources cache={work}/files")

    def test_a_program_that_ends_is_started_again_but_one_that_was_replaced_is_not(self) -> None:
        for wanted, code in (("0", 0), ("2", 2), ("-9", 137)):
            done = self.start("server", "1", "hdfs:///h", wanted=wanted)
            # Short lives: YARN is to try another node.
            self.assertEqual(done.returncode, code)
            self.assertEqual(len(done.stdout.splitlines()), 5 * 2)
            self.assertIn(f"samovar-server has ended with exit code {code}", done.stderr)
        done = self.start("server", "0", "hdfs:///h", wanted="3")
        self.assertEqual((done.returncode, len(done.stdout.splitlines())), (0, 2))

    def refused(self, sentence: str, *arguments: str, restart: str = "0") -> None:
        with self.subTest(sentence):
            done = self.start(*arguments, restart=restart)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertIn(sentence, done.stderr)
            self.assertEqual(len(done.stderr.splitlines()), 1)

    def test_wrong_words_are_refused_with_a_sentence(self) -> None:
        self.refused('"cook" is neither server nor worker', "cook", "0", "hdfs:///h")
        self.refused("three words are needed: server or worker, the number of the instance and the cluster's home; there are 0")
        self.refused("there are 2", "server", "0")
        self.refused('"x" is no number of an instance', "server", "x", "hdfs:///h")
        self.refused('"" is no number of an instance', "worker", "", "hdfs:///h")
        self.refused("the cluster's home is empty", "server", "0", "")
        self.refused('SAMOVAR_RESTART_SECONDS is "soon"; write whole seconds', "worker", "0", "hdfs:///h", restart="soon")
        self.refused('SAMOVAR_RESTART_SECONDS is "-1"', "worker", "0", "hdfs:///h", restart="-1")


if __name__ == "__main__":
    unittest.main(verbosity=2, argv=sys.argv)
