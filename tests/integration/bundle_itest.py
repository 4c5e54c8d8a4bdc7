"""The tarball runs where there is nothing: in a root directory that holds a static shell and the unpacked tarball, no libc.

SAMOVAR_BUNDLE names the tarball. Needs root, for chroot and a mount namespace of its own; its mounts
are gone with the last process.
"""

import json
import os
import pathlib
import shutil
import subprocess
import tarfile
import unittest

import testbed

# Where it is unpacked, seen from inside; the blank is there to be stumbled over.
PLACE = "/opt/of users"
SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "deploy/bundle/run.sh"
# The shell's script that becomes the command inside: $1 is the root, the rest the command.
ENTER = """
mount -t proc proc "$1/proc" && mount --bind /dev/null "$1/dev/null" || exit 99
root=$1; shift
exec chroot "$root" "$@"
"""


def enter(root: pathlib.Path, *command, isa: str = "", seconds: float = testbed.RUN_SECONDS) -> "subprocess.CompletedProcess[str]":
    """Runs a command with `root` as its root directory. The children die with it."""
    variables = ["/bin/busybox", "env", "-i", "PATH=/bin"] + ([f"SAMOVAR_ISA={isa}"] if isa else [])
    return subprocess.run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", ENTER, "sh", str(root), *variables,
                           *map(str, command)],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds, check=False)


def make_root(root: pathlib.Path, busybox: str) -> None:
    for directory in ("bin", "proc", "dev", "data", PLACE[1:]):
        (root / directory).mkdir(parents=True)
    (root / "dev/null").touch()
    shutil.copy(busybox, root / "bin/busybox")
    for name in ("sh", "readlink"):
        (root / "bin" / name).symlink_to("busybox")


def why_not(busybox: str) -> str:
    """Why this machine cannot run the test; empty if it can."""
    if os.geteuid() != 0:
        return "only root can change the root directory"
    if not busybox or "not a dynamic executable" not in subprocess.run(
            ["ldd", busybox], capture_output=True, text=True, check=False).stderr:
        return "there is no static busybox (package busybox-static)"
    if subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True, check=False).returncode != 0:
        return "this system gives no mount and process namespaces"
    return ""


class LinkTest(testbed.TestCase):
    """The script that starts the programs, with a shell in place of the loader."""

    def test_the_script_finds_its_place_through_links_to_itself_and_to_its_directories(self):
        package = self.workspace.path / "of users/package"
        for directory in ("bin", "lib", "libexec"):
            (package / directory).mkdir(parents=True)
        shutil.copy(SCRIPT, package / "bin/samovar")
        (package / "bin/samovar").chmod(0o755)
        loader = package / "lib/ld-linux-x86-64.so.2"
        loader.write_text("#!/bin/sh\necho loaded\n", encoding="utf-8")
        loader.chmod(0o755)
        (self.workspace.path / "current").symlink_to(package)
        (self.workspace.path / "home").mkdir()
        (self.workspace.path / "home/bin").symlink_to(package / "bin")
        (self.workspace.path / "home/samovar").symlink_to("bin/samovar")
        for place in ("of users/package/bin/samovar", "current/bin/samovar", "home/bin/samovar", "home/samovar"):
            done = subprocess.run([str(self.workspace.path / place)], capture_output=True, text=True, timeout=testbed.COMMAND_SECONDS, check=False)
            self.assertEqual((done.stdout, done.stderr), ("loaded\n", ""), place)


class BundleTest(testbed.TestCase):
    def setUp(self) -> None:
        busybox = shutil.which("busybox") or ""
        reason = why_not(busybox)
        if reason:
            self.skipTest(reason)
        super().setUp()
        self.root = self.workspace.path / "root"
        make_root(self.root, busybox)
        with tarfile.open(os.environ["SAMOVAR_BUNDLE"]) as archive:
            archive.extractall(self.root / PLACE[1:])
            self.name = archive.getnames()[0]
        self.samovar = f"{PLACE}/{self.name}/bin/samovar"
        for name in ("train_lmdb", "test_lmdb", "net.prototxt"):
            shutil.move(str(self.workspace.path / name), str(self.root / "data" / name))

    def assert_runs(self, *command, **options) -> str:
        done = enter(self.root, *command, **options)
        self.assertEqual(done.returncode, 0, f"{done.stdout}\n{done.stderr}")
        return done.stdout

    def test_there_is_no_libc_but_the_bundle_s(self):
        bundle = self.root / PLACE[1:] / self.name
        found = list(self.root.rglob("lib*.so*"))
        self.assertTrue(found)
        self.assertEqual([path for path in found if bundle not in path.parents], [])

    def test_programs_start_at_each_level_and_through_links(self):
        highest = self.assert_runs(self.samovar, "version").split()[-1].rstrip(")")
        self.assertEqual(highest, testbed_level())
        self.assertIn("x86-64-v2", self.assert_runs(self.samovar, "version", isa="v2"))
        refused = enter(self.root, self.samovar, "version", isa="avx2")
        self.assertEqual(refused.returncode, 2)
        self.assertIn('SAMOVAR_ISA is "avx2"; the levels are v2', refused.stderr)
        (self.root / "opt/current").symlink_to(f"{PLACE[5:]}/{self.name}")
        (self.root / "bin/samovar").symlink_to("../opt/current/bin/samovar")
        self.assertIn("samovar 0.", self.assert_runs("samovar", "version"))
        for program in ("samovar-server", "samovar-worker"):
            self.assertIn(f"{program} 0.", self.assert_runs(f"/opt/current/bin/{program}", "--version"))
        (self.root / "data/bin").symlink_to("../opt/current/bin")
        self.assertIn("samovar 0.", self.assert_runs("/data/bin/samovar", "version"))

    def test_a_net_is_checked_and_trained_to_the_end(self):
        solver = self.workspace.write_solver("root/data/solver.prototxt", max_iter=60, test_interval=30)
        self.assertTrue(solver.exists())
        in_data = ["/bin/sh", "-c", 'cd /data && exec "$@"', "sh", self.samovar]
        self.assert_runs(*in_data, "check", "solver.prototxt")
        out = self.assert_runs(*in_data, "train", "--solver", "solver.prototxt", "--json")
        succeeded = [event for event in map(json.loads, out.splitlines()) if event["event"] == "succeeded"]
        self.assert_exactly_once(succeeded[-1], 60)
        self.assertTrue((self.root / "data/out/small_iter_60.caffemodel").is_file())

    def test_what_lies_beside_the_programs(self):
        bundle = self.root / PLACE[1:] / self.name
        for path in ("etc/coordinator.toml", "etc/server.toml", "etc/worker.toml", "share/models/lenet/lenet_solver.prototxt",
                     "share/completion/samovar.bash", "share/licenses/libc6", "share/licenses/common/LGPL-2.1", "LICENSE",
                     "deploy/README.md", "deploy/hdinsight/install.sh", "deploy/systemd/samovar-worker.service",
                     "deploy/spark/pyproject.toml", "deploy/spark/samovar/samovar.desc", "share/proto/samovar/v1/job.proto", "share/proto/caffe.proto"):
            self.assertTrue((bundle / path).is_file(), path)


def testbed_level() -> str:
    """The level that the build's own programs take on this machine."""
    version = subprocess.run([testbed.program("samovar"), "version"], capture_output=True, text=True, check=True).stdout
    return version.split()[-1].rstrip(")")


if __name__ == "__main__":
    unittest.main()
