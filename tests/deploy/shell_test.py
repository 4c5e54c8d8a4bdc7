#!/usr/bin/env python3
"""All shell scripts of the repository, as shellcheck judges them; and script actions, as HDInsight's runner takes them."""

import pathlib
import shutil
import subprocess
import tempfile
import unittest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
# Of the build, and of what quickstart.sh leaves.
OTHERS = ("build", "data", "output", ".git")


def scripts() -> list:
    found = [path for top in REPOSITORY.iterdir() if top.name not in OTHERS for path in top.rglob("*.sh")]
    return sorted(found) + [REPOSITORY / ".ci/run"]


class ShellTest(unittest.TestCase):
    def shellcheck(self, *paths) -> "subprocess.CompletedProcess[str]":
        if not shutil.which("shellcheck"):
            self.skipTest("there is no shellcheck")
        return subprocess.run(["shellcheck", "--external-sources", *map(str, paths)], cwd=REPOSITORY, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=100, check=False)

    def test_shellcheck_has_nothing_to_say_of_any_script(self):
        self.assertGreater(len(scripts()), 10)
        done = self.shellcheck(*scripts())
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_shellcheck_sees_what_is_wrong(self):
        with tempfile.NamedTemporaryFile("w", suffix=".sh") as file:
            file.write("#!/bin/bash\nrm $1\n")
            file.flush()
            self.assertEqual(self.shellcheck(file.name).returncode, 1)

    def test_script_actions_have_no_carriage_returns_and_no_byte_order_mark(self):
        for path in (REPOSITORY / "deploy/hdinsight").glob("*.sh"):
            content = path.read_bytes()
            self.assertTrue(content.startswith(b"#!/usr/bin/env bash\n"), path)
            self.assertNotIn(b"\r", content, path)


if __name__ == "__main__":
    unittest.main()
