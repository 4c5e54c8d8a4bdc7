"""Hosts in the small: each a set of namespaces (network, mounts, name, processes) with a network card of its own on one switch, and
with a root directory of its own, the machine's, to which all that is written goes into memory.

Nothing of it is seen on the machine itself, and all of it is gone with the processes that hold the namespaces. Needs root.
"""

import pathlib
import shlex
import subprocess
from typing import Dict, List, Optional, Sequence

from processes import children_of
from testbed import COMMAND_SECONDS, END_SECONDS

# Of each card. It also bounds how fast a job can go on any machine.
RATE = "100mbit"
NAMES = ("coordinator", "server-1", "server-2", "worker-1", "worker-2", "desk")

SYSTEMCTL = pathlib.Path(__file__).resolve().parent / "systemctl.py"

# The shells' scripts that make what a host and the switch have, say so, and hold it. $1 is an empty directory, $2 the host's name,
# $3 a directory that all hosts share.
HOST = """
hostname "$2" && mount -t tmpfs none "$1" && mkdir "$1/upper" "$1/scratch" "$1/root" \
  && mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/scratch" "$1/root" && mount -t proc proc "$1/root/proc" \
  && mount --rbind /dev "$1/root/dev" && mkdir -p "$1/root$3" && mount --bind "$3" "$1/root$3" && ip link set lo up || exit 1
echo ready
exec chroot "$1/root" sleep infinity
"""
SWITCH = """
ip link add switch type bridge && ip link set switch up || exit 1
echo ready
exec sleep infinity
"""


def run(*words, **options) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                          **{"timeout": COMMAND_SECONDS, **options})


def check(*words, **options) -> str:
    done = run(*words, **options)
    if done.returncode != 0:
        raise AssertionError(f"{shlex.join(done.args)} exited with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


class Namespaces:
    """New namespaces, held by a process that has made ready what is in them."""

    def __init__(self, flags: List[str], script: str, *arguments) -> None:
        self._holder = subprocess.Popen(["unshare", *flags, "--pid", "--fork", "--kill-child", "sh", "-c", script, "sh",
                                         *map(str, arguments)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self._holder.stdout.readline() != "ready\n":
            _, why = self._holder.communicate(timeout=END_SECONDS)
            raise RuntimeError(why)
        self.pid = children_of(self._holder.pid)[0].pid

    def end(self) -> None:
        """And all processes in them."""
        self._holder.kill()
        self._holder.communicate(timeout=END_SECONDS)


def why_not() -> str:
    """Why this machine cannot have hosts; empty if it can."""
    probe = "ip link add port0 type veth peer name port1 && ip link add switch type bridge" \
            " && tc qdisc add dev port0 root tbf rate 1mbit burst 64kb latency 1ms && mount -t tmpfs none /mnt && mkdir /mnt/u /mnt/w /mnt/r" \
            " && mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w /mnt/r"
    try:
        done = run("unshare", "--net", "--mount", "--uts", "--pid", "--fork", "--kill-child", "sh", "-c", probe)
    except FileNotFoundError as missing:
        return f"there is no {missing.filename}"
    return "" if done.returncode == 0 else f"this system gives no hosts in namespaces: {done.stderr.strip()}"


class Service:
    """A unit's process, as systemd would have it."""

    def __init__(self, host: "Host", unit: str, log: pathlib.Path) -> None:
        self._process = host.popen(service_command(host.read(f"/etc/systemd/system/{unit}")), log)

    def runs(self) -> bool:
        return self._process.poll() is None


def service_command(unit: str) -> List[str]:
    """ExecStart's command line, by the unit's user and with its mask."""
    entries = dict(line.split("=", 1) for line in unit.splitlines() if "=" in line and not line.startswith("#"))
    words = entries["ExecStart"].split()
    if not words[0].startswith("/") or any(mark in entries["ExecStart"] for mark in "%$\"'\\") or "EnvironmentFile" in entries:
        raise AssertionError(f"what systemd makes of {entries['ExecStart']} is not known here")
    shell = f"umask {entries['UMask']} && exec \"$@\""
    return ["sh", "-c", shell, "sh", "setpriv", "--reuid", entries["User"], "--regid", entries["Group"], "--clear-groups",
            "--no-new-privs", "--inh-caps=-all", *words]


class Host:
    def __init__(self, name: str, address: str, scratch: pathlib.Path, shared: pathlib.Path) -> None:
        self.name, self.address = name, address
        directory = scratch / name
        directory.mkdir()
        self._namespaces = Namespaces(["--mount", "--net", "--uts"], HOST, directory, name, shared)
        self.pid = self._namespaces.pid

    def end(self) -> None:
        self._namespaces.end()

    def words(self, words) -> List[str]:
        return ["nsenter", "--target", str(self.pid), "--mount", "--net", "--uts", "--pid", "--root", "--wd", *map(str, words)]

    def run(self, *words, directory: Optional[pathlib.Path] = None, **options) -> "subprocess.CompletedProcess[str]":
        """A command on the host, by root."""
        entered = ["sh", "-c", 'cd "$0" && exec "$@"', str(directory), *words] if directory else words
        return run(*self.words(entered), **options)

    def check(self, *words, **options) -> str:
        return check(*self.words(words), **options)

    def popen(self, words, log: pathlib.Path) -> "subprocess.Popen[bytes]":
        with open(log, "ab") as file:
            return subprocess.Popen(self.words(words), stdin=subprocess.DEVNULL, stdout=file, stderr=file)

    def read(self, path: str) -> str:
        return self.check("cat", path)

    def add_systemd(self) -> None:
        """Makes the host's programs believe in a systemd; see systemctl.py."""
        self.check("sh", "-c", 'mkdir -p /run/systemd/system && cp "$1" /usr/local/bin/systemctl && chmod 755 /usr/local/bin/systemctl'
                   ' && printf \'#!/bin/sh\\nfor unit; do :; done\\ntail -n 20 "/run/stand-in/$unit.log"\\n\' >/usr/local/bin/journalctl'
                   ' && chmod 755 /usr/local/bin/journalctl', "sh", SYSTEMCTL)


class Hosts:
    """All hosts, 10.77.0.1 and on, and the switch between them. They know each other by name, and themselves, as Debian has it, by
    127.0.1.1. Use it in a `with`."""

    def __init__(self, scratch: pathlib.Path, shared: pathlib.Path, names: Sequence[str] = NAMES) -> None:
        self.by_name: Dict[str, Host] = {}
        self._switch = Namespaces(["--net"], SWITCH)
        try:
            for number, name in enumerate(names, start=1):
                self.by_name[name] = Host(name, f"10.77.0.{number}", scratch, shared)
            for host in self.by_name.values():
                self._connect(host)
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> "Hosts":
        return self

    def __exit__(self, *_) -> None:
        for host in self.by_name.values():
            host.end()
        self._switch.end()

    def __getitem__(self, name: str) -> Host:
        return self.by_name[name]

    def _connect(self, host: Host) -> None:
        check("ip", "link", "add", host.name, "netns", self._switch.pid, "type", "veth", "peer", "name", "eth0", "netns", host.pid)
        self._on_switch("ip", "link", "set", host.name, "master", "switch", "up")
        self._on_switch("tc", "qdisc", "add", "dev", host.name, "root", "tbf", "rate", RATE, "burst", "256kb", "latency", "50ms")
        host.check("ip", "addr", "add", f"{host.address}/24", "dev", "eth0")
        host.check("ip", "link", "set", "eth0", "up")
        lines = ["127.0.0.1 localhost", f"127.0.1.1 {host.name}"]
        lines += [f"{other.address} {other.name}" for other in self.by_name.values() if other is not host]
        host.check("sh", "-c", 'echo "$1" >/etc/hosts', "sh", "\n".join(lines))

    def _on_switch(self, *words) -> None:
        check("nsenter", "--target", self._switch.pid, "--net", *words)

    def pull_cable(self, name: str) -> None:
        self._on_switch("ip", "link", "set", name, "down")

    def plug_cable_in(self, name: str) -> None:
        self._on_switch("ip", "link", "set", name, "up")
