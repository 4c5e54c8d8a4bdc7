#!/usr/bin/env bash
# Tests the script actions in roots of other distributions' own userland, among them that of HDInsight's nodes, Ubuntu 18.04.
#   bash tests/deploy/run.sh [names of tests]      for example: RootsTest.test_ubuntu_18_04
# SAMOVAR_BUNDLE names the tarball; unset: that of build/release (cmake --build --preset release --target bundle). Needs root, debootstrap
# and the distributions' mirrors; what was fetched stays in SAMOVAR_TEST_TOOLS, or in
# build/test-tools. Takes three minutes the first time, two minutes then. Exit code 0 only if all rows hold; the last line is the summary.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
tools="${SAMOVAR_TEST_TOOLS:-$root/build/test-tools}/roots"
if [ -z "${SAMOVAR_BUNDLE:-}" ]; then
  SAMOVAR_BUNDLE="$(find "$root/build/release" -maxdepth 1 -name 'samovar-*-linux-x86_64.tar.gz' | sort | tail -n 1)"
fi
[ -f "$SAMOVAR_BUNDLE" ] || { echo "tests/deploy: there is no tarball; make it, or name it in SAMOVAR_BUNDLE"; exit 1; }
mkdir -p "$tools"
# make NAME MIRROR SUITE KEYRING: its own systemd is there to judge the units, and curl as on the nodes.
make() {
  [ ! -e "$tools/$1/complete" ] || return 0
  rm -rf "${tools:?}/$1"
  debootstrap --variant=minbase --include=systemd,curl,ca-certificates --keyring="$4" "$3" "$tools/$1" "$2" >"$tools/$1.log" 2>&1 \
    || { tail -n 20 "$tools/$1.log"; echo "tests/deploy: no root of $1 could be made"; exit 1; }
  touch "$tools/$1/complete"
}
# Debian has no package of Ubuntu's keys.
ubuntu="$tools/keys/usr/share/keyrings/ubuntu-archive-keyring.gpg"
if [ ! -f "$ubuntu" ]; then
  curl --fail --silent --show-error --output "$tools/keys.deb" \
    https://archive.ubuntu.com/ubuntu/pool/main/u/ubuntu-keyring/ubuntu-keyring_2018.02.28_all.deb
  dpkg-deb --extract "$tools/keys.deb" "$tools/keys"
fi
make ubuntu-18.04 http://archive.ubuntu.com/ubuntu bionic "$ubuntu"
make debian-12 http://deb.debian.org/debian bookworm /usr/share/keyrings/debian-archive-keyring.gpg
export SAMOVAR_BUNDLE SAMOVAR_ROOTS="$tools"
if python3 -B "$here/roots_itest.py" "$@"; then
  echo "tests/deploy: all rows hold"
else
  echo "tests/deploy: some rows do not hold"
  exit 1
fi
