"""A real HDFS on loopback: a namenode and two datanodes, each in a Java of its own, and Hadoop's own client.

SAMOVAR_HADOOP_LIB is the directory of Hadoop's jars. Use it in a `with`; only processes that it started are ended.
"""

import atexit
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from typing import Dict, List, Optional

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
from testbed import free_port  # noqa: E402

OPENED = [word for package in ("lang", "lang.reflect", "io", "net", "nio", "util", "util.concurrent")
          for word in ("--add-opens", f"java.base/java.{package}=ALL-UNNAMED")] + ["--add-opens", "java.base/sun.nio.ch=ALL-UNNAMED"]
START_SECONDS = 120
LOGGING = """log4j.rootLogger=WARN, stderr
log4j.appender.stderr=org.apache.log4j.ConsoleAppender
log4j.appender.stderr.target=System.err
log4j.appender.stderr.layout=org.apache.log4j.PatternLayout
log4j.appender.stderr.layout.ConversionPattern=%d %p %c: %m%n
"""


def configuration(properties: Dict[str, str]) -> str:
    lines = [f"<property><name>{name}</name><value>{value}</value></property>" for name, value in properties.items()]
    return "<configuration>\n" + "\n".join(lines) + "\n</configuration>\n"


class Hdfs:
    def __init__(self, datanodes: int = 2) -> None:
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="samovar_hdfs_"))
        self.conf = self.path / "conf"
        self.conf.mkdir()
        self.rpc_port, self.web_port = free_port(), free_port()
        self.datanodes = datanodes
        self.processes: List[subprocess.Popen] = []
        self.lib = os.environ["SAMOVAR_HADOOP_LIB"]
        (self.conf / "core-site.xml").write_text(configuration(self.core()), encoding="utf-8")
        (self.conf / "hdfs-site.xml").write_text(configuration(self.site()), encoding="utf-8")
        (self.conf / "log4j.properties").write_text(LOGGING, encoding="utf-8")
        # The daemons want the directories of their pages, which the jars do not have.
        for daemon in ("hdfs", "datanode"):
            (self.conf / "webapps" / daemon).mkdir(parents=True)

    def core(self) -> Dict[str, str]:
        return {"fs.defaultFS": f"hdfs://localhost:{self.rpc_port}", "hadoop.tmp.dir": str(self.path / "tmp")}

    def site(self) -> Dict[str, str]:
        return {
            "dfs.namenode.http-address": f"localhost:{self.web_port}", "dfs.namenode.name.dir": f"file://{self.path}/name",
            "dfs.replication": "2", "dfs.namenode.safemode.extension": "0", "dfs.datanode.hostname": "localhost",
            "dfs.namenode.datanode.registration.ip-hostname-check": "false", "dfs.permissions.enabled": "true",
            "dfs.client.use.datanode.hostname": "true",
        }

    def java(self, conf: pathlib.Path, *words: str, megabytes: int = 256) -> List[str]:
        return ["java", f"-Xmx{megabytes}m", *OPENED, "-cp", f"{conf}:{self.lib}/*", *words]

    def start(self, name: str, conf: pathlib.Path, main: str) -> subprocess.Popen:
        with open(self.path / f"{name}.log", "ab") as log:
            process = subprocess.Popen(self.java(conf, main), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def start_datanode(self, index: int) -> subprocess.Popen:
        conf = self.path / f"conf-{index}"
        if not conf.exists():
            shutil.copytree(self.conf, conf)
            ports = {f"dfs.datanode.{kind}address": f"localhost:{free_port()}" for kind in ("", "http.", "ipc.")}
            (conf / "hdfs-site.xml").write_text(configuration({**self.site(), **ports, "dfs.datanode.data.dir": f"file://{self.path}/data-{index}"}),
                                                encoding="utf-8")
        return self.start(f"datanode-{index}", conf, "org.apache.hadoop.hdfs.server.datanode.DataNode")

    def __enter__(self) -> "Hdfs":
        # Also where a test is ended before its own end.
        atexit.register(self.__exit__)
        format_it = self.java(self.conf, "org.apache.hadoop.hdfs.server.namenode.NameNode", "-format", "-force", "-nonInteractive")
        subprocess.run(format_it, check=True, capture_output=True, timeout=START_SECONDS)
        self.namenode = self.start("namenode", self.conf, "org.apache.hadoop.hdfs.server.namenode.NameNode")
        self.data = [self.start_datanode(index) for index in range(self.datanodes)]
        deadline = time.monotonic() + START_SECONDS
        while True:
            done = self.client("-touchz", "/started")
            live = self.run("org.apache.hadoop.hdfs.tools.DFSAdmin", "-report", "-live") if done.returncode == 0 else None
            if live is not None and f"Live datanodes ({self.datanodes})".encode() in live.stdout:
                self.client("-rm", "/started")
                return self
            if time.monotonic() > deadline or self.namenode.poll() is not None:
                log = (self.path / "namenode.log").read_text(errors="replace")[-3000:]
                self.__exit__()
                raise RuntimeError(f"HDFS did not start: {done.stderr.decode(errors='replace')[-2000:]}\n{log}")
            time.sleep(0.5)

    def __exit__(self, *_) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait(30)
        shutil.rmtree(self.path, ignore_errors=True)

    def run(self, main: str, *words: str) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(self.java(self.conf, main, *words), stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=120)

    def client(self, *words: str) -> "subprocess.CompletedProcess[bytes]":
        """`hdfs dfs WORDS`."""
        return self.run("org.apache.hadoop.fs.FsShell", *words)

    def read(self, path: str) -> Optional[bytes]:
        done = self.client("-cat", path)
        if done.returncode != 0 and b"No such file" in done.stderr:
            return None
        if done.returncode != 0:
            raise RuntimeError(done.stderr.decode(errors="replace"))
        return done.stdout

    def sizes(self, path: str) -> Dict[str, int]:
        done = self.client("-ls", path)
        sizes = {}
        for line in done.stdout.decode().splitlines():
            words = line.split(None, 7)
            # Mode, replicas, owner, group, bytes, day, time, path. A "." begins the names of files that are being written.
            if len(words) == 8 and words[0].startswith("-"):
                name = words[7].rsplit("/", 1)[1]
                if not name.startswith("."):
                    sizes[name] = int(words[4])
        return sizes

    def written(self, path: str) -> int:
        """Bytes of the files in a directory that are being written under another name, as the namenode knows them."""
        url = f"http://localhost:{self.web_port}/webhdfs/v1{path}?op=LISTSTATUS&user.name={os.environ['HADOOP_USER_NAME']}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                files = json.load(answer)["FileStatuses"]["FileStatus"]
        except urllib.error.HTTPError:
            return 0
        return sum(file["length"] for file in files if file["pathSuffix"].startswith("."))
