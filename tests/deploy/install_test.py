"""The installation scripts, run into empty directories with a small tarball of the real one's form; the units; the examples.

SAMOVAR_BIN_DIR names the directory of the real programs, which read the configurations.
"""

import hashlib
import http.server
import io
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import threading
import unittest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = REPOSITORY / "deploy"
ROLES = ("coordinator", "server", "worker")
COORDINATOR = "127.0.0.1:7400"
SECONDS = 60
SKIPPED = 77


def make_tarball(path: pathlib.Path, version: str = "0.1.0", version_exit: int = 0) -> pathlib.Path:
    """The real one's form, with programs that only say their version."""
    name = f"samovar-{version}-linux-x86_64"
    script = f"#!/bin/sh\necho samovar {version}\nexit {version_exit}\n".encode()
    with tarfile.open(path, "w:gz") as archive:
        for program in ("samovar", "samovar-server", "samovar-worker"):
            entry = tarfile.TarInfo(f"{name}/bin/{program}")
            entry.mode, entry.size = 0o755, len(script)
            archive.addfile(entry, io.BytesIO(script))
        archive.add(DEPLOY / "etc", f"{name}/etc")
        archive.add(DEPLOY / "systemd", f"{name}/deploy/systemd")
    return path


def sum_of(path: pathlib.Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tree(root: pathlib.Path) -> dict:
    """All below but the log of what was done: what it is, and when it was written last."""
    return {str(path.relative_to(root)): (path.lstat().st_mode, path.lstat().st_mtime_ns, path.lstat().st_ino)
            for path in root.rglob("*") if path.name != "install.log"}


class TestCase(unittest.TestCase):
    def setUp(self) -> None:
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="samovar_install_"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.root = self.directory / "root"
        self.root.mkdir()
        self.tarball = make_tarball(self.directory / "samovar.tar.gz")

    def script(self, name: str, *flags, **variables) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(["bash", str(DEPLOY / "hdinsight" / name), *map(str, flags)], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=SECONDS, check=False, env={**os.environ, **variables})

    def install(self, role: str = "server", *flags, coordinator: str = COORDINATOR, tarball=None, **variables):
        return self.script("install.sh", "--role", role, "--coordinator", coordinator, "--tarball", tarball or self.tarball,
                           "--root", self.root, *flags, **variables)

    def installed(self, *arguments, **options) -> str:
        done = self.install(*arguments, **options)
        self.assertEqual(done.returncode, 0, f"{done.stdout}\n{done.stderr}")
        return done.stdout

    def assert_refused(self, done, code: int, text: str) -> None:
        self.assertEqual(done.returncode, code, f"{done.stdout}\n{done.stderr}")
        self.assertIn(text, done.stderr)

    def text(self, path: str) -> str:
        return (self.root / path).read_text(encoding="utf-8")

    def current(self) -> str:
        return os.readlink(self.root / "opt/samovar/current")


class InstallTest(TestCase):
    def test_a_second_run_changes_nothing_and_says_so(self):
        for role in ROLES:
            first = self.installed(role)
            self.assertRegex(first.splitlines()[-1], r"done, \d+ changes; " + role)
            before = tree(self.root)
            second = self.installed(role)
            self.assertIn("nothing had to be changed", second.splitlines()[-1])
            self.assertEqual(tree(self.root), before)
        self.assertIn("systemd does not run here", second)

    def test_each_role_has_its_configuration_unit_and_state(self):
        self.installed("coordinator", "--threads", 3)
        self.installed("server", "--allow-plaintext", "--listen", "wn1-x:7409", coordinator="192.0.2.7:7400")
        self.installed("worker", "--threads", 6, coordinator="192.0.2.7:7400")
        coordinator, server, worker = (self.text(f"etc/samovar/{role}.toml").splitlines() for role in ROLES)
        for line in ('listen = "127.0.0.1:7400"', "coordinator = true", "apply-threads = 3", "# allow-plaintext = true"):
            self.assertIn(line, coordinator)
        for line in ('listen = "wn1-x:7409"', 'join = "192.0.2.7:7400"', "apply-threads = 2", "allow-plaintext = true"):
            self.assertIn(line, server)
        for line in ('coordinator = "192.0.2.7:7400"', "threads = 6"):
            self.assertIn(line, worker)
        for line in (*coordinator, *server):
            self.assertFalse(line.startswith("advertise"), line)
        for role in ROLES:
            self.assertTrue((self.root / f"etc/systemd/system/samovar-{role}.service").is_file())
        self.assertTrue((self.root / "var/lib/samovar/coordinator").is_dir())
        self.assertEqual(self.current(), f"samovar-0.1.0-linux-x86_64-{sum_of(self.tarball)[:12]}")

    def test_the_units_follow_the_prefix(self):
        self.installed("worker", "--prefix", "/srv/samovar")
        self.assertIn("ExecStart=/srv/samovar/current/bin/samovar-worker --config", self.text("etc/systemd/system/samovar-worker.service"))
        self.assertNotIn("/opt/samovar", self.text("etc/systemd/system/samovar-worker.service"))
        self.assertTrue((self.root / "srv/samovar/current/bin/samovar-worker").is_file())

    def test_who_listens_everywhere_announces_what_others_can_dial(self):
        own = socket.gethostname()
        self.installed("coordinator", "--allow-plaintext", "--listen", "0.0.0.0:7400", coordinator=f"{own}:7400")
        self.assertIn(f'\nlisten = "0.0.0.0:7400"\nadvertise = "{own}:7400"\n', self.text("etc/samovar/coordinator.toml"))
        # The server itself finds out.
        self.installed("server", "--allow-plaintext", "--listen", "0.0.0.0:7401")
        self.assertIn('\nlisten = "0.0.0.0:7401"\n# advertise = ', self.text("etc/samovar/server.toml"))
        self.installed("server", "--allow-plaintext", "--listen", "0.0.0.0:7401", "--advertise", "wn1-x:9401")
        self.assertIn('\nlisten = "0.0.0.0:7401"\nadvertise = "wn1-x:9401"\n', self.text("etc/samovar/server.toml"))

    def test_an_edited_configuration_is_kept(self):
        self.installed("worker", "--threads", 6)
        config = self.root / "etc/samovar/worker.toml"
        # Not edited: it follows the parameters.
        self.assertIn("wrote /etc/samovar/worker.toml", self.installed("worker", "--threads", 7))
        edited = config.read_text(encoding="utf-8").replace("threads = 7", "threads = 1")
        config.write_text(edited, encoding="utf-8")
        said = self.installed("worker", "--threads", 8)
        self.assertIn("was edited by hand and stays", said)
        self.assertEqual(config.read_text(encoding="utf-8"), edited)
        self.assertIn("threads = 8", self.text("etc/samovar/worker.toml.new"))
        self.assertIn("nothing had to be changed", self.installed("worker", "--threads", 8))

    def test_another_tarball_takes_the_place_of_the_first(self):
        self.installed()
        first = self.current()
        newer = make_tarball(self.directory / "newer.tar.gz", "0.2.0")
        self.assertIn("/opt/samovar/current is samovar-0.2.0", self.installed(tarball=newer))
        self.assertTrue(self.current().startswith("samovar-0.2.0-"))
        self.assertTrue((self.root / "opt/samovar" / first / "bin/samovar").is_file())
        self.installed()
        self.assertEqual(self.current(), first)
        self.assertEqual([path.name for path in (self.root / "opt/samovar").iterdir() if path.name.startswith(".")], [])

    def test_the_coordinator_is_left_to_the_node_that_it_is_named_after(self):
        said = self.installed("coordinator", "--allow-plaintext", coordinator="192.0.2.8:7400")
        self.assertIn("nothing to do: the coordinator belongs on 192.0.2.8", said)
        self.assertEqual([path.name for path in self.root.rglob("*") if not path.is_dir()], ["install.log"])
        own = socket.gethostname()
        self.assertIn("wrote /etc/samovar/coordinator.toml",
                      self.installed("coordinator", "--allow-plaintext", coordinator=f"{own}:7400"))

    def test_what_was_installed_is_taken_off_again(self):
        for role in ROLES:
            self.installed(role)
        self.assertIn("removed", self.script("uninstall.sh", "--role", "server", "--root", self.root).stdout)
        self.assertFalse((self.root / "etc/systemd/system/samovar-server.service").exists())
        self.assertFalse((self.root / "etc/samovar/server.toml").exists())
        self.assertFalse((self.root / "var/lib/samovar/server").exists())
        self.assertTrue((self.root / "etc/samovar/worker.toml").is_file())
        self.assertTrue((self.root / "opt/samovar/current").exists())
        self.assertEqual(self.script("uninstall.sh", "--root", self.root).returncode, 0)
        self.assertEqual([path for path in self.root.rglob("*") if not path.is_dir()], [])
        self.assertFalse((self.root / "opt/samovar").exists())
        self.assertIn("nothing was installed", self.script("uninstall.sh", "--role", "all", "--root", self.root).stdout)
        self.assert_refused(self.script("uninstall.sh", "--role", "serve", "--root", self.root), 2, '"serve" is none of')


class MistakesTest(TestCase):
    def assert_untouched(self) -> None:
        self.assertEqual([str(path) for path in self.root.rglob("*") if not path.is_dir() and path.name != "install.log"], [])

    def test_wrong_parameters_are_refused_before_anything_is_begun(self):
        for flags, text in (
                (("--role", "sever"), '--role: "sever" is none of auto, coordinator, server and worker'),
                (("--coordinator", "hn0"), '"hn0" is not HOST:PORT'),
                (("--coordinator", "hn0:70000"), '"hn0:70000" is not HOST:PORT'),
                (("--tarball", "/nonexistent/samovar.tar.gz"), "there is no file /nonexistent/samovar.tar.gz"),
                (("--tarball", "ftp://x/y"), "only http:, https:, wasb[s]:"),
                (("--sha256", "abc"), '"abc" is not a sum'),
                (("--threads", "0"), '"0" is not a number of threads'),
                (("--prefix", "opt"), '"opt" is not an absolute path'),
                (("--listen", "here"), '"here" is not HOST:PORT'),
                (("--advertise", "here"), '"here" is not HOST:PORT'),
                (("--advertise", "0.0.0.0:7401"), "nobody can connect to 0.0.0.0"),
                (("--speed", "9"), 'unknown flag "--speed"'),
                (("--threads",), "--threads needs a value")):
            with self.subTest(flags=flags):
                self.assert_refused(self.install("server", *flags), 2, text)
        self.assert_refused(self.script("install.sh", "--role", "worker", "--coordinator", COORDINATOR, "--root", self.root), 2, "--tarball URI is missing")
        self.assert_refused(self.script("install.sh", "--role", "worker", "--tarball", self.tarball, "--root", self.root), 2,
                            "--coordinator HOST:PORT is missing")
        self.assert_refused(self.install("worker", "--listen", "a:1"), 2, "a worker listens nowhere")
        self.assert_untouched()

    def test_plain_text_beyond_this_machine_must_be_accepted(self):
        self.assert_refused(self.install("server", "--listen", "192.0.2.9:7401", coordinator="192.0.2.7:7400"), 2, "Accept that with --allow-plaintext")
        self.assert_untouched()

    def test_a_tarball_with_another_sum_is_refused(self):
        self.assert_refused(self.install("server", "--sha256", "0" * 64), 1, f"is {sum_of(self.tarball)}, not {'0' * 64}")
        self.assert_untouched()
        self.installed("server", "--sha256", sum_of(self.tarball).upper())

    def test_what_is_no_tarball_of_ours_is_refused(self):
        broken = self.directory / "broken.tar.gz"
        broken.write_bytes(self.tarball.read_bytes()[:300])
        self.assert_refused(self.install(tarball=broken), 1, "cannot be unpacked")
        other = self.directory / "other.tar.gz"
        with tarfile.open(other, "w:gz") as archive:
            archive.add(DEPLOY / "etc", "other/etc")
        self.assert_refused(self.install(tarball=other), 1, "is no tarball of Samovar")
        dead = make_tarball(self.directory / "dead.tar.gz", version_exit=1)
        self.assert_refused(self.install(tarball=dead), 1, "do not start here")
        self.assert_untouched()


class DownloadTest(TestCase):
    """From a server on this machine that refuses the first requests."""

    def setUp(self) -> None:
        super().setUp()
        self.requests, self.refusals = [], 0
        test, content = self, self.tarball.read_bytes()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                test.requests.append(self.path)
                refused = len(test.requests) <= test.refusals
                self.send_response(503 if refused else 200)
                self.end_headers()
                if not refused:
                    self.wfile.write(content)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(server.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(server.shutdown)
        self.url = f"http://127.0.0.1:{server.server_port}/samovar.tar.gz?sig=secret"
        # The waits between tries are written down instead of waited for.
        self.sleeps = self.directory / "sleeps"
        sleep = self.directory / "bin/sleep"
        sleep.parent.mkdir()
        sleep.write_text(f'#!/bin/sh\necho "$1" >>"{self.sleeps}"\n', encoding="utf-8")
        sleep.chmod(0o755)
        self.variables = {"PATH": f"{sleep.parent}:{os.environ['PATH']}", "no_proxy": "127.0.0.1", "TMPDIR": str(self.directory)}
        if not (shutil.which("curl") or shutil.which("wget")):
            self.skipTest("there is neither curl nor wget")

    def test_a_download_is_tried_again_with_growing_waits(self):
        self.refusals = 2
        said = self.installed("server", tarball=self.url, **self.variables)
        self.assertEqual(len(self.requests), 3)
        self.assertEqual(self.sleeps.read_text(encoding="utf-8").split(), ["2", "4"])
        self.assertIn("try 2 of 5 to fetch", said)
        self.assertNotIn("secret", said)
        self.assertEqual(self.current(), f"samovar-0.1.0-linux-x86_64-{sum_of(self.tarball)[:12]}")

    def test_a_download_that_never_works_is_given_up(self):
        self.refusals = 1000
        done = self.install("server", tarball=self.url, **self.variables)
        self.assert_refused(done, 1, "cannot be fetched")
        self.assertEqual(len(self.requests), 5)
        self.assertNotIn("secret", done.stdout + done.stderr)

    def test_what_is_here_by_its_sum_is_not_fetched_again(self):
        self.installed("server", "--sha256", sum_of(self.tarball), tarball=self.url, **self.variables)
        self.installed("worker", "--sha256", sum_of(self.tarball), tarball=self.url, **self.variables)
        self.assertEqual(len(self.requests), 1)


# The shell's script: the machine's own root, to which all that is written goes into memory, and is forgotten.
OVERLAY = """
mount -t tmpfs none "$1" && mkdir "$1/upper" "$1/scratch" "$1/root" \
  && mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/scratch" "$1/root" && mount -t proc proc "$1/root/proc" || exit 77
cp -r "$2" "$1/root/tmp/samovar-deploy" && cp "$3" "$1/root/tmp/samovar.tar.gz" || exit 1
exec chroot "$1/root" bash -ec "$4"
"""
# A node's life, in the changed root.
LIFE = """
install() { bash /tmp/samovar-deploy/hdinsight/install.sh --role server --coordinator 127.0.0.1:7400 --tarball /tmp/samovar.tar.gz; }
install
echo ---
install
echo ---
stat --format '%U:%G %a %n' /var/lib/samovar /var/lib/samovar/server
getent passwd samovar
bash /tmp/samovar-deploy/hdinsight/uninstall.sh
getent passwd samovar || echo no user
ls -d /opt/samovar /etc/samovar /var/lib/samovar /var/log/samovar /etc/systemd/system/samovar-* 2>/dev/null || echo nothing
"""


class RealRootTest(TestCase):
    def test_a_node_s_own_root_gets_a_user_and_its_state(self):
        if os.geteuid() != 0:
            self.skipTest("only root can change the root directory")
        done = subprocess.run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", OVERLAY, "sh", str(self.root),
                               str(DEPLOY), str(self.tarball), LIFE],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False)
        if done.returncode == SKIPPED or "unshare" in done.stderr:
            self.skipTest(f"this system gives no mount namespace with an overlay: {done.stderr}")
        self.assertEqual(done.returncode, 0, f"{done.stdout}\n{done.stderr}")
        first, second, after = done.stdout.split("---\n")
        self.assertIn("made the system user samovar", first)
        self.assertIn("systemd does not run here", first)
        self.assertIn("nothing had to be changed", second)
        self.assertIn("samovar:samovar 750 /var/lib/samovar\nsamovar:samovar 750 /var/lib/samovar/server", after)
        self.assertIn("/usr/sbin/nologin", after)
        self.assertIn("removed /opt/samovar/current", after)
        self.assertEqual(after.splitlines()[-2:], ["no user", "nothing"])


# The keys of a unit that systemd 237 knows.
KNOWN = set("""Description Documentation Wants After StartLimitIntervalSec StartLimitBurst Type NotifyAccess User Group SyslogIdentifier
ExecStart Restart RestartSec RestartPreventExitStatus TimeoutStartSec TimeoutStopSec StateDirectory LimitNOFILE UMask ProtectSystem
ReadWritePaths ProtectHome PrivateTmp PrivateDevices ProtectKernelTunables ProtectKernelModules ProtectControlGroups NoNewPrivileges
CapabilityBoundingSet RestrictNamespaces RestrictRealtime RestrictAddressFamilies LockPersonality MemoryDenyWriteExecute
SystemCallArchitectures SystemCallFilter SystemCallErrorNumber WantedBy RequiresMountsFor ExecStartPre Environment""".split())
KNOWN_CALLS = set("~@mount @module @raw-io @reboot @swap @debug @obsolete @clock @cpu-emulation".split())


class UnitTest(TestCase):
    def test_the_units_are_what_systemd_expects(self):
        if not shutil.which("systemd-analyze"):
            self.skipTest("there is no systemd-analyze")
        for role in ROLES:
            self.installed(role, *(["--cache", f"{self.directory}/cache"] if role == "worker" else []))
            # The programs are looked for where the unit says.
            unit = self.directory / f"samovar-{role}.service"
            if role == "worker":
                shutil.copytree(self.root / f"etc/systemd/system/{unit.name}.d", f"{unit}.d")
            text = self.text(f"etc/systemd/system/{unit.name}")
            unit.write_text(text.replace("/opt/samovar/", f"{self.root}/opt/samovar/"), encoding="utf-8")
            done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True,
                                  timeout=SECONDS, check=False)
            self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_the_units_ask_for_nothing_that_came_after_systemd_237(self):
        self.installed("worker", "--cache", "/mnt/resource/samovar/cache")
        drop_in = self.text("etc/systemd/system/samovar-worker.service.d/cache.conf")
        for role in ROLES:
            text = (DEPLOY / f"systemd/samovar-{role}.service").read_text(encoding="utf-8") + (drop_in if role == "worker" else "")
            directives = re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE)
            self.assertGreater(len(directives), 20)
            self.assertEqual({name for name, _ in directives} - KNOWN, set())
            self.assertEqual(set(dict(directives)["SystemCallFilter"].split()) - KNOWN_CALLS, set())


class ExampleTest(TestCase):
    """The real programs run with the configurations that are installed, and tell systemd how they are."""

    def run_until(self, program: str, message: str, *flags) -> str:
        """Until the service manager hears the message. Returns what came after SIGTERM."""
        binary = pathlib.Path(os.environ["SAMOVAR_BIN_DIR"]) / program
        path = self.directory / f"notify-{program}"
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(path))
            manager.settimeout(SECONDS)
            process = subprocess.Popen([str(binary), *map(str, flags)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                       env={**os.environ, "NOTIFY_SOCKET": str(path)})
            try:
                while message not in (heard := manager.recv(4096).decode()):
                    pass
                process.send_signal(signal.SIGTERM)
                self.assertEqual(process.wait(SECONDS), 0)
                # Lines about its work may stand before.
                while "STOPPING=1" not in (last := manager.recv(4096).decode()):
                    pass
                return last
            finally:
                process.kill()
                process.communicate()

    def test_servers_run_with_their_configurations(self):
        for role in ("coordinator", "server"):
            self.installed(role)
            last = self.run_until("samovar-server", "READY=1\nSTATUS=serves at 127.0.0.1:", "--config", self.root / f"etc/samovar/{role}.toml",
                                  "--listen", "127.0.0.1:0", "--state", self.directory / "state" / role)
            self.assertIn("STOPPING=1", last)

    def test_a_worker_runs_with_its_configuration(self):
        # Nobody listens there.
        self.installed("worker", coordinator="127.0.0.1:1")
        last = self.run_until("samovar-worker", "STATUS=joins 127.0.0.1:1", "--config", self.root / "etc/samovar/worker.toml")
        self.assertIn("STOPPING=1", last)


if __name__ == "__main__":
    unittest.main()
