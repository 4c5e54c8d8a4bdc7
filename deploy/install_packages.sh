#!/usr/bin/env bash
# Installs the packages of deploy/packages.txt that are missing. Does nothing, and needs neither root nor a network, if none is.
#
#   bash deploy/install_packages.sh [PACKAGES_FILE]
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
list="${1:-$here/packages.txt}"
tries=3

fail() {
  printf 'install_packages: error: %s\n' "$*" >&2
  exit 1
}

# A package that was removed leaves its configuration behind: only "installed" counts.
is_installed() {
  [[ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" == installed ]]
}

missing_packages() {
  local package
  for package in "${packages[@]}"; do
    is_installed "$package" || printf '%s\n' "$package"
  done
}

# Package servers fail now and then; the next try goes on from the packages that the last one has fetched.
with_retries() {
  local try
  for ((try = 1; try <= tries; ++try)); do
    "$@" && return 0
    ((try < tries)) || break
    printf 'install_packages: try %d of %d failed; again in %d s\n' "$try" "$tries" $((try * 5)) >&2
    sleep $((try * 5))
  done
  return 1
}

apt() {
  # shellcheck disable=SC2086  # $sudo is empty or one word
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@"
}

[[ -r "$list" ]] || fail "cannot read the list of packages $list"
mapfile -t packages < <(sed -e 's/#.*//' -e '/[[:space:]]optional[[:space:]]*$/d' -e 's/[[:space:]]//g' -e '/^$/d' "$list")
mapfile -t optional < <(sed -n -e 's/#.*//' -e 's/^[[:space:]]*\([^[:space:]]*\)[[:space:]]*[[:space:]]optional[[:space:]]*$/\1/p' "$list")
((${#packages[@]} > 0)) || fail "$list names no package"

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  fail "this system has no apt-get; on other than Debian 12 and Ubuntu 22.04 or later install the counterparts of: ${packages[*]}"
fi

mapfile -t missing < <(missing_packages)
if ((${#missing[@]} == 0)); then
  echo "all ${#packages[@]} packages are installed"
  exit 0
fi

sudo=
if ((EUID != 0)); then
  command -v sudo >/dev/null || fail "not root, and there is no sudo; as root run: apt-get install ${missing[*]}"
  sudo=sudo
fi

echo "installing ${#missing[@]} of ${#packages[@]} packages: ${missing[*]}"
with_retries apt update -qq || fail "the lists of packages cannot be fetched (apt-get update); is the network up, and is /etc/apt/sources.list right?"

for package in "${missing[@]}"; do
  # "Candidate: (none)" is a package that is known by name only. Not `apt-cache | grep -q`: grep may leave first, apt-cache then
  # dies of SIGPIPE, and pipefail calls that a failure.
  policy="$(LC_ALL=C apt-cache policy "$package" 2>/dev/null || true)"
  if [[ ! "$policy" =~ 'Candidate: '[^\(] ]]; then
    hint="Debian 12 and Ubuntu 22.04 have it; if messages above say that lists could not be fetched, that is why"
    if grep -qs '^ID=ubuntu' /etc/os-release; then
      hint='it may be in the component "universe": sudo add-apt-repository universe'
    fi
    fail "no package source has $package; $hint"
  fi
done

# They come with the others, and nothing fails for them.
for package in "${optional[@]}"; do
  is_installed "$package" || apt install -y --no-install-recommends -qq "$package" \
    || printf 'install_packages: the optional package %s was not installed; its message is above\n' "$package" >&2
done

with_retries apt install -y --no-install-recommends -qq "${missing[@]}" \
  || fail "apt-get install failed, its messages are above; is the disk full, or was it interrupted before (dpkg --configure -a)?"

mapfile -t missing < <(missing_packages)
((${#missing[@]} == 0)) || fail "still not installed: ${missing[*]}"
echo "all ${#packages[@]} packages are installed"
