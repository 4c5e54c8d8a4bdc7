#!/usr/bin/env python3
"""The script action as HDInsight's nodes run it, into empty directories: nodes whose names, configuration and Hadoop client are
stand-ins. Prints the last line of each outcome as a table.
"""

import http.server
import pathlib
import re
import socketserver
import sys
import threading
from typing import Dict, Optional, Tuple

import install_test
from install_test import DEPLOY, TestCase, make_tarball, sum_of

DOMAIN = "mycluster.abcdef.ex.internal.cloudapp.net"
NODES = ("hn0", "hn1", "wn0", "wn1", "zk0", "ed0")
ADDRESSES = {f"{node}-{DOMAIN}": f"10.0.0.{number}" for number, node in enumerate(NODES, start=4)}
# Stand-ins for programs that look at the node. `hdfs` copies from a directory of this machine, and writes down what it was asked for.
HOSTNAME = """#!/bin/sh
case "$1" in
  -I) echo "$NODE_ADDRESS " ;;
  -s) echo "${NODE_NAME%%.*}" ;;
  *) echo "$NODE_NAME" ;;
esac
"""
GETENT = """#!/bin/sh
case "$1" in ahostsv4 | hosts) ;; *) exec /usr/bin/getent "$@" ;; esac
case "$2" in [0-9]*.*.*.*) echo "$2 STREAM $2"; exit ;; esac
grep "^$2 " "$NODE_HOSTS" | while read -r name address; do echo "$address STREAM $name"; done
grep -q "^$2 " "$NODE_HOSTS"
"""
HDFS = """#!/bin/sh
echo "$*" >>"$NODE_ASKED"
for last; do :; done
for before_last; do [ "$before_last" = "$last" ] || file=$before_last; done
[ -f "$NODE_STORAGE/${file##*/}" ] || { echo "get: '$file': No such file or directory" >&2; exit 1; }
cp "$NODE_STORAGE/${file##*/}" "$last"
"""
CORE_SITE = """<?xml version="1.0"?>
<configuration>
  <!-- <property><name>fs.defaultFS</name><value>hdfs://old</value></property> -->
  <property><name>fs.azure.account.key.account.blob.core.windows.net</name><value>c2VjcmV0</value></property>
  <property>
    <name>fs.defaultFS</name>
    <value>{fs}</value>
    <final>true</final>
  </property>
</configuration>
"""
HDFS_SITE = """<configuration>
  <property><name>dfs.nameservices</name><value>mycluster</value></property>
  <property><name>dfs.namenode.http-address.mycluster.nn1</name><value>{first}:30070</value></property>
  <property><name>dfs.namenode.http-address.mycluster.nn2</name><value>{second}:30070</value></property>
</configuration>
"""
YARN_SITE = """<configuration><property>
  <name>yarn.nodemanager.resource.memory-mb</name><value>{mebibytes}</value></property></configuration>
"""
WASB = "wasbs://data@account.blob.core.windows.net"
TABLE: Dict[str, str] = {}


def readme_rows() -> Dict[str, Tuple[int, str]]:
    """The table of deploy/README.md: case -> exit code, and what the last line begins with, as a regular expression."""
    text = (DEPLOY / "README.md").read_text(encoding="utf-8").split("### What fails, and what it says")[1].split("###")[0]
    rows = re.findall(r"^\| ([^|]+) \| (\d) \| `(.+)` \|$", text, re.MULTILINE)
    return {case: (int(code), re.escape(said).replace(r"\.\.\.", ".*")) for case, code, said in rows}


README = readme_rows()


def tearDownModule() -> None:
    if TABLE:
        print("\nThe last line on standard output:", *(f"  {case}\n    {line}" for case, line in TABLE.items()), sep="\n", file=sys.stderr)


class NodeTest(TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.bin = self.directory / "bin"
        self.bin.mkdir()
        for name, text in (("hostname", HOSTNAME), ("getent", GETENT), ("hdfs", HDFS)):
            self.program(name, text)
        self.hosts = dict(ADDRESSES)
        self.storage = self.directory / "storage"
        self.storage.mkdir()
        self.put_conf("hdfs-site.xml", HDFS_SITE.format(first=f"hn1-{DOMAIN}", second=f"hn0-{DOMAIN}"))
        self.put_conf("core-site.xml", CORE_SITE.format(fs=WASB))

    def program(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text, encoding="utf-8")
        (self.bin / name).chmod(0o755)

    def put_conf(self, name: str, text: str) -> None:
        path = self.root / "etc/hadoop/conf" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def act(self, node: str, *flags, script: str = "install.sh", plaintext: bool = True, tarball=None, row: Optional[str] = None):
        """The action on that node; `row`: a case of the table."""
        name = f"{node}-{DOMAIN}" if node in NODES else node
        hosts = self.directory / "hosts"
        hosts.write_text("".join(f"{host} {address}\n" for host, address in self.hosts.items()), encoding="ascii")
        if script == "install.sh":
            flags = ("--tarball", tarball or self.tarball, *(["--allow-plaintext"] if plaintext else []), *flags)
        done = self.script(script, "--root", self.root, *flags, PATH=f"{self.bin}:/usr/bin:/bin:/usr/sbin:/sbin", NODE_NAME=name,
                           NODE_ADDRESS=self.hosts.get(name, "10.0.0.99"), NODE_HOSTS=str(hosts), NODE_STORAGE=str(self.storage),
                           NODE_ASKED=str(self.directory / "asked"), TMPDIR=str(self.directory))
        if row in README:
            self.assertEqual(done.returncode, README[row][0])
            self.assertRegex(done.stdout.splitlines()[-1], f"^samovar install: {README[row][1]}$")
        if row:
            TABLE[f"{row} (exit code {done.returncode})"] = done.stdout.splitlines()[-1].replace(str(self.root), "")
        return done

    def acted(self, *arguments, **options) -> str:
        done = self.act(*arguments, **options)
        self.assertEqual(done.returncode, 0, f"{done.stdout}\n{done.stderr}")
        return done.stdout

    def assert_fails(self, done, code: int, text: str) -> None:
        self.assert_refused(done, code, text)
        # What an operator sees first is on the standard output, as its last line; the log has it as well.
        how = "refused" if code == 2 else "failed"
        self.assertTrue(done.stdout.splitlines()[-1].startswith(f"samovar install: {how}: "), done.stdout)
        self.assertIn(text, self.text("var/log/samovar/install.log"))

    def installed_roles(self) -> list:
        return sorted(path.name[len("samovar-"):-len(".service")] for path in (self.root / "etc/systemd/system").glob("samovar-*.service"))


class AutoTest(NodeTest):
    def test_the_lowest_head_node_is_the_coordinator_with_a_home_on_the_cluster_s_storage(self):
        self.acted("hn0", row="head node, the lowest")
        self.assertEqual(self.installed_roles(), ["coordinator"])
        lines = self.text("etc/samovar/coordinator.toml").splitlines()
        home = f"{WASB}/samovar/mycluster.abcdef"
        for line in (f'listen = "hn0-{DOMAIN}:7400"', "coordinator = true", f'home = "{home}"', f'snapshots = "{home}/snapshots"',
                     "allow-plaintext = true"):
            self.assertIn(line, lines)
        self.assertIn("nothing had to be changed", self.acted("hn0", row="the same again").splitlines()[-1])

    def test_other_head_nodes_and_nodes_of_other_types_get_nothing(self):
        for node, why in (("hn1", f"the coordinator belongs on hn0-{DOMAIN}"), ("zk0", "a node of type zookeeper"),
                          ("ed0", "a node of type edge")):
            self.assertIn(f"nothing to do: {'' if node == 'hn1' else 'this is '}{why}", self.acted(node, row="other head nodes, and nodes of other types").splitlines()[-1])
        self.assertEqual(self.installed_roles(), [])

    def test_worker_nodes_get_a_server_and_a_worker_unless_the_flag_says_other(self):
        self.acted("wn0", row="worker node")
        self.assertEqual(self.installed_roles(), ["server", "worker"])
        home = f"{WASB}/samovar/mycluster.abcdef"
        self.assertIn(f'join = "{home}"', self.text("etc/samovar/server.toml").splitlines())
        self.assertIn(f'listen = "wn0-{DOMAIN}:7401"', self.text("etc/samovar/server.toml").splitlines())
        self.assertIn(f'coordinator = "{home}"', self.text("etc/samovar/worker.toml").splitlines())
        self.acted("wn0", script="uninstall.sh")
        self.acted("wn0", "--worker-roles", "worker")
        self.assertEqual(self.installed_roles(), ["worker"])

    def test_a_named_node_is_the_coordinator_instead(self):
        self.acted("wn0", "--coordinator", f"wn0-{DOMAIN}")
        # A coordinator is a server, too.
        self.assertEqual(self.installed_roles(), ["coordinator", "worker"])
        self.assertIn(f'listen = "wn0-{DOMAIN}:7400"', self.text("etc/samovar/coordinator.toml").splitlines())
        self.assertIn(f"nothing to do: the coordinator belongs on wn0-{DOMAIN}", self.acted("hn0", "--coordinator", f"wn0-{DOMAIN}"))

    def test_a_coordinator_whose_place_another_node_takes_is_taken_off(self):
        self.acted("hn0")
        said = self.acted("hn0", "--coordinator", f"hn1-{DOMAIN}", row="head node whose part another has now")
        self.assertIn(f"took the coordinator off this node: it belongs on hn1-{DOMAIN}", said)
        self.assertEqual(self.installed_roles(), [])
        self.assertTrue((self.root / "var/lib/samovar/coordinator").is_dir())

    def test_without_hdfs_site_the_head_node_is_found_by_the_node_s_own_name(self):
        (self.root / "etc/hadoop/conf/hdfs-site.xml").unlink()
        del self.hosts[f"hn0-{DOMAIN}"]
        self.acted("hn1")
        self.assertEqual(self.installed_roles(), ["coordinator"])

    def test_without_a_storage_that_can_hold_it_there_is_no_home(self):
        self.put_conf("core-site.xml", CORE_SITE.format(fs="adl://store"))
        said = self.acted("wn0")
        self.assertIn('is "adl://store", where no home can be', said)
        self.assertIn(f'join = "hn0-{DOMAIN}:7400"', self.text("etc/samovar/server.toml").splitlines())
        self.acted("hn0")
        self.assertNotIn("\nhome = ", self.text("etc/samovar/coordinator.toml"))

    def test_a_home_that_was_given_counts(self):
        self.acted("hn0", "--home", "hdfs://mycluster/samovar", "--snapshots", "none")
        config = self.text("etc/samovar/coordinator.toml")
        self.assertIn('\nhome = "hdfs://mycluster/samovar"\n', config)
        self.assertNotIn("\nsnapshots = ", config)
        self.acted("hn0", "--home", "none")
        self.assertNotIn("\nhome = ", self.text("etc/samovar/coordinator.toml"))

    def test_a_server_leaves_yarn_its_share_of_the_node(self):
        with open("/proc/meminfo", encoding="ascii") as file:
            total = int(file.readline().split()[1]) // 1024
        self.put_conf("yarn-site.xml", YARN_SITE.format(mebibytes=total // 2))
        self.acted("wn0")
        self.assertIn(f"\nparameter-memory = {(total - total // 2 - 1024) * 3 // 4}\n", self.text("etc/samovar/server.toml"))
        self.put_conf("yarn-site.xml", YARN_SITE.format(mebibytes=total))
        self.assertIn("a server gets 512 MiB", self.acted("wn0"))
        self.assertIn("\nparameter-memory = 512\n", self.text("etc/samovar/server.toml"))
        self.acted("wn0", "--parameter-memory", 700)
        self.assertIn("\nparameter-memory = 700\n", self.text("etc/samovar/server.toml"))

    def test_the_cache_is_on_the_temporary_disk_and_its_unit_makes_it_at_each_start(self):
        (self.root / "mnt/resource").mkdir(parents=True)
        self.acted("wn0")
        self.assertTrue((self.root / "mnt/resource/samovar/cache").is_dir())
        self.assertRegex(self.text("etc/samovar/worker.toml"), r'\ncache = "/mnt/resource/samovar/cache"\ncache-bytes = [1-9]\d{6,}\n')
        drop_in = self.text("etc/systemd/system/samovar-worker.service.d/cache.conf")
        self.assertIn("\nExecStartPre=+/usr/bin/install -d -o samovar -g samovar -m 750 /mnt/resource/samovar/cache "
                      "/mnt/resource/samovar/cache.files\n", drop_in)
        self.assertIn("\nRequiresMountsFor=/mnt/resource/samovar/cache\n", drop_in)
        self.acted("wn0", "--cache", "none")
        self.assertNotIn("\ncache = ", self.text("etc/samovar/worker.toml"))
        self.assertFalse((self.root / "etc/systemd/system/samovar-worker.service.d/cache.conf").exists())

    def test_the_tarball_comes_from_storage_by_the_node_s_own_client(self):
        make_tarball(self.storage / "samovar.tar.gz")
        for scheme in ("wasbs://data@account.blob.core.windows.net", "abfs://data@account.dfs.core.windows.net", "hdfs://mycluster"):
            self.acted("wn0", tarball=f"{scheme}/bundles/samovar.tar.gz")
            self.assertIn(f"dfs -get -f {scheme}/bundles/samovar.tar.gz ", (self.directory / "asked").read_text(encoding="ascii"))
            self.acted("wn0", script="uninstall.sh")
        done = self.act("wn0", tarball="wasbs:///bundles/other.tar.gz", row="tarball that is not in the storage")
        self.assert_fails(done, 1, "wasbs:///bundles/other.tar.gz cannot be fetched, there is no such file")
        (self.bin / "hdfs").unlink()
        self.assert_fails(self.act("wn0", tarball="wasbs:///bundles/samovar.tar.gz", row="no Hadoop client"), 1, "there is no Hadoop client")

    def test_nothing_is_left_after_its_removal_but_what_was_to_be_kept(self):
        (self.root / "mnt/resource").mkdir(parents=True)
        before = self.names()
        for flags in ((), ("--keep-state",)):
            self.acted("wn0")
            (self.root / "var/lib/samovar/server/snapshot").write_text("x", encoding="ascii")
            said = self.acted("wn0", *flags, script="uninstall.sh", row=f"uninstall.sh {' '.join(flags)}")
            self.assertRegex(said.splitlines()[-1], r"done, \d+ changes")
            left = {name for name in self.names() - before if not (self.root / name).is_dir()}
            self.assertEqual(left, {"var/lib/samovar/server/snapshot"} if flags else set())
        # What was kept goes with the next.
        self.assertIn("removed /var/lib/samovar", self.acted("wn0", script="uninstall.sh"))
        self.assertIn("nothing was installed", self.acted("hn0", script="uninstall.sh", row="uninstall.sh where nothing is").splitlines()[-1])
        done = self.act("hn0", "--role", "serve", script="uninstall.sh", row="uninstall.sh --role serve")
        self.assert_refused(done, 2, '"serve" is none of all, coordinator, server and worker')

    def names(self) -> set:
        return {str(path.relative_to(self.root)) for path in self.root.rglob("*")}


class FailingTest(NodeTest):
    """What fails and what it says; nothing is installed then."""

    def assert_nothing_is_installed(self) -> None:
        self.assertEqual(self.installed_roles(), [])
        self.assertFalse((self.root / "opt/samovar/current").exists())

    def test_a_name_that_does_not_resolve_is_no_success(self):
        for flags in (("--coordinator", "hn7-nowhere"), ("--coordinator", "hn7-nowhere:7400", "--role", "coordinator"),
                      ("--coordinator", "hn7-nowhere:7400", "--role", "worker")):
            done = self.act("hn0", *flags, row="coordinator's name does not resolve")
            self.assert_fails(done, 2, "the coordinator hn7-nowhere does not resolve on hn0-")
        del self.hosts[f"wn0-{DOMAIN}"]
        done = self.act("wn0", row="the node's own name does not resolve")
        self.assert_fails(done, 2, f"this node's own name wn0-{DOMAIN} does not resolve")
        self.hosts = {}
        self.assert_fails(self.act("wn1", row="head node is gone from DNS"), 2, f"the coordinator hn0-{DOMAIN} does not resolve")
        self.assert_nothing_is_installed()

    def test_a_node_of_unknown_type_needs_its_role(self):
        self.assert_fails(self.act("vm17", row="name of no type of node"), 2, "is of no type of HDInsight's nodes")
        (self.root / "etc/hadoop/conf/hdfs-site.xml").unlink()
        self.assert_fails(self.act("vm17", row="head nodes are not known"), 2, "the lowest head node is not known")
        self.assert_nothing_is_installed()

    def test_wrong_parameters_are_named(self):
        for flags, text in ((("--role", "boss"), '--role: "boss" is none of auto, coordinator, server and worker'),
                            (("--worker-roles", "cook"), '--worker-roles: "cook" is none of'),
                            (("--tarball", "ftp://x/y"), "of URIs only http:, https:, wasb[s]:, abfs[s]: and hdfs:"),
                            (("--home", "here"), '--home: "here" is neither none nor an absolute path or a URI'),
                            (("--home", 'hdfs:///x"y'), "is neither none nor"),
                            (("--cache", "wasb:///c"), "is no path of this node"),
                            (("--cache-bytes", "1G"), '--cache-bytes: "1G" is not a number'),
                            (("--cotton",), 'unknown flag "--cotton"'),
                            (("--role",), "--role needs a value")):
            with self.subTest(flags=flags):
                done = self.act("wn0", *flags, row=f"parameters {' '.join(flags)}")
                self.assert_refused(done, 2, text)
                self.assertTrue(done.stdout.splitlines()[-1].startswith("samovar install: refused: "))
        self.assert_fails(self.act("wn0", plaintext=False, row="without --allow-plaintext"), 2, "Accept that with --allow-plaintext")
        self.assert_nothing_is_installed()

    def test_help_names_every_flag_and_every_exit_code(self):
        said = self.script("install.sh", "--help").stdout
        source = (DEPLOY / "hdinsight/install.sh").read_text(encoding="utf-8")
        for flag in ("--role", "--coordinator", "--worker-roles", "--tarball", "--sha256", "--home", "--snapshots", "--cache", "--cache-bytes",
                     "--parameter-memory", "--listen", "--advertise", "--threads", "--allow-plaintext", "--prefix", "--root"):
            self.assertIn(f"\n  {flag} ", said) if flag != "--tarball" else self.assertIn("--tarball URI", said)
            self.assertIn(f"{flag} ", source)
        self.assertIn("Exit codes: 0 installed, or nothing to do; 1 it failed; 2 the parameters are wrong", said)

    def test_broken_downloads_install_nothing(self):
        content = self.tarball.read_bytes()
        good = sum_of(self.tarball)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                status = 404 if self.path.startswith("/none") else 200
                self.send_response(status)
                # One says how much is to come, and breaks off; one does not.
                if self.path.startswith("/broken"):
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if status == 200:
                    self.wfile.write(content if self.path.startswith("/whole") else content[:len(content) // 2])

            def log_message(self, *_):
                pass

        class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True

        server = Server(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(server.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(server.shutdown)
        url = f"http://127.0.0.1:{server.server_port}"
        self.program("sleep", "#!/bin/sh\n")
        for path, flags, text, row in (
                ("none", (), "cannot be fetched, the server says 404", "tarball's address answers 404"),
                ("broken", (), "cannot be fetched in 5 tries", "download that breaks off"),
                ("cut", (), "cannot be unpacked; is it whole", "tarball that is cut short"),
                ("cut", ("--sha256", good), "not " + good, "tarball that is cut short, with --sha256"),
                ("whole", ("--sha256", "0" * 64), f"the sum of {url}/whole is {good}, not {'0' * 64}", "tarball with another sum")):
            with self.subTest(path=path):
                done = self.act("wn0", *flags, tarball=f"{url}/{path}?sig=secret", row=row)
                TABLE[f"{row} (exit code {done.returncode})"] = TABLE[f"{row} (exit code {done.returncode})"].replace(url, "https://HOST")
                self.assert_fails(done, 1, text)
                self.assert_nothing_is_installed()
        self.assertNotIn("secret", self.text("var/log/samovar/install.log"))
        self.assertNotIn("secret", done.stdout + done.stderr)
        self.assertEqual([path.name for path in (self.root / "opt/samovar").iterdir()], [])

    def test_the_readme_s_table_has_rows_that_tests_have_run(self):
        self.assertGreater(len(README), 10)
        sources = [pathlib.Path(__file__), install_test.REPOSITORY / "tests/integration/action_itest.py"]
        text = "".join(path.read_text(encoding="utf-8") for path in sources)
        for row in README:
            self.assertTrue(row.startswith("parameters ") or f'"{row}"' in text, row)

    def test_what_ends_it_unforeseen_is_told_as_well(self):
        self.program("sha256sum", "#!/bin/sh\nexit 3\n")
        done = self.act("wn0")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("samovar install: failed: it ended before its end", done.stdout.splitlines()[-1])


if __name__ == "__main__":
    install_test.unittest.main()
