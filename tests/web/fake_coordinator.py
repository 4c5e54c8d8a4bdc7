"""A coordinator of 200 workers and 16 servers that there are not: it serves the committed bundle and answers as server/monitor does."""

import http.server
import json
import math
import pathlib
import threading
import time
import urllib.parse

BUNDLE = pathlib.Path(__file__).resolve().parent.parent.parent / "server" / "dashboard" / "bundle"
TYPES = {"index.html": "text/html; charset=utf-8", "app.js": "text/javascript; charset=utf-8", "app.css": "text/css; charset=utf-8"}
POLICY = "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'"

# Whatever a name holds, it is text.
BAD_NAME = "<img src=x onerror=\"document.title='harm'\"> & \u202e, #%"


class FakeCoordinator:
    """Use it in a `with`. Figures change with each answer, as a cluster's do."""

    def __init__(self, workers: int = 200, servers: int = 16, jobs: int = 3, troubled: bool = True) -> None:
        self._sizes = (workers, servers, jobs)
        self._troubled = troubled
        self._begun = time.time()
        self.answers = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *_) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> "FakeCoordinator":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(30)

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        parsed = urllib.parse.urlsplit(request.path)
        query = dict(urllib.parse.parse_qsl(parsed.query))
        pages = {"/api/v1/status": self._status, "/api/v1/history": lambda: self._history(query), "/api/v1/events": lambda: self._events(query)}
        name = parsed.path.lstrip("/") or "index.html"
        if parsed.path in pages:
            body, kind, code = json.dumps(pages[parsed.path]()).encode(), "application/json", 200
        elif (BUNDLE / name).is_file():
            body, kind, code = (BUNDLE / name).read_bytes(), TYPES.get(name, "text/plain"), 200
        else:
            body, kind, code = b"there is no such page\n", "text/plain", 404
        request.send_response(code)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(body)))
        request.send_header("Content-Security-Policy", POLICY)
        request.end_headers()
        request.wfile.write(body)

    def _now(self) -> float:
        return time.time() - self._begun

    def _status(self) -> dict:
        self.answers += 1
        workers, servers, jobs = self._sizes
        now_ms = int(1000 * time.time())
        bad = self._troubled
        status = {
            "version": "0.2.0", "coordinator": "10.0.0.4:7100", "epoch": "3", "uptime_seconds": 86000 + self._now(), "unix_ms": str(now_ms),
            "workers": [self._worker(i, now_ms) for i in range(workers)], "servers": [self._server_status(i, now_ms) for i in range(servers)],
            "jobs": [self._job(i, now_ms) for i in range(jobs)], "problems": [], "lost": []}
        if bad:
            status["problems"] = [
                "job imagenet-0: snapshot at iteration 4000: server 10.0.1.3:7101: no space left on device",
                "server 10.0.1.3:7101: its disk is nearly full, 12 MB of 64000 MB are free",
                f"worker {BAD_NAME} (17) failed 4 s ago: train_lmdb: no such file or directory; is the path the same on each machine?",
                "worker worker-23 (23) on node-23 is slow: 12.1 images/s while it works, others 240; it gets 5 % of the processors that its 2 threads could use"]
            status["lost"] = [{"name": "worker worker-9 (4)", "host": "node-9", "lost_unix_ms": str(now_ms - 40000), "reason": "has been silent for 6 s", "times": "1"}]
        return status

    def _worker(self, i: int, now_ms: int) -> dict:
        wave = 0.5 + 0.5 * math.sin(i + self._now())
        bad = self._troubled
        slow, failing = bad and i == 23, bad and i == 17
        return {
            "worker_id": str(i), "name": BAD_NAME if failing else f"worker-{i}", "pid": str(1000 + i), "threads": 2, "isa": "x86-64-v3", "silent_seconds": 0.1 + 0.1 * wave,
            "leases": [f"imagenet-{i % 2}: train {4000 + 8 * i}..{4008 + 8 * i}"], "iterations_done": str(100 * i), "version": "0.2.0", "host": f"node-{i}",
            "joined_unix_ms": str(now_ms - 3600000 + 1000 * i), "state": "failing: train_lmdb: no such file or directory" if failing else "computes",
            "rate_seconds": 10, "images_per_second": 12 if slow else 200 + 50 * wave, "compute_share": 0.55 + 0.2 * wave, "feed_wait_share": 0.05, "push_wait_share": 0.04,
            "pull_wait_share": 0.1, "prepare_share": 0, "test_share": 0.01, "cpu_share": 0.05 if slow else 0.9,
            "straggler": "slow: 12.1 images/s while it works, others 240; it gets 5 % of the processors that its 2 threads could use" if slow else "",
            "last_error": "train_lmdb: no such file or directory" if failing else "", "last_error_unix_ms": str(now_ms - 4000 if failing else 0), "errors": "5" if failing else "0",
            "figures": {"resident_bytes": "734003200", "cache_bytes": "2400000000", "staleness_p50": str(i % 4), "staleness_p99": "9", "staleness_max": "31",
                        "staleness_pushes": "0" if i % 10 == 9 else "5000"}}

    def _server_status(self, i: int, now_ms: int) -> dict:
        wave = 0.5 + 0.5 * math.sin(i + self._now())
        bad = self._troubled and i == 3
        return {
            "address": f"10.0.1.{i}:7101", "apply_threads": 4, "silent_seconds": 0.3 * wave, "version": "0.2.0", "host": f"head-{i}", "gone": False, "rate_seconds": 10,
            "pushes_per_second": 5000 + 900 * wave, "pulls_per_second": 5100 + 900 * wave, "received_bytes_per_second": 9e7 + 1e7 * wave, "sent_bytes_per_second": 1.1e8,
            "apply_load": 1 + 2 * wave, "joined_unix_ms": str(now_ms - 7200000 + 60000 * i),
            "figures": {"queued_tasks": str(int(8 * wave)), "chunks": 480, "parameter_bytes": "244000000", "max_parameter_bytes": "12000000000", "message_bytes": str(int(4e6 * wave)),
                        "max_message_bytes": "1000000000", "snapshots": "4", "failed_snapshots": "1" if bad else "0", "snapshot_age_seconds": 110 + self._now(), "snapshot_bytes": "488000000",
                        "snapshot_seconds": 2.5, "disk_free_bytes": "12000000" if bad else "40000000000", "disk_bytes": "64000000000",
                        "last_error": "the snapshot at iteration 4000 could not be written: no space left on device" if bad else "", "last_error_age_seconds": 9}}

    def _job(self, i: int, now_ms: int) -> dict:
        done = i == 2
        iteration = 10000 if done else 4000 + int(20 * self._now())
        return {
            "job_id": BAD_NAME if done else f"imagenet-{i}", "state": "JOB_STATE_SUCCEEDED" if done else "JOB_STATE_RUNNING", "iteration": str(iteration), "max_iter": "10000",
            "completed_iterations": str(iteration), "loss": self._loss(i, iteration), "smoothed_loss": self._loss(i, iteration), "learning_rate": 0.01,
            "images_per_second": 0 if done else 5100, "mean_images_per_second": 5000, "eta_seconds": 0 if done else 900, "seconds": 600 + self._now(), "samples": str(256 * iteration),
            "workers": 0 if done else 100, "weight": 1, "submitter": "ada@node-1", "snapshot_error": "snapshot at iteration 4000: no space left on device" if self._troubled and i == 0 else "",
            "submitted_unix_ms": str(now_ms - 700000 - i), "started_unix_ms": str(now_ms - 600000), "ended_unix_ms": str(now_ms - 60000) if done else "0", "recoveries": i, "repeated_iterations": str(40 * i),
            "tests": [{"iteration": str(at), "net": 0, "records": "50000", "outputs": [{"name": "accuracy", "value": 0.8 * (1 - math.exp(-at / (1500 + 400 * i))), "loss_weight": 0},
                                                                                 {"name": "loss", "value": self._loss(i, at) * 1.05, "loss_weight": 1}]} for at in range(0, iteration + 1, 500)],
            "snapshot_details": [{"iteration": "3000", "unix_ms": str(now_ms - 200000)}]}

    def _loss(self, job: int, iteration: int) -> float:
        return 0.3 + (6.6 - job) * math.exp(-iteration / (1200 + 500 * job)) + 0.08 * math.sin(iteration * 12.9898) * (1 + math.exp(-iteration / 2000))

    def _history(self, query: dict) -> dict:
        jobs = {job["job_id"]: (i, int(job["iteration"])) for i, job in enumerate(self._job(k, 0) for k in range(self._sizes[2]))}
        i, last = jobs[query["job"]]
        first, points = int(query["first"]), int(query["points"])
        step = max(1, (last - first) // points)
        iterations = list(range(first, last, step))
        return {"blocks": [{"iterations": [str(at) for at in iterations], "seconds": [at / 20 for at in iterations], "losses": [self._loss(i, at) for at in iterations],
                            "learning_rates": [0.01 * 0.5 ** (at // 2500) for at in iterations]}]}

    def _events(self, query: dict) -> dict:
        now_ms = int(1000 * time.time())
        texts = [("STATE", "submitted"), ("STATE", "runs on 16 servers"), ("TEST", "test of net 0 at iteration 500: accuracy = 0.3"), ("SNAPSHOT", "snapshot at iteration 1000"),
                 ("WORKER", "worker worker-9 was lost; others get what it held: train 1000..1008"), ("LEASE", "1 lease ended with work undone; others get it"),
                 ("SNAPSHOT", "snapshot at iteration 4000: no space left on device; training goes on")]
        return {"events": [{"number": str(n), "unix_ms": str(int(self._begun * 1000) - 600000 + 90000 * n), "kind": f"KIND_{kind}", "text": text}
                           for n, (kind, text) in enumerate(texts, start=1) if n > int(query["after"]) and now_ms > 0]}
