#!/usr/bin/env python3
"""The commands of the READMEs, as they stand there, with the programs of an unpacked tarball.

Names of a cluster's storage and of other machines stand for directories of the test and for this machine; jobs are short. Each block of
commands is one script: it ends with 0, and the services that it starts run until then. SAMOVAR_BUNDLE names the tarball.
"""

import gzip
import os
import pathlib
import random
import re
import shutil
import signal
import struct
import subprocess
import tarfile
import unittest
from typing import Dict, Iterator, List, Tuple

import testbed

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
READMES = ("README.md", "deploy/README.md")
ITERATIONS = 60
SECONDS = 120 * testbed.TIME_FACTOR

# The beginnings of commands that are not run here: they change the machine, need others, or are this test's own.
ELSEWHERE = {
    "bash deploy/quickstart.sh": "the build, from a clean checkout",
    "bash tests/": "the tests themselves",
    "PRESET=": "the tests themselves",
    "cmake ": "the build",
    "az ": "Azure",
    "bash samovar-VERSION-linux-x86_64/deploy/hdinsight/install.sh": "tests/deploy/install_test.py",
    "useradd ": "the machine's users",
    "mkdir -p /opt/samovar": "the machine's files",
    "tar -xzf samovar-VERSION-linux-x86_64.tar.gz -C": "the machine's files",
    "ln ": "the machine's files",
    "cp /opt/samovar": "the machine's files",
    "systemctl ": "the machine's services",
}
# Clusters that READMEs take for granted, and the flags of their coordinators.
STANDING = {"hdfs:///user/me/samovar/lenet": "--home hdfs:///user/me/samovar/lenet",
            "wasbs:///samovar/mycluster.abcdef": "--home wasbs:///samovar/mycluster.abcdef"}
# Of commands that ask a resource manager, where there is none: the flags are right if that is all that is wrong.
NO_YARN = "no resource manager is known"


def blocks_of(text: str) -> Iterator[List[str]]:
    """The commands of each indented block, continued lines as one, without comments."""
    block: List[str] = []
    for line in text.splitlines() + ["end"]:
        if line.startswith("    ") and not line.startswith("     "):
            if block and block[-1].endswith("\\"):
                block[-1] = block[-1][:-1].rstrip() + " " + line.strip()
            else:
                block.append(re.sub(r"\s{2,}#.*", "", line.strip()))
        elif block and block[-1].endswith("\\") and line.startswith(" "):
            block[-1] = block[-1][:-1].rstrip() + " " + line.strip()
        elif line.strip() and block:
            yield block
            block = []


def is_command(line: str) -> bool:
    return re.match(r"([A-Z]+=\S+ )?(bash|samovar\S*|\S+/samovar|cmake|tar|export|az|useradd|mkdir|ln|cp|systemctl|python3|pip|spark-submit) ",
                    line) is not None


class ReadmeTest(unittest.TestCase):
    def setUp(self) -> None:
        tarball = os.environ.get("SAMOVAR_BUNDLE")
        if not tarball:
            raise unittest.SkipTest("SAMOVAR_BUNDLE does not name the tarball")
        self.workspace = testbed.Workspace(empty=True)
        self.addCleanup(self.workspace.remove)
        self.path = self.workspace.path
        with tarfile.open(tarball) as archive:
            archive.extractall(self.path)
        self.bundle = next(self.path.glob("samovar-*-linux-x86_64"))
        shutil.copy(tarball, self.path / "samovar-VERSION-linux-x86_64.tar.gz")
        (self.path / "samovar-VERSION-linux-x86_64").symlink_to(self.bundle.name)
        self.storage = self.path / "storage"
        self.ports: Dict[str, str] = {}
        self.make_data()

    def make_data(self) -> None:
        """What the READMEs take for granted: pictures like MNIST's, data sets of them, and solvers, which are short."""
        draw = random.Random(1)
        for name, records in (("train", 640), ("t10k", 200)):
            pixels = draw.randbytes(records * 28 * 28)
            labels = bytes(draw.randrange(10) for _ in range(records))
            with gzip.open(self.path / f"{name}-images-idx3-ubyte.gz", "wb", 1) as images:
                images.write(struct.pack(">IIII", 0x00000803, records, 28, 28) + pixels)
            with gzip.open(self.path / f"{name}-labels-idx1-ubyte.gz", "wb", 1) as file:
                file.write(struct.pack(">II", 0x00000801, records) + labels)
        (self.path / "data").mkdir()
        for name, output in (("train", "data/fashion_mnist_train_lmdb"), ("t10k", "data/fashion_mnist_test_lmdb")):
            self.run_script(f"samovar data import idx --images {name}-images-idx3-ubyte.gz --labels {name}-labels-idx1-ubyte.gz "
                            f"--output {output}")
        for name in ("train_lmdb", "mnist_train_lmdb"):
            (self.path / name).symlink_to("data/fashion_mnist_train_lmdb")
        self.run_script("samovar data partition train_lmdb mnist_train_set --partitions 4")
        shutil.copytree(self.bundle / "share" / "models", self.path / "config" / "models")
        lenet = self.path / "config" / "models" / "lenet"
        solver = (lenet / "lenet_solver.prototxt").read_text(encoding="utf-8")
        for old, new in (("max_iter: 10000", f"max_iter: {ITERATIONS}"), ("test_iter: 100", "test_iter: 2"), ("snapshot: 5000", "snapshot: 30")):
            self.assertIn(old, solver)
            solver = solver.replace(old, new)
        (lenet / "lenet_solver.prototxt").write_text(solver, encoding="utf-8")
        for directory in (self.path, self.storage / "models"):
            directory.mkdir(exist_ok=True, parents=True)
            shutil.copy(lenet / "lenet_solver.prototxt", directory)
            shutil.copy(lenet / "lenet_solver.prototxt", directory / "solver.prototxt")
            net = (lenet / "lenet_train_test.prototxt").read_text(encoding="utf-8")
            (directory / "lenet_train_test.prototxt").write_text(net.replace('"data/', f'"{self.path}/data/'), encoding="utf-8")
        (self.path / "hadoop").mkdir()

    def port(self, name: str) -> str:
        if name not in self.ports:
            self.ports[name] = f"127.0.0.1:{testbed.free_port()}"
        return self.ports[name]

    def here(self, command: str) -> str:
        """The command with this machine's names."""
        command = re.sub(r"(hdfs|wasbs):///", f"file://{self.storage}/", command)
        command = command.replace("wasbs://data@account.blob.core.windows.net/", f"file://{self.storage}/data/")
        command = re.sub(r"\b(127\.0\.0\.1|10\.0\.0\.4|0\.0\.0\.0|hn0-mycluster):\d+", lambda found: self.port(found.group(0)), command)
        command = re.sub(r"(?<!\S)(build/release/bin|/opt/samovar/current/bin|samovar-VERSION-linux-x86_64/bin)/", "", command)
        command = re.sub(r"/var/(lib|cache|tmp)/", f"{self.path}/var/", command)
        return command.replace('"$PWD/build/release/bin:$PATH"', '"$PATH"')

    def run_script(self, script: str) -> Tuple[int, str]:
        environment = {**os.environ, "PATH": f"{self.bundle}/bin:{os.environ['PATH']}", "HADOOP_CONF_DIR": str(self.path / "hadoop")}
        with subprocess.Popen(["bash", "-e", "-c", script], cwd=self.path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, env=environment, start_new_session=True) as process:
            try:
                output, _ = process.communicate(timeout=SECONDS)
            except subprocess.TimeoutExpired:
                output = "not in time"
            finally:
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        return process.returncode, output

    def check_block(self, commands: List[str]) -> None:
        """Services run beside the others, and must run when these have ended."""
        lines = ["trap 'kill $(jobs -p) 2> /dev/null || true' EXIT"]
        for command in commands:
            is_service = re.match(r"samovar-(server|worker)\b", command) is not None
            if re.match(r"samovar yarn\b", command):
                lines.append(f"code=0; said=$({command} 2>&1) || code=$?\n[ $code -eq 2 ] && [[ $said == *\"{NO_YARN}\"* ]] || {{ echo \"$said\"; exit 98; }}")
            elif is_service and not command.endswith("&"):
                lines.append(f"{command} &")
            else:
                lines.append(command)
        lines.append("sleep 0.5\nfor service in $(jobs -p); do kill -0 $service; done\nif [ -n \"$(jobs -p)\" ]; then kill $(jobs -p); fi\nwait")
        script = "\n".join(lines)
        code, output = self.run_script(script)
        self.assertEqual(code, 0, f"{script}\n{output[-4000:]}")

    def standing(self, block: List[str]) -> List[str]:
        """The services of a cluster that a block takes for granted."""
        for place, flags in STANDING.items():
            if any(place in line for line in block) and not any(line.startswith("samovar-server") for line in block):
                return [self.here(f"samovar-server --coordinator {flags} --state /var/lib/standing"), self.here(f"samovar-worker --coordinator {place}")]
        return []

    def test_every_command_of_the_readmes_does_what_it_is_there_for(self) -> None:
        used, run = set(), 0
        for readme in READMES:
            for block in blocks_of((ROOT / readme).read_text(encoding="utf-8")):
                if not all(is_command(line) for line in block):
                    continue
                commands = []
                for line in block:
                    elsewhere = next((begin for begin in ELSEWHERE if line.startswith(begin)), "")
                    used.add(elsewhere)
                    if not elsewhere:
                        commands.append(self.here(line))
                if not commands:
                    continue
                run += len(commands)
                with self.subTest(readme=readme, block=block[0]):
                    self.check_block(self.standing(block) + commands)
                # Each block begins as its reader does.
                shutil.rmtree(self.path / "var", ignore_errors=True)
                shutil.rmtree(self.path / "output", ignore_errors=True)
                shutil.rmtree(self.storage / "data", ignore_errors=True)
                self.ports.clear()
        self.assertEqual(set(ELSEWHERE) - used, set(), "no README has these any more")
        self.assertGreater(run, 30)


if __name__ == "__main__":
    unittest.main()
