"""A real YARN on loopback, over an HDFS: ZooKeeper for its registry, a resource manager with the services' REST interface, and node
managers with ports and directories of their own, each in a Java of its own.

Use it in a `with`, inside that of the Hdfs. Containers run as this user, as processes of this machine.
"""

import atexit
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from typing import Any, Dict, Iterable, List, Optional

from hdfs import OPENED, START_SECONDS, Hdfs, configuration, free_port

FRAMEWORK = "/yarn-services/service-dep.tar.gz"
NODE_MEGABYTES = 4096
# A node manager that is silent for so long is lost, with its containers; ten minutes unless it is set.
EXPIRY_MS = 10_000


def java_home() -> str:
    java = shutil.which("java")
    if java is None:
        raise RuntimeError("there is no java")
    return str(pathlib.Path(java).resolve().parent.parent)


class Node:
    """A node manager, as a machine that may be lost: with its containers and its disk."""

    def __init__(self, path: pathlib.Path, process: subprocess.Popen) -> None:
        self.path = path
        self.process = process

    def containers(self) -> Dict[int, str]:
        """Processes that run in its directories, by their directories' names, those of the containers."""
        return {pid: directory for pid, directory in running_in(self.path / "local").items()}

    def vanish(self) -> None:
        """The node manager, its containers and its directories are gone at once."""
        self.process.kill()
        self.process.wait(30)
        kill_all(self.containers())
        shutil.rmtree(self.path / "local")
        shutil.rmtree(self.path / "logs")


def kill_all(pids: Iterable[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def running_in(directory: pathlib.Path) -> Dict[int, str]:
    found = {}
    for process in pathlib.Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            cwd = os.readlink(process / "cwd")
        except OSError:
            continue
        if cwd.startswith(f"{directory}/"):
            found[int(process.name)] = next((part for part in cwd.split("/") if part.startswith("container_")), "")
    return found


class Yarn:
    def __init__(self, hdfs: Hdfs, nodes: int = 3) -> None:
        self.hdfs = hdfs
        self.path = hdfs.path / "yarn"
        self.conf = self.path / "conf"
        self.count = nodes
        self.nodes: List[Node] = []
        self.processes: List[subprocess.Popen] = []
        self.web_port, self.zookeeper_port = free_port(), free_port()
        self.ports = {name: free_port() for name in ("address", "scheduler.address", "resource-tracker.address", "admin.address")}

    def site(self) -> Dict[str, str]:
        return {
            **{f"yarn.resourcemanager.{name}": f"localhost:{port}" for name, port in self.ports.items()},
            "yarn.resourcemanager.hostname": "localhost", "yarn.resourcemanager.webapp.address": f"localhost:{self.web_port}",
            "yarn.webapp.api-service.enable": "true", "hadoop.registry.zk.quorum": f"localhost:{self.zookeeper_port}",
            "yarn.scheduler.minimum-allocation-mb": "128", "yarn.scheduler.capacity.maximum-am-resource-percent": "1.0",
            "yarn.resourcemanager.placement-constraints.handler": "scheduler",
            "yarn.nm.liveness-monitor.expiry-interval-ms": str(EXPIRY_MS), "yarn.resourcemanager.nodemanagers.heartbeat-interval-ms": "500",
            "yarn.nodemanager.vmem-check-enabled": "false", "yarn.nodemanager.pmem-check-enabled": "false",
            "yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": "100",
            "yarn.nodemanager.disk-health-checker.min-free-space-per-disk-mb": "0",
            "yarn.nodemanager.resource.memory-mb": str(NODE_MEGABYTES), "yarn.nodemanager.resource.cpu-vcores": "8",
            "yarn.nodemanager.delete.debug-delay-sec": "600",
            "yarn.application.classpath": "$HADOOP_CONF_DIR", "yarn.service.framework.path": FRAMEWORK,
            "yarn.service.am-resource.memory": "384", "yarn.service.am.java.opts": " ".join(["-Xmx192m", *joined(OPENED)]),
        }

    def make_conf(self, conf: pathlib.Path, more: Dict[str, str]) -> None:
        shutil.copytree(self.hdfs.conf, conf)
        (conf / "yarn-site.xml").write_text(configuration({**self.site(), **more}), encoding="utf-8")
        (conf / "capacity-scheduler.xml").write_text(configuration({
            "yarn.scheduler.capacity.root.queues": "default", "yarn.scheduler.capacity.root.default.capacity": "100",
            "yarn.scheduler.capacity.maximum-am-resource-percent": "1.0",
            # Else the first node that is heard gets all containers.
            "yarn.scheduler.capacity.per-node-heartbeat.multiple-assignments-enabled": "false"}), encoding="utf-8")

    def start(self, name: str, conf: pathlib.Path, *words: str, megabytes: int) -> subprocess.Popen:
        environment = {**os.environ, "HADOOP_CONF_DIR": str(conf), "JAVA_HOME": java_home()}
        # Nothing of the test's own reaches a container.
        for variable in ("HADOOP_USER_NAME", "SAMOVAR_FILE_CACHE"):
            environment.pop(variable, None)
        with open(self.path / f"{name}.log", "ab") as log:
            process = subprocess.Popen(self.hdfs.java(conf, *words, megabytes=megabytes), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       env=environment)
        self.processes.append(process)
        return process

    def start_node(self, index: int) -> Node:
        path = self.path / f"node-{index}"
        # A name of its own: services count failures by nodes' names, and stop using a name with many.
        host = f"127.0.0.{index + 2}"
        more = {f"yarn.nodemanager.{name}": f"{host}:0"
                for name in ("address", "localizer.address", "collector-service.address", "webapp.address")}
        (path / "local").mkdir(parents=True, exist_ok=True)
        (path / "logs").mkdir(exist_ok=True)
        conf = path / "conf"
        if conf.exists():
            shutil.rmtree(conf)
        self.make_conf(conf, {**more, "yarn.nodemanager.hostname": host,
                              "yarn.nodemanager.local-dirs": str(path / "local"), "yarn.nodemanager.log-dirs": str(path / "logs")})
        process = self.start(f"node-{index}", conf, "org.apache.hadoop.yarn.server.nodemanager.NodeManager", megabytes=192)
        return Node(path, process)

    def put_framework(self) -> None:
        """The jars of a service's master, in HDFS, as `yarn app -enableFastLaunch` puts them there."""
        tarball = self.path / "service-dep.tar.gz"
        subprocess.run(["tar", "--create", "--use-compress-program=gzip -1", "--file", tarball, "--directory", self.hdfs.lib, "."], check=True)
        for words in (("-mkdir", "-p", str(pathlib.PurePosixPath(FRAMEWORK).parent)), ("-put", str(tarball), FRAMEWORK)):
            done = self.hdfs.client(*words)
            if done.returncode != 0:
                raise RuntimeError(done.stderr.decode(errors="replace"))
        tarball.unlink()

    def __enter__(self) -> "Yarn":
        # Also where a test is ended before its own end.
        atexit.register(self.__exit__)
        self.path.mkdir()
        self.make_conf(self.conf, {})
        (self.path / "zoo.cfg").write_text(
            f"tickTime=2000\ndataDir={self.path}/zookeeper\nclientPort={self.zookeeper_port}\nclientPortAddress=127.0.0.1\n"
            "admin.enableServer=false\n", encoding="ascii")
        try:
            self.start("zookeeper", self.conf, "org.apache.zookeeper.server.ZooKeeperServerMain", str(self.path / "zoo.cfg"), megabytes=64)
            self.put_framework()
            self.manager = self.start("resourcemanager", self.conf, "org.apache.hadoop.yarn.server.resourcemanager.ResourceManager", megabytes=384)
            self.nodes = [self.start_node(index) for index in range(self.count)]
            self.await_nodes(self.count)
        except BaseException:
            self.__exit__()
            raise
        return self

    def await_nodes(self, count: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while self.running_nodes() != count:
            if time.monotonic() > deadline or self.manager.poll() is not None:
                raise RuntimeError(f"YARN has {self.running_nodes()} nodes, not {count}:\n" + self.logs())
            time.sleep(0.3)

    def running_nodes(self) -> int:
        answer = self.get("/ws/v1/cluster/metrics")
        return -1 if answer is None else int(answer["clusterMetrics"]["activeNodes"])

    def get(self, path: str) -> Optional[Dict[str, Any]]:
        """An answer of the resource manager; None: it does not answer so."""
        try:
            with urllib.request.urlopen(f"http://localhost:{self.web_port}{path}", timeout=30) as response:
                return json.load(response)
        except (OSError, urllib.error.URLError, ValueError):
            return None

    def logs(self) -> str:
        return "\n".join(f"--- {path}\n{path.read_text(errors='replace')[-3000:]}" for path in sorted(self.path.glob("*.log")))

    def container_logs(self) -> str:
        return "\n".join(f"--- {path}\n{path.read_text(errors='replace')[-3000:]}"
                         for path in sorted(self.path.glob("node-*/logs/*/*/*")) if path.stat().st_size > 0)

    def __exit__(self, *_) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait(30)
        kill_all(running_in(self.path))
        shutil.rmtree(self.path, ignore_errors=True)


def joined(opened: List[str]) -> List[str]:
    """`--add-opens X` as one word each, "--add-opens=X"."""
    return [f"{opened[i]}={opened[i + 1]}" for i in range(0, len(opened), 2)]
