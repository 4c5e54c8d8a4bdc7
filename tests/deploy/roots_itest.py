#!/usr/bin/env python3
"""The script actions with the real tarball in roots of other distributions; see run.sh. Prints each outcome's last line.

SAMOVAR_BUNDLE names the tarball, SAMOVAR_ROOTS the directory of the roots. What is written goes into memory.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
from typing import Dict

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy"
SECONDS = 300
# The shell's script: $1 is an empty directory, $2 the root that stays as it is, $3 deploy/, $4 the tarball, $5 what is run inside.
ENTER = """
mount -t tmpfs none "$1" && mkdir "$1/upper" "$1/scratch" "$1/root" \
  && mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/scratch" "$1/root" && mount -t proc proc "$1/root/proc" \
  && mount --rbind /dev "$1/root/dev" && ip link set lo up && mount -t tmpfs none "$1/root/sys" || exit 77
# systemd-analyze judges nothing where it finds no control group of systemd's.
mkdir -p "$1/root/sys/fs/cgroup/systemd" && mount -t cgroup -o none,name=systemd none "$1/root/sys/fs/cgroup/systemd" || exit 77
cp -r "$3" "$1/root/tmp/deploy" && cp "$4" "$1/root/tmp/samovar.tar.gz" && echo "127.0.0.1 localhost node" >"$1/root/etc/hosts" || exit 1
hostname node
exec chroot "$1/root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin bash -ec "$5"
"""
# Each case: its name on a line of its own, then what the action says, then its exit code.
LIFE = """
scene() { echo "=== $1"; shift; local code=0; "$@" 2>&1 || code=$?; echo "=== exit $code"; }
install() { bash /tmp/deploy/hdinsight/install.sh --tarball /tmp/samovar.tar.gz --coordinator 127.0.0.1:7400 "$@"; }
mkdir -p /mnt/resource
find / -xdev -not -path '/proc/*' -not -path '/dev/*' -not -path '/tmp/*' -not -path '/run/*' -not -path '/sys/*' -not -name '*-' 2>/dev/null | sort >/tmp/before
scene 'coordinator, first run' install --role coordinator
scene 'coordinator, second run' install --role coordinator
scene 'worker with a cache' install --role worker --cache /mnt/resource/samovar/cache --cache-bytes 1000000
scene 'a name that does not resolve' install --role worker --coordinator hn0-nowhere.invalid:7400
scene 'auto on a node that is not called as HDInsight calls its own' install --role auto --coordinator hn0-nowhere.invalid
scene 'another sum' install --role server --sha256 "$(printf '0%.0s' $(seq 64))"
head -c 1000000 /tmp/samovar.tar.gz >/tmp/cut.tar.gz
scene 'a tarball that is cut short' install --role server --tarball /tmp/cut.tar.gz
scene 'no such host to download from' install --role server --tarball http://127.0.0.1:9/samovar.tar.gz
echo '=== units'
for unit in /etc/systemd/system/samovar-*.service; do
  systemd-analyze verify "$unit" 2>&1 | grep -E 'samovar|cache.conf' || true
done
systemd-analyze --version | head -n 1
echo '=== exit 0'
echo '=== an unknown directive'
sed 's/^UMask=/UMaks=/' /etc/systemd/system/samovar-worker.service >/tmp/samovar-worker.service
systemd-analyze verify /tmp/samovar-worker.service 2>&1 | grep UMaks || true
echo '=== exit 0'
echo '=== programs'
runuser -u samovar -- /opt/samovar/current/bin/samovar-server --config /etc/samovar/coordinator.toml 2>/tmp/server.log &
for _ in $(seq 100); do grep -q 'serves at' /tmp/server.log && break; sleep 0.1; done
/opt/samovar/current/bin/samovar status 127.0.0.1:7400 | head -n 1
runuser -u samovar -- /opt/samovar/current/bin/samovar doctor | grep coordinator || true
for process in /proc/[0-9]*; do [ "$(stat --format %U "$process")" != samovar ] || kill "${process#/proc/}"; done
wait
echo '=== exit 0'
scene 'uninstall.sh' bash /tmp/deploy/hdinsight/uninstall.sh
scene 'uninstall.sh again' bash /tmp/deploy/hdinsight/uninstall.sh
find / -xdev -not -path '/proc/*' -not -path '/dev/*' -not -path '/tmp/*' -not -path '/run/*' -not -path '/sys/*' -not -name '*-' 2>/dev/null | sort >/tmp/after
echo '=== left'
comm -13 /tmp/before /tmp/after
getent passwd samovar || true
echo '=== exit 0'
"""


class RootsTest(unittest.TestCase):
    table: Dict[str, str] = {}

    @classmethod
    def tearDownClass(cls) -> None:
        print("\nThe last lines:", *(f"  {case}\n    {line}" for case, line in cls.table.items()), sep="\n", file=sys.stderr)

    def live(self, name: str) -> Dict[str, tuple]:
        """What is said in each case, and its exit code."""
        directory = pathlib.Path(tempfile.mkdtemp(prefix="samovar_root_"))
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        root = pathlib.Path(os.environ["SAMOVAR_ROOTS"]) / name
        done = subprocess.run(["unshare", "--mount", "--pid", "--net", "--uts", "--cgroup", "--fork", "--kill-child",
                               "sh", "-c", ENTER, "sh", str(directory),
                               str(root), str(DEPLOY), os.environ["SAMOVAR_BUNDLE"], LIFE],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False)
        self.assertEqual(done.returncode, 0, f"{done.stdout}\n{done.stderr}")
        found = {}
        for part in done.stdout.split("=== ")[1:]:
            head, _, said = part.partition("\n")
            if head.startswith("exit "):
                found[case] = (int(head[5:]), lines)
            else:
                case, lines = head, said.splitlines()
        return found

    def check_life(self, name: str, systemd: str) -> None:
        found = self.live(name)
        sum_of_tarball = hashlib.sha256(pathlib.Path(os.environ["SAMOVAR_BUNDLE"]).read_bytes()).hexdigest()
        for case, code, words in (
                ("coordinator, first run", 0, "changes; coordinator of the cluster at 127.0.0.1:7400"),
                ("coordinator, second run", 0, "nothing had to be changed; coordinator"),
                ("worker with a cache", 0, "changes; worker of the cluster"),
                ("a name that does not resolve", 2, "refused: the coordinator hn0-nowhere.invalid does not resolve on node"),
                ("auto on a node that is not called as HDInsight calls its own", 2, "refused: the coordinator hn0-nowhere.invalid does not resolve"),
                ("another sum", 1, f"failed: the sum of /tmp/samovar.tar.gz is {sum_of_tarball}, not 0000"),
                ("a tarball that is cut short", 1, "failed: /tmp/cut.tar.gz cannot be unpacked; is it whole"),
                ("no such host to download from", 1, "failed: http://127.0.0.1:9/samovar.tar.gz cannot be fetched in 5 tries"),
                ("uninstall.sh", 0, "done, "),
                ("uninstall.sh again", 0, "nothing was installed")):
            self.assertEqual(found[case][0], code, found[case])
            self.assertIn(words, found[case][1][-1], case)
            self.table[f"{name}: {case} (exit code {code})"] = found[case][1][-1]
        self.assertEqual(found["units"][1], [found["units"][1][-1]])
        self.assertTrue(found["units"][1][-1].startswith(f"systemd {systemd}"), found["units"])
        self.table[f"{name}: systemd-analyze verify"] = f"{found['units'][1][-1]}: nothing to say"
        self.assertTrue(any("UMaks" in line for line in found["an unknown directive"][1]), found["an unknown directive"])
        self.assertIn("coordinator 127.0.0.1:7400", found["programs"][1][0])
        self.assertTrue(any("127.0.0.1:7400 answers, epoch" in line for line in found["programs"][1]), found["programs"])
        self.assertEqual(found["left"][1], [])

    def test_ubuntu_18_04(self):
        self.check_life("ubuntu-18.04", "237")

    def test_debian_12(self):
        self.check_life("debian-12", "252")


if __name__ == "__main__":
    unittest.main()
