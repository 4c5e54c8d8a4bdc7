#!/usr/bin/env python3
"""What monitors see of a running cluster, and whether the status names what is wrong with it.

SAMOVAR_GRPCURL names grpcurl, SAMOVAR_TENSORBOARD a Python that has tensorboard; Prometheus and promtool are Debian's.
"""

import csv
import io
import json
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "chaos"))

import faults  # noqa: E402
import hosts  # noqa: E402
import lmdb_files  # noqa: E402
import testbed  # noqa: E402
from testbed import COMMAND_SECONDS, END_SECONDS, RUN_SECONDS, Cluster  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MONITORING = ROOT / "deploy" / "monitoring"


# The part of gRPC's health protocol that is used here.
HEALTH = """syntax = "proto3";
package grpc.health.v1;
message HealthCheckRequest { string service = 1; }
message HealthCheckResponse {
  enum ServingStatus { UNKNOWN = 0; SERVING = 1; NOT_SERVING = 2; SERVICE_UNKNOWN = 3; }
  ServingStatus status = 1;
}
service Health { rpc Check(HealthCheckRequest) returns (HealthCheckResponse); }
"""


PYTHON_CLIENT = """
import json, sys
from samovar import Client
with Client(sys.argv[1]) as client:
    status = client.status()
    job = status.jobs[0]
    later = next(news.jobs[0].iteration for news in client.watch_status(0.2) if news.jobs and news.jobs[0].iteration > job.iteration)
    curve = [t for block in client.history("small", max_points=0) for t in block.iterations][:100]
    print(json.dumps({"workers": sorted(worker.name for worker in status.workers), "rate": job.images_per_second,
                      "iteration": job.iteration, "later": later, "curve": curve}))
"""


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=COMMAND_SECONDS) as answer:
        return answer.read().decode("utf-8")


class MonitoringCase(testbed.TestCase):
    def setUp(self):
        super().setUp()
        self.workspace.write_solver(max_iter=10000000, test_interval=1000000, snapshot=2000)

    def status(self, address: str) -> dict:
        return json.loads(self.workspace.check("status", address, "--json"))

    def await_status(self, address: str, such_that, seconds: float = RUN_SECONDS) -> dict:
        """The first status that is so, and the seconds that it took."""
        begun = time.monotonic()
        while True:
            status = self.status(address)
            if such_that(status):
                return status
            self.assertLess(time.monotonic() - begun, seconds, json.dumps(status, indent=1))
            time.sleep(0.1)


class PrometheusTest(MonitoringCase):
    def ask(self, url: str, query: str) -> list:
        answer = json.loads(get(f"{url}/api/v1/query?{urllib.parse.urlencode({'query': query})}"))
        self.assertEqual(answer["status"], "success", answer)
        return answer["data"]["result"]

    def test_a_real_prometheus_scrapes_a_cluster_and_answers_queries(self):
        page = f"127.0.0.1:{testbed.free_port()}"
        with Cluster(self.workspace, flags=("--http", page)) as cluster:
            cluster.submit("--name", "small")
            self.await_status(cluster.address, lambda status: float(status["jobs"][0]["images_per_second"]) > 0)
            config = (MONITORING / "prometheus.yml").read_text(encoding="utf-8")
            self.assertIn("127.0.0.1:7180", config)
            config = config.replace("127.0.0.1:7180", page).replace("scrape_interval: 5s", "scrape_interval: 1s")
            (self.workspace.path / "prometheus.yml").write_text(config, encoding="utf-8")
            shutil.copy(MONITORING / "alerts.yml", self.workspace.path)
            url = f"127.0.0.1:{testbed.free_port()}"
            with open(self.workspace.path / "prometheus.log", "wb") as log:
                prometheus = subprocess.Popen(
                    ["prometheus", "--config.file=prometheus.yml", f"--web.listen-address={url}", "--storage.tsdb.path=tsdb"],
                    cwd=self.workspace.path, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            try:
                self.query(f"http://{url}")
            finally:
                prometheus.terminate()
                prometheus.wait(END_SECONDS)

    def query(self, url: str) -> None:
        wanted = {
            "rate(samovar_cluster_worker_records_total[10s])": 2,
            "samovar_cluster_worker_images_per_second": 2,
            "rate(samovar_cluster_server_received_bytes_total[10s])": 2,
            "samovar_job_images_per_second": 1,
            'samovar_cluster_worker_staleness_updates{quantile="0.99"}': 2,
            "histogram_quantile(0.5, samovar_job_staleness_iterations_bucket)": 1,
        }
        deadline = time.monotonic() + RUN_SECONDS
        for query, results in wanted.items():
            found = []
            while len(found) != results or any(float(entry["value"][1]) <= 0 and "quantile" not in query for entry in found):
                self.assertLess(time.monotonic(), deadline, f"{query}: {found}")
                time.sleep(0.2)
                try:
                    found = self.ask(url, query)
                except OSError:
                    continue
            print(f"  {query}: {[(entry['metric'], entry['value'][1]) for entry in found]}")

    def test_promtool_accepts_the_metrics_of_each_process_and_the_rules(self):
        with Cluster(self.workspace) as cluster:
            cluster.submit("--name", "small")
            status = self.await_status(cluster.address, lambda now: len(now.get("workers", [])) == 2 and len(now["servers"]) == 2)
            for member in status["servers"] + status["workers"]:
                text = get(f"http://{member['http']}/metrics")
                checked = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True,
                                         timeout=COMMAND_SECONDS, check=False)
                self.assertEqual((checked.returncode, checked.stderr), (0, ""), text)
                self.assertEqual(get(f"http://{member['http']}/healthz"), "ok\n")
                self.assertEqual(get(f"http://{member['http']}/readyz"), "ready\n")
        rules = subprocess.run(["promtool", "check", "rules", str(MONITORING / "alerts.yml")], text=True, capture_output=True,
                               timeout=COMMAND_SECONDS, check=False)
        self.assertEqual(rules.returncode, 0, rules.stdout + rules.stderr)
        # The dashboard and the rules ask for metrics that there are.
        for name in sorted(set(self.metrics_in(MONITORING / "grafana_dashboard.json") + self.metrics_in(MONITORING / "alerts.yml"))):
            self.assertIn(name, (ROOT / "server" / "monitor" / "cluster_metrics.cc").read_text(encoding="utf-8"))

    def metrics_in(self, path: pathlib.Path) -> list:
        names = re.findall(r"samovar_[a-z_]+", path.read_text(encoding="utf-8"))
        self.assertTrue(names)
        return [name[:-len("_bucket")] if name.endswith("_bucket") else name for name in names]


class StandardsTest(MonitoringCase):
    def grpcurl(self, *arguments: str) -> str:
        done = subprocess.run([os.environ["SAMOVAR_GRPCURL"], "-plaintext", *arguments], text=True, capture_output=True,
                              timeout=COMMAND_SECONDS, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_grpcurl_reads_a_live_job_without_a_file_of_ours(self):
        with Cluster(self.workspace) as cluster:
            cluster.submit("--name", "small")
            self.await_status(cluster.address, lambda status: int(status["jobs"][0]["iteration"]) > 10)
            services = self.grpcurl(cluster.address, "list").split()
            for service in ("CoordinatorService", "JobService", "ParameterService", "StatusService"):
                self.assertIn(f"samovar.v1.{service}", services)
            status = json.loads(self.grpcurl(cluster.address, "samovar.v1.StatusService/GetStatus"))
            self.assertEqual(status["jobs"][0]["job_id"], "small")
            self.assertGreater(float(status["jobs"][0]["images_per_second"]), 0)
            server = next(server["address"] for server in status["servers"] if server["address"] != cluster.address)
            own = json.loads(self.grpcurl(server, "samovar.v1.StatusService/GetStatus"))
            self.assertEqual([entry["address"] for entry in own["servers"]], [server])
            # gRPC's own service is not among those that reflection names.
            (self.workspace.path / "health.proto").write_text(HEALTH, encoding="utf-8")
            for service in ("", "samovar.v1.JobService"):
                health = self.grpcurl("-import-path", str(self.workspace.path), "-proto", "health.proto",
                                      "-d", json.dumps({"service": service}), cluster.address, "grpc.health.v1.Health/Check")
                self.assertEqual(json.loads(health), {"status": "SERVING"})

    def test_a_python_client_reads_a_live_job(self):
        with Cluster(self.workspace) as cluster:
            cluster.submit("--name", "small")
            self.await_status(cluster.address, lambda status: float(status["jobs"][0]["images_per_second"]) > 0)
            # Debian's packages of gRPC are for its own interpreter.
            done = subprocess.run(["/usr/bin/python3", "-B", "-c", PYTHON_CLIENT, cluster.address], text=True, capture_output=True,
                                  timeout=COMMAND_SECONDS, check=False, env={**os.environ, "PYTHONPATH": str(ROOT / "deploy" / "spark")})
            self.assertEqual(done.returncode, 0, done.stderr)
            read = json.loads(done.stdout)
            self.assertEqual(read["workers"], ["worker-1", "worker-2"])
            self.assertGreater(read["rate"], 0)
            self.assertGreater(read["later"], read["iteration"])
            self.assertEqual(read["curve"], list(range(len(read["curve"]))))

    def test_a_worker_of_another_version_is_named(self):
        with Cluster(self.workspace) as cluster:
            join = {"name": "old-worker", "version": "0.0.1", "host": "node-9"}
            for _ in range(3):
                done = subprocess.run([os.environ["SAMOVAR_GRPCURL"], "-plaintext", "-d", json.dumps(join), cluster.address,
                                       "samovar.v1.CoordinatorService/Join"], text=True, capture_output=True, timeout=COMMAND_SECONDS,
                                      check=False)
                self.assertIn("install the same release on all machines", done.stderr)
            problems = self.status(cluster.address)["problems"]
            self.assertRegex(problems[0], r"worker old-worker on node-9, \d+ s ago: was refused: .*0\.0\.1.*\(3 times\)")


# Prints what TensorBoard's own reader finds in a directory: for each tag a list of step, value and wall time.
READER = """
import json, sys
from tensorboard.backend.event_processing import event_accumulator
events = event_accumulator.EventAccumulator(sys.argv[1], size_guidance={event_accumulator.TENSORS: 0, event_accumulator.SCALARS: 0})
events.Reload()
tags = events.Tags()
found = {tag: [(event.step, event.value, event.wall_time) for event in events.Scalars(tag)] for tag in tags["scalars"]}
for tag in tags["tensors"]:
    from tensorboard.util import tensor_util
    found[tag] = [(event.step, float(tensor_util.make_ndarray(event.tensor_proto)), event.wall_time) for event in events.Tensors(tag)]
print(json.dumps(found))
"""


class TensorBoardTest(testbed.TestCase):
    """TensorBoard reads what `--tensorboard` has written, and every value is that of `samovar history --csv`."""

    def read(self, directory: str) -> dict:
        done = subprocess.run([os.environ["SAMOVAR_TENSORBOARD"], "-c", READER, str(self.workspace.path / directory)], text=True,
                              capture_output=True, timeout=COMMAND_SECONDS, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def await_bytes(self, least: int) -> int:
        """The size of the only event file, once it has so many bytes."""
        deadline = time.monotonic() + RUN_SECONDS
        while True:
            sizes = [path.stat().st_size for path in (self.workspace.path / "run").glob("events.out.tfevents.*")]
            if sizes and sizes[0] >= least:
                return sizes[0]
            self.assertLess(time.monotonic(), deadline, sizes)
            time.sleep(0.1)

    def of_csv(self, text: str) -> dict:
        """For each tag the steps and values."""
        found = {}
        for row in csv.DictReader(io.StringIO(text)):
            for column, value in row.items():
                if value and column not in ("iteration", "seconds"):
                    tag = column.replace(" ", "/", 1) if column.startswith(("train ", "test")) else column
                    found.setdefault(tag, []).append((int(row["iteration"]), float(value)))
        return found

    def assert_same(self, read: dict, csv_text: str) -> None:
        wanted = self.of_csv(csv_text)
        for tag in ("loss", "learning_rate", "images_per_second", "train/loss", "test0/accuracy"):
            self.assertIn(tag, wanted)
        self.assertEqual(set(read), set(wanted))
        for tag, points in wanted.items():
            self.assertEqual([step for step, _, _ in read[tag]], [step for step, _ in points], tag)
            # The CSV has one decimal of it; of all else it has the digits that are read back as the same float.
            near = 0.051 if tag == "images_per_second" else 0
            for (step, value, wall), (_, told) in zip(read[tag], points):
                as_float = struct.unpack("f", struct.pack("f", told))[0]
                self.assertLessEqual(abs(value - as_float), near, f"{tag} at {step}")
                self.assertLess(abs(wall - time.time()), 3600)

    def test_the_whole_curve_of_a_job_and_one_that_is_followed(self):
        self.workspace.write_solver(max_iter=1500, snapshot=500, test_interval=500)
        with Cluster(self.workspace) as cluster:
            cluster.submit("--name", "small", "--watch", "--tensorboard", "followed")
            table = self.workspace.check("history", "small", cluster.address, "--csv")
            written = self.workspace.check("history", "small", cluster.address, "--tensorboard", "whole")
            self.assertRegex(written, r"^written: .*whole/events\.out\.tfevents\.\d{10}\.")
            self.workspace.check("watch", "small", cluster.address, "--tensorboard", "late")
            # Once more into the same directory: TensorBoard reads it once.
            self.workspace.check("history", "small", cluster.address, "--tensorboard", "whole")
        for directory in ("whole", "followed", "late"):
            with self.subTest(directory):
                self.assert_same(self.read(directory), table)

    def test_a_run_that_grows_and_goes_on_in_the_same_directory(self):
        self.workspace.write_solver(max_iter=1000000, snapshot=100, test_interval=200)
        with testbed.Run(self.workspace, "--tensorboard", "run") as run:
            # It grows while the run goes on.
            self.await_bytes(self.await_bytes(20000) + 1)
            run.signal(signal.SIGTERM)
            run.await_exit(END_SECONDS)
        first = self.read("run")["loss"]
        last = first[-1][0]
        self.assertEqual([step for step, _, _ in first], list(range(last + 1)))
        self.workspace.write_solver(max_iter=last + 200, snapshot=100, test_interval=200)
        with testbed.Run(self.workspace, "--tensorboard", "run", "--resume") as run:
            self.assertEqual(run.await_exit(), 0)
        self.assertEqual(len(list((self.workspace.path / "run").iterdir())), 2)
        both = self.read("run")
        self.assertEqual([step for step, _, _ in both["loss"]], list(range(last + 200)))
        # The run's own file has fewer points of a long run.
        told = self.of_csv((self.workspace.path / "out" / "small_state" / "history.csv").read_text(encoding="utf-8"))
        for tag in ("loss", "train/loss", "test0/accuracy"):
            values = {step: value for step, value, _ in both[tag]}
            for step, value in told[tag]:
                self.assertEqual(values[step], struct.unpack("f", struct.pack("f", value))[0], f"{tag} at {step}")

    def test_a_directory_that_is_not_of_this_machine_or_cannot_be_made(self):
        self.workspace.write_solver(max_iter=100)
        refused = self.workspace.command("train", "solver.prototxt", "--tensorboard", "hdfs:///runs")
        self.assertEqual(refused.returncode, 2)
        self.assertIn("--tensorboard", refused.stderr)
        refused = self.workspace.command("train", "solver.prototxt", "--tensorboard", "solver.prototxt/runs")
        self.assertEqual(refused.returncode, 2, refused.stderr)
        self.assertIn("solver.prototxt", refused.stderr)


class DiagnosisTest(MonitoringCase):
    """For each fault: the status names the culprit, and after how many seconds. Three servers would hide nothing that two show."""

    def named(self, cluster: Cluster, fault: str, culprit: str, *words: str, seconds: float) -> None:
        begun = time.monotonic()
        found = self.await_status(cluster.address, lambda status: any(
            culprit in problem and all(word in problem for word in words) for problem in status.get("problems", [])),
            seconds=seconds * testbed.TIME_FACTOR)
        problem = next(problem for problem in found["problems"] if culprit in problem)
        print(f"  {fault}: after {time.monotonic() - begun:.1f} s: {problem}")
        table = self.workspace.check("status", cluster.address)
        self.assertRegex(table.split("\nservers\n")[0], f"problems\n(?s:.*){re.escape(culprit)}")

    def begin(self, cluster: Cluster) -> None:
        cluster.submit("--name", "small")
        self.await_status(cluster.address, lambda status: float(status["jobs"][0]["images_per_second"]) > 0
                          and not status.get("problems"))

    def await_unready(self, member: str, deadline: float) -> str:
        while True:
            try:
                get(f"http://{member}/readyz")
            except urllib.error.HTTPError as error:
                return error.read().decode("utf-8")
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)

    def test_nothing_is_wrong_with_a_cluster_that_works(self):
        with Cluster(self.workspace) as cluster:
            self.begin(cluster)
            for _ in range(20):
                self.assertEqual(self.status(cluster.address).get("problems", []), [])
                time.sleep(0.1)

    def test_a_stopped_worker(self):
        with Cluster(self.workspace) as cluster:
            self.begin(cluster)
            cluster.workers[1].send_signal(signal.SIGSTOP)
            self.named(cluster, "stopped worker", "worker-2", "silent", seconds=30)

    def test_a_killed_worker(self):
        with Cluster(self.workspace) as cluster:
            self.begin(cluster)
            cluster.workers[1].kill()
            self.named(cluster, "killed worker", "worker-2", "silent", seconds=30)

    def test_a_worker_with_a_twentieth_of_a_processor(self):
        with Cluster(self.workspace) as cluster:
            self.begin(cluster)
            ended = threading.Event()

            def hold_back() -> None:
                while not ended.is_set():
                    cluster.workers[1].send_signal(signal.SIGSTOP)
                    ended.wait(0.19)
                    cluster.workers[1].send_signal(signal.SIGCONT)
                    ended.wait(0.01)

            holder = threading.Thread(target=hold_back)
            holder.start()
            try:
                self.named(cluster, "slow worker", "worker-2", "slow", seconds=60)
                self.assertNotIn("worker-1", " ".join(self.status(cluster.address)["problems"]))
            finally:
                ended.set()
                holder.join()

    def test_a_stopped_server(self):
        with Cluster(self.workspace) as cluster:
            self.begin(cluster)
            server = next(server["address"] for server in self.status(cluster.address)["servers"]
                          if server["address"] != cluster.address)
            cluster.servers[0].send_signal(signal.SIGSTOP)
            self.named(cluster, "stopped server", server, "silent", seconds=30)
            status = self.await_status(cluster.address, lambda now: float(now["jobs"][0]["images_per_second"]) == 0)
            self.assertEqual(float(status["jobs"][0]["eta_seconds"]), 0)

    def test_a_killed_server(self):
        with Cluster(self.workspace) as cluster:
            self.begin(cluster)
            server = next(server["address"] for server in self.status(cluster.address)["servers"]
                          if server["address"] != cluster.address)
            cluster.servers[0].kill()
            self.named(cluster, "killed server", server, "silent", seconds=30)

    def with_another_view(self, fault: str, mount: str, *words: str) -> None:
        """One worker, called "blind", sees something else where the job's records are."""
        with Cluster(self.workspace, workers=1) as cluster:
            data = self.workspace.path / "train_lmdb"
            self.assertTrue(data.exists(), self.workspace.entries())
            hidden = ["unshare", "--mount", "sh", "-c", f'mount {mount} "{data}" && exec "$@"', "sh"]
            probe = subprocess.run([*hidden, "true"], capture_output=True, check=False, timeout=COMMAND_SECONDS)
            if probe.returncode != 0:
                self.skipTest("only root may hide a directory")
            with open(self.workspace.path / "hidden.log", "wb") as log:
                blind = subprocess.Popen([*hidden, testbed.program("samovar-worker"), "--coordinator", cluster.address, "--name", "blind"],
                                         cwd=self.workspace.path, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            try:
                self.await_status(cluster.address, lambda status: len(status.get("workers", [])) == 2)
                cluster.submit("--name", "small")
                self.named(cluster, fault, "blind", "train_lmdb", *words, seconds=30)
            finally:
                blind.kill()
                blind.wait(END_SECONDS)

    def test_a_wrong_path_on_one_worker(self):
        self.with_another_view("wrong path", "-t tmpfs none")

    def test_other_data_on_one_worker(self):
        if lmdb_files.library() is None:
            self.skipTest("no LMDB to write with")
        other = self.workspace.path / "other_lmdb"
        records = lmdb_files.read(self.workspace.path / "train_lmdb")
        lmdb_files.write(other, dict(list(records.items())[1:]))
        self.with_another_view("other data", f'--bind "{other}"', "records")

    def test_a_damaged_record(self):
        if lmdb_files.library() is None:
            self.skipTest("no LMDB to write with")
        data = self.workspace.path / "train_lmdb"
        records = lmdb_files.read(data)
        damaged = list(records)[len(records) // 2]
        records[damaged] = b"\xff" * 20
        shutil.rmtree(data)
        lmdb_files.write(data, records)
        with Cluster(self.workspace) as cluster:
            cluster.submit("--name", "small")
            self.named(cluster, "damaged record", damaged.decode(), "train_lmdb", seconds=60)

    def test_a_dead_coordinator(self):
        with Cluster(self.workspace) as cluster:
            self.begin(cluster)
            worker = self.status(cluster.address)["workers"][0]["http"]
            watch = subprocess.Popen([testbed.program("samovar"), "watch", "small", cluster.address], cwd=self.workspace.path,
                                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            lines = []
            reader = threading.Thread(target=lambda: lines.extend(watch.stdout))
            reader.start()
            try:
                deadline = time.monotonic() + 30 * testbed.TIME_FACTOR
                while not lines:
                    self.assertLess(time.monotonic(), deadline, "the watch shows nothing")
                    time.sleep(0.05)
                cluster.coordinator.kill()
                begun = time.monotonic()
                done = self.workspace.command("status", cluster.address)
                print(f"  dead coordinator, status: after {time.monotonic() - begun:.1f} s: {done.stderr.strip()}")
                self.assertEqual(done.returncode, 1)
                self.assertIn(f"no coordinator answers at {cluster.address}", done.stderr)
                self.assertIn("look whether samovar-server --coordinator runs there", done.stderr)
                deadline = begun + 30 * testbed.TIME_FACTOR
                while not any("no news" in line for line in lines):
                    self.assertLess(time.monotonic(), deadline, lines)
                    time.sleep(0.1)
                said = next(line for line in lines if "no news" in line)
                print(f"  dead coordinator, watch: after {time.monotonic() - begun:.1f} s: {said.strip()}")
                self.assertIn(cluster.address, said)
                unready = self.await_unready(worker, deadline)
                print(f"  dead coordinator, a worker's /readyz: after {time.monotonic() - begun:.1f} s: {unready.strip()}")
                self.assertIn(f"coordinator {cluster.address} does not answer", unready)
            finally:
                watch.kill()
                watch.wait(END_SECONDS)
                reader.join(END_SECONDS)

    def test_a_full_disk(self):
        disk = self.workspace.path / "server-1"
        disk.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", str(disk)], check=False, capture_output=True).returncode != 0:
            self.skipTest("only root may mount")
        try:
            with Cluster(self.workspace) as cluster:
                self.workspace.write_solver(max_iter=10000000, test_interval=1000000, snapshot=200)
                self.begin(cluster)
                server = next(server["address"] for server in self.status(cluster.address)["servers"]
                              if server["address"] != cluster.address)
                try:
                    with open(disk / "filler", "wb") as file:
                        while True:
                            file.write(bytes(4096))
                            file.flush()
                except OSError:
                    pass
                self.named(cluster, "full disk", server, seconds=60)
                self.named(cluster, "full disk, a snapshot", server, "could not be written", seconds=60)
                # And in that server's own log.
                self.assertRegex(cluster.log(), "the snapshot at iteration [0-9]+ could not be written")
                logs = self.workspace.check("logs", cluster.address, "--server", server)
                self.assertRegex(logs, "W job small: the snapshot at iteration [0-9]+ could not be written")
        finally:
            subprocess.run(["umount", str(disk)], check=False)


class CutTest(MonitoringCase):
    def test_a_network_that_is_cut_between_one_worker_and_one_server(self):
        reason = "only root can make namespaces" if os.geteuid() != 0 else hosts.why_not()
        if reason:
            self.skipTest(reason)
        with faults.Cluster(pathlib.Path(testbed.program("samovar")).parent.parent, self.workspace.path) as cluster:
            cluster.submit("solver", [])
            address = f"coordinator:{faults.PORT}"

            def await_status(such_that, seconds: float) -> dict:
                deadline = time.monotonic() + seconds * testbed.TIME_FACTOR
                while True:
                    done = cluster.samovar("status", address, "--json")
                    status = json.loads(done.stdout) if done.returncode == 0 else {}
                    if status and such_that(status):
                        return status
                    self.assertLess(time.monotonic(), deadline, json.dumps(status, indent=1))
                    time.sleep(0.1)

            await_status(lambda status: int(status["jobs"][0]["iteration"]) > 50 and not status.get("problems"), RUN_SECONDS)
            server = cluster.address("server-1")
            cluster.cut("worker-1", "server-1")
            begun = time.monotonic()

            def culprit(problem: str) -> bool:
                return "worker-1" in problem and f"no answer from server {server}" in problem

            status = await_status(lambda status: any(culprit(problem) for problem in status.get("problems", [])), 30)
            problem = next(problem for problem in status["problems"] if culprit(problem))
            print(f"  network cut: after {time.monotonic() - begun:.1f} s: {problem}")
            self.assertNotIn("worker-2", " ".join(status["problems"]))
            cluster.mend()
            await_status(lambda status: not any(culprit(problem) for problem in status.get("problems", [])), 60)


if __name__ == "__main__":
    unittest.main()
