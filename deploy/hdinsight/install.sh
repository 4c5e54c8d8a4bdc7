#!/usr/bin/env bash
# Installs one role of a Samovar cluster on this node: a script action of HDInsight, and as good on any x86-64 Linux with bash.
# As root:
#
#   install.sh --role coordinator|server|worker --coordinator HOST:PORT --tarball PATH_OR_URL [flags]
#   --role NAME            the part of this node; a node may have several roles, each by a run of its own
#   --coordinator H:P      the coordinator's address. The coordinator itself is installed only on the node that H names: a script
#                          action runs on both head nodes
#   --tarball PATH_OR_URL  samovar-VERSION-linux-x86_64.tar.gz
#   --sha256 SUM           refuses a tarball that has another sum; a node that has it already downloads nothing
#   --listen HOST:PORT     where a server or the coordinator listens; otherwise this node's name, and port 7401 or the coordinator's
#   --advertise HOST:PORT  the address that it announces to others, if it is another than the one of --listen. With
#                          --listen 0.0.0.0:PORT a server finds it out, and the coordinator takes the one of --coordinator
#   --threads N            threads that compute (worker) or apply gradients (others); otherwise every processor, or 2
#   --allow-plaintext      accepts that anyone who reaches the port can read and change the training. Servers that listen beyond
#                          this machine are installed only with it
#   --prefix DIR           /opt/samovar
#   --root DIR             installs below DIR as if that were /, and starts nothing
#
# It can be run again and again: what is there already stays, and a run that changes nothing says so. A configuration in
# /etc/samovar that was edited by hand is kept. Another tarball is unpacked beside the old one, and then takes its place.
# Exit codes: 0 installed, or nothing to do; 1 it failed; 2 the parameters are wrong, and nothing was begun.
set -euo pipefail
umask 022

role='' coordinator='' tarball='' sum='' listen='' advertise='' threads='' plaintext=no prefix=/opt/samovar root=''
user=samovar
tries=5
changes=0

say() { printf 'samovar install: %s\n' "$*"; }
did() {
  say "$*"
  changes=$((changes + 1))
}
fail() {
  printf 'samovar install: error: %s\n' "$*" >&2
  exit 1
}
wrong() {
  printf 'samovar install: error: %s\nThe head of this script, and deploy/README.md in the tarball, explain the flags.\n' "$*" >&2
  exit 2
}

# --- Parameters ---

parse() {
  while (($# > 0)); do
    case "$1" in
      --allow-plaintext)
        plaintext=yes
        shift
        continue
        ;;
      --role | --coordinator | --tarball | --sha256 | --listen | --advertise | --threads | --prefix | --root)
        (($# >= 2)) || wrong "$1 needs a value" ;;
      *) wrong "unknown flag \"$1\"; there are --role, --coordinator, --tarball, --sha256, --listen, --advertise, --threads, --allow-plaintext, --prefix and --root" ;;
    esac
    case "$1" in
      --role) role="$2" ;;
      --coordinator) coordinator="$2" ;;
      --tarball) tarball="$2" ;;
      --sha256) sum="${2,,}" ;;
      --listen) listen="$2" ;;
      --advertise) advertise="$2" ;;
      --threads) threads="$2" ;;
      --prefix) prefix="${2%/}" ;;
      --root) root="${2%/}" ;;
    esac
    shift 2
  done
}

# check_address FLAG VALUE
check_address() {
  local form='^[A-Za-z0-9.-]+:[0-9]{1,5}$'
  [[ -n "$2" ]] || wrong "$1 HOST:PORT is missing"
  if ! [[ "$2" =~ $form ]] || ((10#${2##*:} < 1 || 10#${2##*:} > 65535)); then
    wrong "$1: \"$2\" is not HOST:PORT, as in hn0-samovar:7400"
  fi
}

is_loopback() { [[ "$1" == localhost || "$1" == 127.* ]]; }

# Whether a name, as this node sees it, is this machine alone: /etc/hosts often has a machine's own name at 127.0.1.1.
resolves_to_loopback() { [[ "$(getent ahostsv4 "$1" 2>/dev/null | head -n 1)" == 127.* ]]; }

# reachable HOST: HOST, or this node's first address if HOST leads others nowhere.
reachable() {
  local first
  first="$(hostname -I 2>/dev/null | cut -d ' ' -f 1)"
  if ! is_loopback "$1" && resolves_to_loopback "$1" && [[ -n "$first" ]]; then printf '%s' "$first"; else printf '%s' "$1"; fi
}

# Whether HOST names this node: by name, long or short, or by an address.
is_this_node() {
  local host="${1,,}" own
  ! is_loopback "$host" || return 0
  for own in $(hostname -I 2>/dev/null); do [[ "$host" != "$own" ]] || return 0; done
  [[ "${host%%.*}" == "$(hostname -s | tr '[:upper:]' '[:lower:]')" ]]
}

check() {
  case "$role" in
    coordinator | server | worker) ;;
    '') wrong "--role is missing: coordinator, server or worker" ;;
    *) wrong "--role: \"$role\" is none of coordinator, server and worker" ;;
  esac
  check_address --coordinator "$coordinator"
  [[ -n "$tarball" ]] || wrong "--tarball PATH_OR_URL is missing"
  [[ "$tarball" == *://* || -f "$tarball" ]] || wrong "--tarball: there is no file $tarball"
  [[ "$tarball" != *://* || "$tarball" =~ ^https?:// ]] || wrong "--tarball: of URLs only http:// and https:// can be fetched"
  [[ -z "$sum" || "$sum" =~ ^[0-9a-f]{64}$ ]] || wrong "--sha256: \"$sum\" is not a sum of 64 hexadecimal digits"
  [[ -z "$threads" || "$threads" =~ ^[1-9][0-9]{0,2}$ ]] || wrong "--threads: \"$threads\" is not a number of threads"
  [[ "$prefix" =~ ^/[A-Za-z0-9._/-]+$ ]] || wrong "--prefix: \"$prefix\" is not an absolute path of letters, digits and . _ -"
  [[ -z "$root" || -d "$root" ]] || wrong "--root: there is no directory $root"
  [[ -n "$root" || "$EUID" == 0 ]] || wrong "only root can install; with --root DIR anybody can, below DIR"
  [[ "$(uname -m)" == x86_64 ]] || wrong "this machine is $(uname -m), and Samovar's tarball is for x86_64"
}

# Where the role listens; a worker does nowhere.
check_listen() {
  if [[ "$role" == worker ]]; then
    [[ -z "$listen$advertise" ]] || wrong "--listen and --advertise: a worker listens nowhere"
    return
  fi
  if [[ -z "$listen" && "$role" == coordinator ]]; then listen="$(reachable "${coordinator%:*}"):${coordinator##*:}"; fi
  if [[ -z "$listen" ]] && is_loopback "${coordinator%:*}"; then listen=127.0.0.1:7401; fi
  [[ -n "$listen" ]] || listen="$(reachable "$(hostname -f)"):7401"
  check_address --listen "$listen"
  if [[ -z "$advertise" && "$role" == coordinator && "${listen%:*}" == 0.0.0.0 ]]; then advertise="$coordinator"; fi
  [[ -z "$advertise" ]] || check_address --advertise "$advertise"
  [[ "${advertise%:*}" != 0.0.0.0 ]] || wrong "--advertise: nobody can connect to 0.0.0.0"
  is_loopback "${listen%:*}" || [[ "$plaintext" == yes ]] \
    || wrong "$listen is not on loopback, and connections are plain text without a password: anyone who reaches the port can read and change the training. Accept that with --allow-plaintext"
}

# --- The programs ---

# The address without the parts that may hold a secret.
shown() { printf '%s' "${1%%\?*}"; }

# fetch URL FILE
fetch() {
  if command -v curl >/dev/null; then
    curl --fail --silent --show-error --location --connect-timeout 20 --max-time 300 --output "$2" "$1"
  elif command -v wget >/dev/null; then
    wget --no-verbose --tries=1 --timeout=20 --output-document="$2" "$1"
  else
    fail "there is neither curl nor wget to fetch $(shown "$1") with"
  fi
}

# download URL FILE
download() {
  local try
  for ((try = 1; try <= tries; ++try)); do
    if fetch "$1" "$2"; then return 0; fi
    ((try < tries)) || break
    say "try $try of $tries to fetch $(shown "$1") failed; again in $((1 << try)) s"
    sleep $((1 << try))
  done
  fail "$(shown "$1") cannot be fetched; is the address right, and still valid?"
}

# The release of this sum if it is here; empty otherwise.
release_of() {
  local release
  for release in "$root$prefix"/*-"${1:0:12}"; do [[ ! -d "$release" ]] || printf '%s' "${release##*/}"; done
}

# unpack FILE RELEASE_SUM: sets `release`. A release has its final name only when it is whole and its programs start.
unpack() {
  local new name
  new="$root$prefix/.new.$$"
  rm -rf "$new"
  mkdir -p "$new"
  tar --extract --gzip --no-same-owner --file "$1" --directory "$new" || fail "$(shown "$tarball") cannot be unpacked; is it whole, and is the disk full?"
  name="$(ls "$new")"
  [[ "$name" == samovar-* && -x "$new/$name/bin/samovar" && -f "$new/$name/etc/$role.toml" && -f "$new/$name/deploy/systemd/samovar-$role.service" ]] \
    || fail "$(shown "$tarball") is no tarball of Samovar that knows the role $role"
  "$new/$name/bin/samovar" version >/dev/null || fail "the programs of $(shown "$tarball") do not start here; see above"
  release="$name-${2:0:12}"
  mv "$new/$name" "$root$prefix/$release"
  rmdir "$new"
  did "unpacked $release into $prefix"
}

install_release() {
  local file="$tarball" found=''
  mkdir -p "$root$prefix"
  [[ -z "$sum" ]] || found="$(release_of "$sum")"
  if [[ -z "$found" ]]; then
    if [[ "$tarball" == *://* ]]; then
      file="$scratch/tarball"
      download "$tarball" "$file"
    fi
    found="$(sha256sum "$file" | cut -d ' ' -f 1)"
    [[ -z "$sum" || "$sum" == "$found" ]] || fail "the sum of $(shown "$tarball") is $found, not $sum as --sha256 says; nothing was installed"
    sum="$found"
    found="$(release_of "$sum")"
  fi
  if [[ -n "$found" ]]; then
    release="$found"
    say "$release is here already"
  else
    unpack "$file" "$sum"
  fi
  if [[ "$(readlink "$root$prefix/current" || true)" != "$release" ]]; then
    ln -s "$release" "$root$prefix/.current.$$"
    mv -T "$root$prefix/.current.$$" "$root$prefix/current"
    did "$prefix/current is $release now"
  fi
}

# --- The files of the role ---

make_user() {
  if [[ -n "$root" ]]; then
    say "with --root no user is made; the units need the system user $user"
  elif ! getent passwd "$user" >/dev/null; then
    useradd --system --user-group --home-dir /var/lib/samovar --no-create-home --shell /usr/sbin/nologin "$user"
    did "made the system user $user"
  fi
}

# make_state DIR
make_state() {
  [[ ! -d "$root$1" ]] || return 0
  mkdir -p "$root$1"
  [[ -n "$root" ]] || chown "$user:$user" "$1"
  chmod 750 "$root$1"
  did "made $1"
}

# put FILE TEXT: the text becomes the file, unless it is that already.
put() {
  ! printf '%s\n' "$2" | cmp -s - "$root$1" || return 0
  mkdir -p "$(dirname "$root$1")"
  printf '%s\n' "$2" >"$root$1.part"
  mv "$root$1.part" "$root$1"
  did "wrote $1"
}

# The role's example with this cluster's values.
configuration() {
  local edits=(-e "s,^listen = .*,listen = \"$listen\"," -e "s,^(join|coordinator) = \".*,\\1 = \"$coordinator\",")
  [[ "$role" != worker ]] || edits+=(-e "s,^threads = .*,threads = ${threads:-$(nproc)},")
  [[ "$role" == worker || -z "$threads" ]] || edits+=(-e "s,^apply-threads = .*,apply-threads = $threads,")
  [[ -z "$advertise" ]] || edits+=(-e "s,^# advertise = .*,advertise = \"$advertise\",")
  [[ "$plaintext" == no ]] || edits+=(-e 's,^# (allow-plaintext = true),\1,')
  sed -E "${edits[@]}" "$root$prefix/$release/etc/$role.toml"
}

# signed TEXT: below a line with its sum, by which a later run sees whether it was edited.
signed() { printf '# By install.sh, which will not overwrite what was edited since. Sum: %s\n%s' "$(sha256sum <<<"$1" | cut -d ' ' -f 1)" "$1"; }

is_edited() { [[ -f "$1" && "$(signed "$(tail -n +2 "$1")")" != "$(cat "$1")" ]]; }

install_configuration() {
  local file="/etc/samovar/$role.toml" text
  text="$(configuration)"
  if ! is_edited "$root$file"; then
    put "$file" "$(signed "$text")"
    return
  fi
  say "$file was edited by hand and stays; the new configuration is in $file.new"
  put "$file.new" "$(signed "$text")"
}

install_unit() { put "/etc/systemd/system/$unit" "$(sed "s,/opt/samovar/,$prefix/,g" "$root$prefix/$release/deploy/systemd/$unit")"; }

# --- The service ---

# Whether the service's process is of the release: another role's run may have brought it.
runs_release() {
  local pid
  pid="$(systemctl show --property MainPID --value "$unit")"
  [[ "$(readlink "/proc/$pid/exe" || true)" == "$(readlink -f "$prefix")/$release/"* ]]
}

start() {
  if [[ -n "$root" || ! -d /run/systemd/system ]]; then
    say "systemd does not run here: $unit is installed and was not started"
    return
  fi
  systemctl daemon-reload
  systemctl --quiet enable "$unit"
  if ((changes > 0)) || ! runs_release; then
    systemctl reset-failed "$unit" 2>/dev/null || true
    systemctl --no-block restart "$unit"
    did "started $unit"
  fi
  await_active
}

# A worker is ready when it has joined; it goes on trying while the coordinator is being installed elsewhere.
await_active() {
  local state='' second
  for ((second = 0; second < 30; ++second)); do
    state="$(systemctl show --property ActiveState --value "$unit")"
    case "$state" in
      active) return 0 ;;
      failed) break ;;
    esac
    sleep 1
  done
  if [[ "$role" == worker && "$state" == activating ]]; then
    say "$unit runs, and waits for the coordinator at $coordinator"
    return
  fi
  journalctl --no-pager --lines 20 --unit "$unit" >&2 || true
  fail "$unit does not get ready (it is $state); the end of its log is above"
}

main() {
  parse "$@"
  check
  if [[ "$role" == coordinator ]] && ! is_this_node "${coordinator%:*}"; then
    say "nothing to do: the coordinator belongs on ${coordinator%:*}, and this node is $(hostname -f)"
    return
  fi
  check_listen
  unit="samovar-$role.service"
  scratch="$(mktemp -d)"
  trap 'rm -rf "$scratch" "$root$prefix/.new.$$"' EXIT
  install_release
  make_user
  make_state /var/lib/samovar
  [[ "$role" == worker ]] || make_state "/var/lib/samovar/$role"
  install_configuration
  install_unit
  start
  local what="$role of the cluster at $coordinator: $release in $prefix"
  if ((changes == 0)); then say "nothing had to be changed; $what"; else say "done, $changes changes; $what"; fi
}

main "$@"
