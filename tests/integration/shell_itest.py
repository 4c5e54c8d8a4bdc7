#!/usr/bin/env python3
"""A user at a shell: the coordinator that need not be typed, completion by a real bash, a server that is asked for the cluster."""

import os
import pathlib
import subprocess
import unittest
import unittest.mock

import testbed
from testbed import COMMAND_SECONDS, Cluster


class ShellTest(testbed.TestCase):
    def setUp(self):
        super().setUp()
        self.workspace.write_solver(max_iter=1000000, snapshot=0)
        self.config = self.workspace.path / "config"
        environment = unittest.mock.patch.dict(os.environ, {"XDG_CONFIG_HOME": str(self.config)})
        environment.start()
        self.addCleanup(environment.stop)
        os.environ.pop("SAMOVAR_COORDINATOR", None)

    def completed(self, line: str) -> list:
        """What bash offers at the end of the line."""
        script = self.workspace.path / "complete.sh"
        script.write_text(self.workspace.check("completion", "bash"), encoding="utf-8")
        words = " ".join(f"'{word}'" for word in line.replace(":", " : ").replace("=", " = ").split(" "))
        asked = f"""source {script}; COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}; COMP_WORDS=({words})
                    COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _samovar 2> /dev/null; printf '%s\\n' "${{COMPREPLY[@]}}" """
        path = f"{pathlib.Path(testbed.program('samovar')).parent}:{os.environ['PATH']}"
        done = subprocess.run(["bash", "--norc", "-c", asked], capture_output=True, text=True, timeout=COMMAND_SECONDS, check=True,
                              env={**os.environ, "PATH": path}, cwd=self.workspace.path)
        return done.stdout.split()

    def test_the_coordinator_of_the_environment_and_of_the_users_file(self):
        with Cluster(self.workspace, servers=2, workers=1) as cluster:
            os.environ["SAMOVAR_COORDINATOR"] = cluster.address
            self.workspace.check("submit", "--solver", "solver.prototxt", "--name", "lenet")
            self.assertIn("lenet", self.workspace.check("jobs"))
            self.assertEqual(self.completed("samovar watch le"), ["lenet"])
            self.assertEqual(self.completed("samovar cancel "), ["lenet"])
            self.assertEqual(self.completed("samovar train solver.prototxt --mode=b"), ["bounded"])
            self.assertEqual(self.completed("samovar-worker --thr"), ["--threads"])
            del os.environ["SAMOVAR_COORDINATOR"]
            self.assertEqual(self.completed("samovar cancel "), [])
            self.assertEqual(self.completed(f"samovar cancel --coordinator {cluster.address} "), ["lenet"])
            refused = self.workspace.command("jobs")
            self.assertEqual(refused.returncode, 2, refused.stderr)
            self.assertIn("SAMOVAR_COORDINATOR", refused.stderr)

            (self.config / "samovar").mkdir(parents=True)
            (self.config / "samovar" / "samovar.toml").write_text(f'coordinator = "{cluster.address}"\n', encoding="utf-8")
            self.assertIn("is CANCELLED", self.workspace.check("cancel", "lenet"))
            # A server of the cluster says that it is none, and who is.
            server = next(line.split()[0] for line in self.workspace.check("status").splitlines()
                          if line.startswith("  127.0.0.1:") and cluster.address not in line)
            table = self.workspace.check("status", server)
            self.assertIn(f"this is a server, not the coordinator (which is {cluster.address})", table)
            self.assertNotIn("no workers", table)
        unreachable = self.workspace.command("jobs")
        self.assertEqual(unreachable.returncode, 1)
        self.assertIn(f"no coordinator answers at {cluster.address} (as {self.config}/samovar/samovar.toml says)", unreachable.stderr)

    def test_a_port_of_pages_that_is_taken(self):
        page = f"127.0.0.1:{testbed.free_port()}"
        with Cluster(self.workspace, servers=1, workers=0, flags=("--http", page)) as cluster:
            for name, words in (("samovar-server", ("--join", cluster.address, "--state", "other")),
                                ("samovar-worker", ("--coordinator", cluster.address))):
                done = subprocess.run([testbed.program(name), *words, "--http", page], cwd=self.workspace.path, capture_output=True,
                                      text=True, timeout=COMMAND_SECONDS, check=False)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn(f"--http: cannot listen on {page}", done.stderr)
                self.assertNotIn("metrics:", done.stderr)


if __name__ == "__main__":
    unittest.main()
