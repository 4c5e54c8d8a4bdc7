"""The processes that are compared: each trains the same net and measures a round when it is told to."""

import json
import os
import pathlib
import select
import signal
import subprocess
import sys
import tempfile
import time

import nets

HERE = pathlib.Path(__file__).resolve().parent
# Settings of a BLAS that somebody may have made for another program; and the threads of each library that peers may use.
LEFT_OUT = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
# AVX2 and no more, in each library's words.
AVX2 = {"SAMOVAR_ISA": "v3", "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "DNNL_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2", "OPENBLAS_CORETYPE": "Haswell"}
# Seconds that any side may take to begin.
MIN_PATIENCE = 10


class SideEnded(Exception):
    pass


def busy_seconds():
    """Of all processors, since the machine started."""
    with open("/proc/stat", encoding="ascii") as stat:
        user, nice, system, _, _, irq, softirq, steal = map(int, stat.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


class Side:
    """A process that measures a round when it is told to. `about` is the first line that it prints, after its warm-up."""

    def __init__(self, name, command, environment, limit):
        self.name, self.command, self.rounds = name, [str(word) for word in command], []
        # A group of its own: a compiler's helpers end with it.
        self.errors = tempfile.TemporaryFile("w+", encoding="utf-8")
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True,
                                        env=environment, start_new_session=True)
        self.about = self.read(limit)
        # From here on the peak is that of training, not of building or compiling a net.
        with open(f"/proc/{self.process.pid}/clear_refs", "w", encoding="ascii") as clear:
            clear.write("5")

    def read(self, limit):
        if not select.select([self.process.stdout], [], [], limit)[0]:
            self.end()
            raise SideEnded(f"no answer within {limit:.0f} s")
        line = self.process.stdout.readline()
        if not line:
            self.end()
            self.errors.seek(0)
            errors = self.errors.read().strip().splitlines()
            raise SideEnded(errors[-1] if errors else f"exit code {self.process.returncode}")
        return json.loads(line)

    def measure(self, limit):
        start, busy = time.monotonic(), busy_seconds()
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        entry = self.read(limit)
        used = entry["images_per_second"] / entry["images_per_cpu_second"]
        entry["others"] = (busy_seconds() - busy) / (time.monotonic() - start) - used
        self.rounds.append(entry)

    def peak_mib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024

    def end(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


def environment_of(threads, options):
    environment = {key: value for key, value in os.environ.items() if key not in LEFT_OUT}
    environment.update({key: str(threads) for key in THREADS})
    if options.level == "v3":
        environment.update(AVX2)
    return environment


def engine_command(net, threads, options):
    shape = "x".join(map(str, net.shape))
    # One round more than are measured: its memory is read while it waits for that.
    return [options.bench, "--solver", net.solver_path, "--net", net.name, "--shape", shape, "--classes", net.classes, "--batch", net.batch,
            "--rate_scale", nets.RATE_SCALE, "--threads", threads, "--seconds", options.seconds, "--rounds", options.rounds + 1, "--warm_up", options.warm_up, "--wait"]


def peer_command(python, script, variant, net, threads, options):
    level = ["--level", options.level] if options.level else []
    return [python, HERE / script, "--net", net.name, "--batch", net.batch, "--threads", threads, "--seconds", options.seconds,
            "--warm-up", options.warm_up, "--variant", variant, *level]


def commands(net, threads, options):
    """(name, command, whether the comparison makes no sense without it) of each side; torch.compile, which takes longest to begin, last."""
    yield "samovar", engine_command(net, threads, options), True
    if options.caffe:
        yield "Caffe", peer_command(options.caffe, "caffe_side.py", "nchw", net, threads, options), False
    for variant in options.variants:
        for python in options.python:
            name = f"torch {variant}" + (f" ({python})" if len(options.python) > 1 else "")
            yield name, peer_command(python, "torch_side.py", variant, net, threads, options), variant != "compile"


def start(net, threads, options, patience):
    """The sides that run, by name, and why others do not. All that are not needed may take `patience` seconds together to begin."""
    environment, sides, left_out = environment_of(threads, options), {}, {}
    for name, command, needed in commands(net, threads, options):
        begin, side_environment = time.monotonic(), dict(environment)
        if options.blas and name.startswith("torch"):
            side_environment["LD_LIBRARY_PATH"] = options.blas
        try:
            limit = options.limit if needed else min(options.limit, max(MIN_PATIENCE, patience))
            sides[name] = Side(name, command, side_environment, limit)
        except (SideEnded, OSError) as error:
            if needed:
                for side in sides.values():
                    side.end()
                sys.exit(f"compare: {net.name}: {name} does not run: {error}")
            left_out[name] = str(error)
        if not needed:
            patience -= time.monotonic() - begin
    return sides, left_out
