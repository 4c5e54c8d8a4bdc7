"""Network namespaces, one for each process of a cluster, on one switch: each with a network card of its own that passes so many bits a
second in each direction, and delays what it sends, where the kernel has netem. Needs root, ip and tc; nothing is left when it ends."""

import os
import subprocess
from typing import List


def ip(*words: object) -> None:
    subprocess.run(["ip", *map(str, words)], check=True)


class Links:
    def __init__(self, hosts: int, rate: str, delay_ms: float) -> None:
        self._tag = f"sv{os.getpid() % 100000}"
        self._hosts = hosts
        self._rate = rate
        self._delay_ms = delay_ms
        self._switch = f"{self._tag}b"

    def __enter__(self) -> "Links":
        try:
            ip("link", "add", self._switch, "type", "bridge")
            ip("addr", "add", "10.213.78.254/24", "dev", self._switch)
            ip("link", "set", self._switch, "up")
            for host in range(self._hosts):
                self._connect(host)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        for host in range(self._hosts):
            subprocess.run(["ip", "netns", "del", self.name(host)], check=False, stderr=subprocess.DEVNULL)
        subprocess.run(["ip", "link", "del", self._switch], check=False, stderr=subprocess.DEVNULL)

    def name(self, host: int) -> str:
        return f"{self._tag}n{host}"

    @staticmethod
    def address(host: int) -> str:
        return f"10.213.78.{host + 1}"

    def words(self, host: int) -> List[str]:
        """What begins a command that is to run on the host."""
        return ["ip", "netns", "exec", self.name(host)]

    def _connect(self, host: int) -> None:
        space, near = self.name(host), f"{self._tag}h{host}"
        ip("netns", "add", space)
        ip("link", "add", near, "type", "veth", "peer", "name", "card", "netns", space)
        ip("link", "set", near, "master", self._switch, "up")
        ip("-n", space, "addr", "add", f"{self.address(host)}/24", "dev", "card")
        ip("-n", space, "link", "set", "card", "up")
        ip("-n", space, "link", "set", "lo", "up")
        # Some bytes pass at once, as from the queue of a network card; what waits longer than 20 ms is lost.
        bucket = ["tbf", "rate", self._rate, "burst", "256kb", "latency", "20ms"]
        # What it sends is delayed; what it gets is not. Kernels without netem cannot.
        if self._delay_ms > 0:
            subprocess.run(["tc", "-n", space, "qdisc", "add", "dev", "card", "root", "handle", "1:", "netem", "delay", f"{self._delay_ms}ms",
                            "limit", "100000"], check=True)
        parent = ["parent", "1:1"] if self._delay_ms > 0 else ["root"]
        subprocess.run(["tc", "-n", space, "qdisc", "add", "dev", "card", *parent, *bucket], check=True)
        subprocess.run(["tc", "qdisc", "add", "dev", near, "root", *bucket], check=True)
