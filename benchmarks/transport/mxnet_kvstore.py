#!/usr/bin/env python3
"""MXNet's distributed KVStore (ps-lite over ZeroMQ) as a peer of transport_bench.

    transport_bench --peer "PYTHON benchmarks/transport/mxnet_kvstore.py"

PYTHON has mxnet (pip install "numpy<1.24" mxnet). Starts a scheduler and one server on loopback and is the one worker. Reads orders from
standard input, a line each: "push BYTES SECONDS" or "pull BYTES SECONDS"; repeats that exchange of a float32 array for so long, one
at a time, and answers "CALLS SECONDS CPU_SECONDS", the processor time being that of all its processes. The server adds up what is
pushed, and the sums are checked at the end.
"""
import os
import signal
import socket
import subprocess
import sys
import time


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start_others(environment):
    others = []
    for role in ("scheduler", "server"):
        others.append(
            subprocess.Popen(
                [sys.executable, "-c", "import mxnet"],
                env={**environment, "DMLC_ROLE": role},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        )
    return others


def cpu_seconds(pids):
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class Store:
    """Arrays by size, each with what it should hold by now."""

    def __init__(self, mx):
        self.mx = mx
        self.store = mx.kv.create("dist_async")
        # Adds, as a parameter server does; without one it keeps the last push.
        self.store.set_optimizer(mx.optimizer.Test(rescale_grad=1.0))
        self.arrays = {}

    def arrays_of(self, size):
        if size not in self.arrays:
            weights = self.mx.nd.zeros((size // 4,))
            self.store.init(size, weights)
            self.mx.nd.waitall()
            self.arrays[size] = {"gradient": None, "weights": weights, "pushes": 0}
        return self.arrays[size]

    def push(self, size):
        entry = self.arrays_of(size)
        if entry["gradient"] is None:
            entry["gradient"] = self.mx.nd.ones((size // 4,))
        self.store.push(size, entry["gradient"])
        self.mx.nd.waitall()
        entry["pushes"] += 1

    def pull(self, size):
        entry = self.arrays_of(size)
        self.store.pull(size, out=entry["weights"])
        entry["weights"].wait_to_read()
        # On one processor MXNet receives into the array that was pushed last.
        entry["gradient"] = None

    def check(self):
        for size, entry in self.arrays.items():
            self.pull(size)
            found = {float(entry["weights"].min().asscalar()), float(entry["weights"].max().asscalar())}
            if found != {float(entry["pushes"])}:
                raise RuntimeError(f"{size} bytes hold {found} after {entry['pushes']} pushes of 1")


def main():
    environment = {
        **os.environ,
        "DMLC_PS_ROOT_URI": "127.0.0.1",
        "DMLC_PS_ROOT_PORT": str(free_port()),
        "DMLC_NUM_SERVER": "1",
        "DMLC_NUM_WORKER": "1",
        "DMLC_INTERFACE": "lo",
        "DMLC_NODE_HOST": "127.0.0.1",
        "PYTHONWARNINGS": "ignore",
    }
    others = start_others(environment)
    code = 1
    try:
        os.environ.update(environment, DMLC_ROLE="worker")
        import mxnet as mx

        store = Store(mx)
        pids = [os.getpid()] + [other.pid for other in others]
        for line in sys.stdin:
            kind, size, seconds = line.split()
            call = {"push": store.push, "pull": store.pull}[kind]
            call(int(size))
            cpu = cpu_seconds(pids)
            start = time.monotonic()
            calls = 0
            while True:
                call(int(size))
                calls += 1
                elapsed = time.monotonic() - start
                if elapsed >= float(seconds):
                    break
            print(calls, elapsed, cpu_seconds(pids) - cpu, flush=True)
        store.check()
        code = 0
    except Exception as error:
        print(f"mxnet_kvstore: {error}", file=sys.stderr)
    finally:
        for other in others:
            other.send_signal(signal.SIGKILL)
            other.wait()
    # MXNet's own exit waits for the scheduler.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
