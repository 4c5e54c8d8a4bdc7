"""An HDFS that asks for Kerberos' tickets, and the service that gives them: a realm of its own on loopback.

Needs Debian's krb5-kdc, krb5-admin-server and krb5-user.
"""

import os
import pathlib
import shutil
import subprocess
import time
from typing import Dict, List

import hdfs

REALM = "SAMOVAR.TEST"
SECONDS = 60


def why_not() -> str:
    """Why this machine cannot have it; empty if it can."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [name for name in ("krb5kdc", "kdb5_util", "kadmin.local", "kinit") if shutil.which(name, path=path) is None]
    return f"there is no {missing[0]}" if missing else ""


class KerberosHdfs(hdfs.Hdfs):
    def __init__(self, datanodes: int = 1) -> None:
        super().__init__(datanodes)
        self.realm = self.path / "realm"
        self.realm.mkdir()
        self.port = hdfs.free_port()
        (self.realm / "krb5.conf").write_text(f"""[libdefaults]
  default_realm = {REALM}
  dns_lookup_kdc = false
  dns_lookup_realm = false
  rdns = false
  dns_canonicalize_hostname = false
  udp_preference_limit = 1
[realms]
  {REALM} = {{
    kdc = 127.0.0.1:{self.port}
  }}
""", encoding="utf-8")
        (self.realm / "kdc.conf").write_text(f"""[kdcdefaults]
  kdc_ports = {self.port}
  kdc_tcp_ports = {self.port}
[realms]
  {REALM} = {{
    database_name = {self.realm}/principal
    key_stash_file = {self.realm}/stash
    acl_file = {self.realm}/acl
  }}
""", encoding="utf-8")
        self.environment = {"KRB5_CONFIG": str(self.realm / "krb5.conf"), "KRB5_KDC_PROFILE": str(self.realm / "kdc.conf"),
                            "KRB5CCNAME": f"FILE:{self.realm}/tickets"}
        os.environ.update(self.environment)

    def core(self) -> Dict[str, str]:
        return {**super().core(), "hadoop.security.authentication": "kerberos", "hadoop.security.authorization": "true",
                "hadoop.http.authentication.type": "kerberos", "hadoop.http.authentication.kerberos.principal": f"HTTP/localhost@{REALM}",
                "hadoop.http.authentication.kerberos.keytab": f"{self.path}/realm/hdfs.keytab"}

    def site(self) -> Dict[str, str]:
        keys = {"namenode": "dfs.namenode.keytab.file", "datanode": "dfs.datanode.keytab.file"}
        daemons = {f"dfs.{daemon}.kerberos.principal": f"hdfs/localhost@{REALM}" for daemon in keys}
        return {**super().site(), **daemons, **{name: f"{self.path}/realm/hdfs.keytab" for name in keys.values()},
                "dfs.web.authentication.kerberos.principal": f"HTTP/localhost@{REALM}",
                "dfs.web.authentication.kerberos.keytab": f"{self.path}/realm/hdfs.keytab", "dfs.block.access.token.enable": "true",
                "ignore.secure.ports.for.testing": "true", "dfs.replication": "1"}

    def java(self, conf: pathlib.Path, *words: str, megabytes: int = 256) -> List[str]:
        java, *rest = super().java(conf, *words, megabytes=megabytes)
        return [java, f"-Djava.security.krb5.conf={self.realm}/krb5.conf", *rest]

    def kerberos(self, *words: str, text: str = "") -> None:
        path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
        subprocess.run(words, check=True, capture_output=True, text=True, input=text, timeout=SECONDS, env={**os.environ, "PATH": path})

    def __enter__(self) -> "KerberosHdfs":
        self.kerberos("kdb5_util", "create", "-s", "-r", REALM, "-P", "of a test")
        for principal in ("hdfs/localhost", "HTTP/localhost"):
            self.kerberos("kadmin.local", "-q", f"addprinc -randkey {principal}")
            self.kerberos("kadmin.local", "-q", f"ktadd -k {self.realm}/hdfs.keytab {principal}")
        self.processes.append(subprocess.Popen([shutil.which("krb5kdc", path="/usr/sbin:/sbin:/usr/bin"), "-n"], stdin=subprocess.DEVNULL,
                                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                self.kerberos("kinit", "-k", "-t", f"{self.realm}/hdfs.keytab", "hdfs/localhost")
                break
            except subprocess.CalledProcessError as failed:
                if time.monotonic() > deadline:
                    raise RuntimeError(failed.stderr) from failed
                time.sleep(0.2)
        super().__enter__()
        return self

    def __exit__(self, *_) -> None:
        super().__exit__(*_)
        for name in self.environment:
            os.environ.pop(name, None)

    def destroy_tickets(self) -> None:
        self.kerberos("kdestroy")
