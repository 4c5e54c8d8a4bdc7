#!/usr/bin/python3 -IB
"""A stand-in for systemd on hosts that are made of namespaces, by the name of its command: starts units' processes as systemd would, as
far as Samovar's units and installers need it: ExecStartPre and ExecStart by the unit's user, Type=notify, drop-ins, Restart=on-failure
with RestartSec and RestartPreventExitStatus. What it does not know it refuses.

systemctl [--quiet] [--no-block] daemon-reload | enable | disable [--now] | start | restart | stop | reset-failed UNIT
systemctl show --property MainPID|ActiveState --value UNIT
"""

import glob
import json
import os
import pathlib
import select
import signal
import socket
import subprocess
import sys
import time

UNITS = pathlib.Path("/etc/systemd/system")
RUN = pathlib.Path("/run/stand-in")
STOP_SECONDS = 60
# Sections and sandboxing that change nothing here.
IGNORED = {"Description", "Documentation", "Wants", "After", "StartLimitIntervalSec", "StartLimitBurst", "Type", "NotifyAccess", "Group",
           "SyslogIdentifier", "TimeoutStartSec", "TimeoutStopSec", "LimitNOFILE", "WantedBy", "RequiresMountsFor", "ReadWritePaths",
           "ProtectSystem", "ProtectHome", "PrivateTmp", "PrivateDevices", "ProtectKernelTunables", "ProtectKernelModules",
           "ProtectControlGroups", "NoNewPrivileges", "CapabilityBoundingSet", "RestrictNamespaces", "RestrictRealtime",
           "RestrictAddressFamilies", "LockPersonality", "MemoryDenyWriteExecute", "SystemCallArchitectures", "SystemCallFilter",
           "SystemCallErrorNumber"}
KNOWN = {"User", "UMask", "ExecStart", "ExecStartPre", "Environment", "Restart", "RestartSec", "RestartPreventExitStatus", "StateDirectory"}


def read_unit(name: str) -> dict:
    unit = {"ExecStartPre": [], "Environment": []}
    for path in [str(UNITS / name), *sorted(glob.glob(f"{UNITS}/{name}.d/*.conf"))]:
        for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
            if "=" not in line or line.startswith("#"):
                continue
            key, value = line.split("=", 1)
            if key not in KNOWN | IGNORED:
                raise SystemExit(f"the stand-in for systemd does not know {key}")
            if isinstance(unit.get(key), list):
                unit[key].append(value)
            else:
                unit[key] = value
    return unit


def command(unit: dict, line: str) -> list:
    """Its words, by the unit's user, or by root with all rights for one with a plus."""
    if any(mark in line for mark in "%$\"'\\"):
        raise SystemExit(f"what systemd makes of {line} is not known here")
    if line.startswith("+"):
        return line[1:].split()
    user = unit["User"]
    return ["sh", "-c", f'umask {unit["UMask"]} && exec "$@"', "sh", "setpriv", "--reuid", user, "--regid", user, "--clear-groups",
            "--no-new-privs", "--inh-caps=-all", *line.split()]


class State:
    """What `show` tells, in a file."""

    def __init__(self, name: str) -> None:
        RUN.mkdir(exist_ok=True)
        self.path = RUN / f"{name}.json"

    def read(self) -> dict:
        try:
            return json.loads(self.path.read_text(encoding="ascii"))
        except FileNotFoundError:
            return {"ActiveState": "inactive", "MainPID": 0, "supervisor": 0}

    def write(self, **values) -> None:
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps({**self.read(), **values}), encoding="ascii")
        part.replace(self.path)


class Supervisor:
    """Of one unit, from its start until its stop, as a process of its own."""

    def __init__(self, name: str) -> None:
        self.name, self.state = name, State(name)
        self.unit = read_unit(name)
        self.stopping = False
        self.log = open(RUN / f"{name}.log", "ab")
        self.wake_read, self.wake_write = os.pipe()
        signal.signal(signal.SIGTERM, self.stop)
        self.state.write(ActiveState="activating", MainPID=0, supervisor=os.getpid())

    def stop(self, *_) -> None:
        self.stopping = True
        os.write(self.wake_write, b"x")

    def run(self) -> None:
        prevented = {int(code) for code in self.unit.get("RestartPreventExitStatus", "").split()}
        while True:
            code = self.run_once()
            if self.stopping or code == 0:
                return self.state.write(ActiveState="inactive", MainPID=0, supervisor=0)
            if code in prevented or self.unit.get("Restart") != "on-failure":
                return self.state.write(ActiveState="failed", MainPID=0, supervisor=0)
            self.state.write(ActiveState="activating", MainPID=0)
            select.select([self.wake_read], [], [], float(self.unit["RestartSec"]))
            if self.stopping:
                return self.state.write(ActiveState="inactive", MainPID=0, supervisor=0)

    def run_once(self) -> int:
        environment = dict(os.environ, NOTIFY_SOCKET=str(RUN / f"{self.name}.notify"))
        environment.update(entry.split("=", 1) for entry in self.unit["Environment"])
        if "StateDirectory" in self.unit:
            subprocess.run(["install", "-d", "-o", self.unit["User"], "-g", self.unit["User"], f"/var/lib/{self.unit['StateDirectory']}"], check=True)
        for line in self.unit["ExecStartPre"]:
            code = subprocess.call(command(self.unit, line), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=environment)
            if code != 0:
                return code
        path = RUN / f"{self.name}.notify"
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(path))
            path.chmod(0o666)
            process = subprocess.Popen(command(self.unit, self.unit["ExecStart"]), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                       env=environment)
            self.state.write(MainPID=process.pid)
            handle = os.pidfd_open(process.pid)
            told = False
            while True:
                ready, _, _ = select.select([manager, handle, self.wake_read], [], [])
                if manager in ready and b"READY=1" in manager.recv(4096):
                    self.state.write(ActiveState="active")
                if self.stopping and not told:
                    told = True
                    process.terminate()
                    os.read(self.wake_read, 1)
                if handle in ready:
                    os.close(handle)
                    return process.wait()


def start(name: str) -> None:
    """Returns at once."""
    if State(name).read()["supervisor"]:
        return
    State(name).write(ActiveState="activating", supervisor=-1)
    if os.fork() != 0:
        return
    os.setsid()
    with open(os.devnull, "r+b") as nothing:
        for stream in (0, 1, 2):
            os.dup2(nothing.fileno(), stream)
    Supervisor(name).run()
    os._exit(0)


def stop(name: str) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    asked = False
    while (supervisor := State(name).read()["supervisor"]) and time.monotonic() < deadline:
        if supervisor > 0 and not asked:
            asked = True
            os.kill(supervisor, signal.SIGTERM)
        time.sleep(0.02)


def wanted(name: str) -> pathlib.Path:
    return UNITS / "multi-user.target.wants" / name


def main() -> None:
    words = [word for word in sys.argv[1:] if word not in ("--quiet", "--no-block")]
    verb, name = words[0], words[-1]
    if verb == "daemon-reload":
        return
    if verb == "show":
        value = State(name).read()[words[words.index("--property") + 1]]
        print(value)
    elif verb == "enable":
        wanted(name).parent.mkdir(exist_ok=True)
        if not wanted(name).is_symlink():
            wanted(name).symlink_to(UNITS / name)
    elif verb == "disable":
        wanted(name).unlink(missing_ok=True)
        if "--now" in words:
            stop(name)
    elif verb in ("stop", "restart", "start"):
        if verb != "start":
            stop(name)
        if verb != "stop":
            start(name)
    elif verb == "reset-failed":
        if State(name).read()["ActiveState"] == "failed":
            State(name).write(ActiveState="inactive")
    else:
        raise SystemExit(f"the stand-in for systemd has no {verb}")


if __name__ == "__main__":
    main()
