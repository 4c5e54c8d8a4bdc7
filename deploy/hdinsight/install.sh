#!/usr/bin/env bash
# Installs what this node does in a Samovar cluster: the one script action of HDInsight, and as good on any x86-64 Linux with bash.
# As root:
#
#   install.sh --tarball URI [--role auto] [flags]
#   --tarball URI          samovar-VERSION-linux-x86_64.tar.gz: a path, http: or https:, or, by this node's own Hadoop client and its
#                          credentials, wasb[s]:, abfs[s]: or hdfs:
#   --sha256 SUM           refuses a tarball that has another sum; a node that has it already downloads nothing
#   --role NAME            auto (unless given), by the node's type: the lowest head node is the coordinator, worker nodes get
#                          --worker-roles, and the others nothing. Or coordinator, server or worker, one a run
#   --coordinator H[:P]    with auto: this node is the coordinator, instead of the lowest head node. P is 7400 unless given. Without
#                          auto it must be given; the coordinator itself is installed only on the node that H names
#   --worker-roles LIST    with auto: server,worker (unless given), server, or worker
#   --home URI|none        keeps what the coordinator knows in this directory, so that it can be started again on another node. With
#                          auto, unless given: FS/samovar/CLUSTER, where FS is fs.defaultFS of core-site.xml
#   --snapshots URI|none   exports jobs' snapshots to this directory, so that a server that loses its disk costs no job its
#                          model; unless given: HOME/snapshots
#   --cache DIR|none       a worker's copies of data, in a directory that is made anew at each start if the disk was wiped. With auto,
#                          unless given: /mnt/resource/samovar/cache, where there is a /mnt/resource
#   --cache-bytes N        at most so many; a quarter of the disk unless given
#   --parameter-memory MIB what a server may take for jobs. With auto, unless given: three quarters of what YARN leaves of the node
#   --listen HOST:PORT     where a server or the coordinator listens; otherwise this node's name, and port 7401 or the coordinator's
#   --advertise HOST:PORT  the address that it announces to others, if it is another than the one of --listen. With
#                          --listen 0.0.0.0:PORT a server finds it out, and the coordinator takes the one of --coordinator
#   --threads N            threads that compute (worker) or apply gradients (others); otherwise every processor, or 2
#   --allow-plaintext      accepts that anyone who reaches the port can read and change the training. Servers that listen beyond
#                          this machine are installed only with it
#   --prefix DIR           /opt/samovar
#   --root DIR             installs below DIR as if that were /, and starts nothing
#   --help                 shows this
#
# It can be run again and again: what is there already stays, and a run that changes nothing says so. A configuration in
# /etc/samovar that was edited by hand is kept. Another tarball is unpacked beside the old one, takes its place, and the services are
# started anew with it, server first; running jobs go on from where their servers saved them.
# The last line on standard output says how it ended; /var/log/samovar/install.log keeps what all runs have said.
# Exit codes: 0 installed, or nothing to do; 1 it failed; 2 the parameters are wrong, or a name does not resolve: nothing was begun.
set -euo pipefail
umask 022

role=auto coordinator='' worker_roles=server,worker tarball='' sum='' listen='' advertise='' threads='' plaintext=no prefix=/opt/samovar root=''
home='' snapshots='' cache='' cache_bytes='' parameter_memory=''
user=samovar
tries=5
changes=0
roles=()
nothing=''
told=no
log=/dev/null
scratch=''

# --- What is said ---

note() { printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*" >>"$log"; }
say() {
  printf 'samovar install: %s\n' "$*"
  note "$*"
}
did() {
  say "$*"
  changes=$((changes + 1))
}
# end CODE HOW MESSAGE [HINT]: the message on both streams; the last line on each is the end.
end() {
  told=yes
  note "$2: $3"
  printf 'samovar install: error: %s\n%s' "$3" "${4:+$4$'\n'}" >&2
  printf 'samovar install: %s: %s\n' "$2" "$3"
  exit "$1"
}
fail() { end 1 failed "$*"; }
wrong() { end 2 refused "$*" 'install.sh --help, and deploy/README.md in the tarball, explain the flags.'; }

# noisy COMMAND...: its errors are in the log as well.
noisy() {
  local code=0
  "$@" 2>"$scratch/errors" || code=$?
  tee -a "$log" <"$scratch/errors" >&2
  return "$code"
}

finish() {
  local code=$?
  [[ -z "$scratch" ]] || rm -rf "$scratch" "$root$prefix/.new.$$"
  ((code == 0)) || [[ "$told" == yes ]] || printf 'samovar install: failed: it ended before its end with code %s; see above\n' "$code"
}

# --- Parameters ---

parse() {
  while (($# > 0)); do
    case "$1" in
      --help)
        sed -n '2,/^set -e/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
        told=yes
        exit 0
        ;;
      --allow-plaintext)
        plaintext=yes
        shift
        continue
        ;;
      --role | --coordinator | --worker-roles | --tarball | --sha256 | --home | --snapshots | --cache | --cache-bytes | --parameter-memory | \
        --listen | --advertise | --threads | --prefix | --root)
        (($# >= 2)) || wrong "$1 needs a value" ;;
      *) wrong "unknown flag \"$1\"" ;;
    esac
    case "$1" in
      --role) role="$2" ;;
      --coordinator) coordinator="$2" ;;
      --worker-roles) worker_roles="$2" ;;
      --tarball) tarball="$2" ;;
      --sha256) sum="${2,,}" ;;
      --home) home="${2%/}" ;;
      --snapshots) snapshots="${2%/}" ;;
      --cache) cache="${2%/}" ;;
      --cache-bytes) cache_bytes="$2" ;;
      --parameter-memory) parameter_memory="$2" ;;
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

# check_directory FLAG VALUE: a URI, or an absolute path, that can stand in a configuration.
check_directory() {
  [[ -z "$2" || "$2" == none || "$2" =~ ^(/|[a-z]+:/)[A-Za-z0-9._~/@:=+-]*$ ]] || wrong "$1: \"$2\" is neither none nor an absolute path or a URI"
}

# check_number FLAG VALUE
check_number() { [[ -z "$2" || "$2" =~ ^[1-9][0-9]{0,14}$ ]] || wrong "$1: \"$2\" is not a number"; }

check() {
  [[ -z "$root" || -d "$root" ]] || wrong "--root: there is no directory $root"
  [[ -n "$root" || "$EUID" == 0 ]] || wrong "only root can install; with --root DIR anybody can, below DIR"
  mkdir -p "$root/var/log/samovar"
  log="$root/var/log/samovar/install.log"
  note "begins: --role $role --coordinator ${coordinator:-(none)} --tarball $(shown "$tarball")"
  case "$role" in
    auto | coordinator | server | worker) ;;
    *) wrong "--role: \"$role\" is none of auto, coordinator, server and worker" ;;
  esac
  case "$worker_roles" in
    server,worker | worker,server | server | worker) ;;
    *) wrong "--worker-roles: \"$worker_roles\" is none of server,worker, server and worker" ;;
  esac
  [[ -z "$coordinator" || "$coordinator" == *:* || "$role" != auto ]] || coordinator="$coordinator:7400"
  [[ "$role" == auto && -z "$coordinator" ]] || check_address --coordinator "$coordinator"
  [[ -n "$tarball" ]] || wrong "--tarball URI is missing"
  [[ "$tarball" == *:/* || -f "$tarball" ]] || wrong "--tarball: there is no file $tarball"
  [[ "$tarball" != *:/* || "$tarball" =~ ^(https?|wasbs?|abfss?|hdfs):/ ]] || wrong "--tarball: of URIs only http:, https:, wasb[s]:, abfs[s]: and hdfs: can be fetched"
  [[ -z "$sum" || "$sum" =~ ^[0-9a-f]{64}$ ]] || wrong "--sha256: \"$sum\" is not a sum of 64 hexadecimal digits"
  [[ -z "$threads" || "$threads" =~ ^[1-9][0-9]{0,2}$ ]] || wrong "--threads: \"$threads\" is not a number of threads"
  check_directory --home "$home"
  check_directory --snapshots "$snapshots"
  check_directory --cache "$cache"
  [[ "$cache" != *:* ]] || wrong "--cache: \"$cache\" is no path of this node"
  check_number --cache-bytes "$cache_bytes"
  check_number --parameter-memory "$parameter_memory"
  [[ "$prefix" =~ ^/[A-Za-z0-9._/-]+$ ]] || wrong "--prefix: \"$prefix\" is not an absolute path of letters, digits and . _ -"
  [[ "$(uname -m)" == x86_64 ]] || wrong "this machine is $(uname -m), and Samovar's tarball is for x86_64"
}

# --- Names ---

is_loopback() { [[ "$1" == localhost || "$1" == 127.* ]]; }

# The second way is for nodes without a network card, where glibc 2.27 finds nothing by the first.
address_of() {
  [[ ! "$1" =~ ^[0-9.]+$ ]] || { printf '%s' "$1" && return; }
  { getent ahostsv4 "$1" || getent hosts "$1"; } 2>/dev/null | sed -n '1s/ .*//p' || true
}

# Whether a name, as this node sees it, is this machine alone: /etc/hosts often has a machine's own name at 127.0.1.1.
resolves_to_loopback() { [[ "$(address_of "$1")" == 127.* ]]; }

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

# must_resolve HOST WHAT: nothing here can work with a name that leads nowhere.
must_resolve() {
  [[ -n "$(address_of "$1")" ]] || wrong "$2 $1 does not resolve on $(hostname); give a name that this node knows, or a number"
}

# --- What HDInsight's node says of itself ---

# property FILE NAME: the values of the properties of Hadoop's FILE whose name is NAME, a regular expression, a line each.
property() {
  [[ -f "$root/etc/hadoop/conf/$1" ]] || return 0
  tr '\n' ' ' <"$root/etc/hadoop/conf/$1" | sed 's/-->/\x01/g; s/<!--[^\x01]*\x01//g; s#</property>#\n#g' \
    | sed -nE "s#.*<name>[[:space:]]*$2[[:space:]]*</name>.*<value>[[:space:]]*([^<]*[^<[:space:]])[[:space:]]*</value>.*#\1#p"
}

node_type() {
  case "$(hostname -s | tr '[:upper:]' '[:lower:]')" in
    hn[0-9]* | headnode[0-9]*) echo head ;;
    wn[0-9]* | workernode[0-9]*) echo worker ;;
    zk[0-9]* | zn[0-9]* | zookeepernode[0-9]*) echo zookeeper ;;
    ed[0-9]* | edgenode[0-9]*) echo edge ;;
    *) echo unknown ;;
  esac
}

# The head node of the lowest number: by hdfs-site.xml, else by this node's own name.
lowest_head() {
  local long candidate
  candidate="$(property hdfs-site.xml 'dfs\.namenode\.https?-address\.[^.<]*\.nn[0-9]+' | sed 's/:[0-9]*$//' \
    | sed -nE 's/^([a-z]+)([0-9]+)(.*)$/\2 \1\2\3/p' | sort -n -k 1,1 | sed -n '1s/^[0-9]* //p')"
  if [[ -n "$candidate" ]]; then
    printf '%s' "$candidate"
    return
  fi
  long="$(hostname -f)"
  for candidate in hn0 hn1; do
    candidate="$candidate-${long#*-}"
    if [[ "$long" == *-* && -n "$(address_of "$candidate")" ]]; then
      printf '%s' "$candidate"
      return
    fi
  done
}

# The name that a cluster's nodes share: "mycluster.abcdef" of "wn0-mycluster.abcdef.ex.internal.cloudapp.net".
cluster_name() {
  local long
  long="$(hostname -f)"
  long="${long#*-}"
  cut -d . -f 1,2 <<<"$long"
}

# Sets `roles`, and with auto what was not given.
decide() {
  local type one more=()
  if [[ "$role" != auto ]]; then
    must_resolve "${coordinator%:*}" 'the coordinator'
    nothing="the coordinator belongs on ${coordinator%:*}, and this node is $(hostname -f)"
    if [[ "$role" != coordinator ]] || is_this_node "${coordinator%:*}"; then roles=("$role"); fi
    return
  fi
  type="$(node_type)"
  [[ -n "$coordinator" ]] || coordinator="$(lowest_head):7400"
  [[ "$coordinator" != :7400 ]] || wrong "the lowest head node is not known: /etc/hadoop/conf/hdfs-site.xml names none, and $(hostname -f) is not called as HDInsight's nodes are; give --coordinator"
  check_address --coordinator "$coordinator"
  must_resolve "${coordinator%:*}" 'the coordinator'
  nothing="the coordinator belongs on ${coordinator%:*}, and this node is $(hostname -f)"
  ! is_this_node "${coordinator%:*}" || roles+=(coordinator)
  [[ "$type" != worker ]] || IFS=, read -r -a more <<<"$worker_roles"
  # A coordinator is a server as well.
  for one in "${more[@]}"; do [[ "${roles[*]}" == *coordinator* && "$one" == server ]] || roles+=("$one"); done
  if ((${#roles[@]} == 0)); then
    case "$type" in
      unknown) wrong "the name $(hostname) is of no type of HDInsight's nodes (hn, wn, zk, ed); give --role" ;;
      zookeeper | edge) nothing="this is a node of type $type, and has no part in the cluster" ;;
    esac
    return
  fi
  decide_storage "$type"
}

decide_storage() {
  local fs disk yarn total
  if [[ -z "$home" ]]; then
    fs="$(property core-site.xml 'fs\.defaultFS' | tail -n 1)"
    case "$fs" in
      wasb://* | wasbs://* | abfs://* | abfss://* | hdfs://*) home="${fs%/}/samovar/$(cluster_name)" ;;
      *) say "fs.defaultFS of /etc/hadoop/conf/core-site.xml is \"$fs\", where no home can be: the cluster is lost with its coordinator's disk" ;;
    esac
    check_directory 'fs.defaultFS' "$home"
  fi
  disk="$root/mnt/resource"
  if [[ -z "$cache" && -d "$disk" ]]; then cache=/mnt/resource/samovar/cache; fi
  if [[ -z "$parameter_memory" && "$1" == worker ]]; then
    yarn="$(property yarn-site.xml 'yarn\.nodemanager\.resource\.memory-mb' | tail -n 1)"
    total="$(($(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024))"
    # A gibibyte for the system; at least what a small net needs.
    if [[ "$yarn" =~ ^[0-9]+$ ]]; then parameter_memory="$(((total - yarn - 1024) * 3 / 4))"; fi
    if [[ -n "$parameter_memory" ]] && ((parameter_memory < 512)); then
      say "YARN has $yarn of this node's $total MiB: a server gets 512 MiB; lower yarn.nodemanager.resource.memory-mb for more"
      parameter_memory=512
    fi
  fi
}

# What follows from the flags for all roles of this node.
complete() {
  [[ "$home" != none ]] || home=''
  [[ "$cache" != none ]] || cache=''
  [[ -n "$snapshots" || -z "$home" ]] || snapshots="$home/snapshots"
  [[ "$snapshots" != none ]] || snapshots=''
  if [[ -n "$cache" && -z "$cache_bytes" ]]; then
    local above="$root$cache"
    while [[ ! -d "$above" ]]; do above="$(dirname "$above")"; done
    cache_bytes="$(($(df --output=size -B 1 "$above" | tail -n 1) / 4))"
  fi
}

# address_for ROLE: sets `at` and `announced`, where the role listens; a worker does nowhere.
address_for() {
  at="$listen" announced="$advertise"
  if [[ "$1" == worker ]]; then
    [[ "$role" == auto || -z "$listen$advertise" ]] || wrong "--listen and --advertise: a worker listens nowhere"
    return
  fi
  if [[ -z "$at" && "$1" == coordinator ]]; then at="$(reachable "${coordinator%:*}"):${coordinator##*:}"; fi
  if [[ -z "$at" ]] && is_loopback "${coordinator%:*}"; then at=127.0.0.1:7401; fi
  if [[ -z "$at" ]]; then
    must_resolve "$(hostname -f)" "this node's own name"
    at="$(reachable "$(hostname -f)"):7401"
  fi
  check_address --listen "$at"
  if [[ -z "$announced" && "$1" == coordinator && "${at%:*}" == 0.0.0.0 ]]; then announced="$coordinator"; fi
  [[ -z "$announced" ]] || check_address --advertise "$announced"
  [[ "${announced%:*}" != 0.0.0.0 ]] || wrong "--advertise: nobody can connect to 0.0.0.0"
  is_loopback "${at%:*}" || [[ "$plaintext" == yes ]] \
    || wrong "$at is not on loopback, and connections are plain text without a password: anyone who reaches the port can read and change the training. Accept that with --allow-plaintext"
}

# --- The programs ---

# The address without the parts that may hold a secret.
shown() { printf '%s' "${1%%\?*}"; }

# fetch URI FILE: sets `refusal` if another try would end in the same way.
fetch() {
  local status
  refusal=''
  if [[ "$1" != http* ]]; then
    local client=(hdfs dfs)
    command -v hdfs >/dev/null || client=(hadoop fs)
    command -v "${client[0]}" >/dev/null || fail "there is no Hadoop client (hdfs, hadoop) to fetch $(shown "$1") with"
    noisy "${client[@]}" -get -f "$1" "$2" && return 0
    ! grep -q 'No such file or directory' "$scratch/errors" || refusal='there is no such file'
    return 1
  elif command -v curl >/dev/null; then
    status="$(noisy curl --fail --silent --show-error --location --connect-timeout 20 --max-time 300 --write-out '%{http_code}' --output "$2" "$1")" && return 0
    case "$status" in 401 | 403 | 404 | 410) refusal="the server says $status" ;; esac
    return 1
  elif command -v wget >/dev/null; then
    noisy wget --no-verbose --tries=1 --timeout=20 --output-document="$2" "$1"
  else
    fail "there is neither curl nor wget to fetch $(shown "$1") with"
  fi
}

# download URI FILE
download() {
  local try
  for ((try = 1; try <= tries; ++try)); do
    if fetch "$1" "$2"; then return 0; fi
    [[ -z "$refusal" ]] || fail "$(shown "$1") cannot be fetched, $refusal; is the address right, and still valid?"
    ((try < tries)) || break
    say "try $try of $tries to fetch $(shown "$1") failed; again in $((1 << try)) s"
    sleep $((1 << try))
  done
  fail "$(shown "$1") cannot be fetched in $tries tries; is the address right, and still valid?"
}

# The release of this sum if it is here; empty otherwise.
release_of() {
  local release
  for release in "$root$prefix"/*-"${1:0:12}"; do [[ ! -d "$release" ]] || printf '%s' "${release##*/}"; done
}

# unpack FILE RELEASE_SUM: sets `release`. A release has its final name only when it is whole and its programs start.
unpack() {
  local new name one
  new="$root$prefix/.new.$$"
  rm -rf "$new"
  mkdir -p "$new"
  noisy tar --extract --gzip --no-same-owner --file "$1" --directory "$new" || fail "$(shown "$tarball") cannot be unpacked; is it whole, and is the disk full?"
  name="$(ls "$new")"
  for one in "${roles[@]}"; do
    [[ "$name" == samovar-* && -x "$new/$name/bin/samovar" && -f "$new/$name/etc/$one.toml" && -f "$new/$name/deploy/systemd/samovar-$one.service" ]] \
      || fail "$(shown "$tarball") is no tarball of Samovar that knows the role $one"
  done
  noisy "$new/$name/bin/samovar" version >/dev/null || fail "the programs of $(shown "$tarball") do not start here; see above"
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
    if [[ "$tarball" == *:/* ]]; then
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

# --- The files of a role ---

make_user() {
  if [[ -n "$root" ]]; then
    say "with --root no user is made; the units need the system user $user"
  elif ! getent passwd "$user" >/dev/null; then
    useradd --system --user-group --home-dir /var/lib/samovar --no-create-home --shell /usr/sbin/nologin "$user"
    did "made the system user $user"
  fi
}

# make_directory DIR: the user's own, also where another had made it.
make_directory() {
  [[ -d "$root$1" ]] || did "made $1"
  mkdir -p "$root$1"
  # As another user's it may have been left by a former installation.
  [[ -n "$root" || "$(stat --format %U "$1")" == "$user" ]] || chown -R "$user:$user" "$1"
  chmod 750 "$root$1"
}

# put FILE TEXT: the text becomes the file, unless it is that already.
put() {
  ! printf '%s\n' "$2" | cmp -s - "$root$1" || return 0
  mkdir -p "$(dirname "$root$1")"
  printf '%s\n' "$2" >"$root$1.part"
  mv "$root$1.part" "$root$1"
  did "wrote $1"
}

# configuration ROLE: the role's example with this cluster's values.
configuration() {
  local joins="${home:-$coordinator}"
  local edits=(-e "s;^listen = .*;listen = \"$at\";" -e "s;^(join|coordinator) = \".*;\\1 = \"$joins\";")
  set_key() { [[ -z "$2" ]] || edits+=(-e "s;^(# )?$1 = .*;$1 = $2;"); }
  case "$1" in
    worker)
      set_key threads "${threads:-$(nproc)}"
      set_key cache "${cache:+\"$cache\"}"
      set_key cache-bytes "${cache:+$cache_bytes}"
      ;;
    *)
      set_key apply-threads "$threads"
      set_key advertise "${announced:+\"$announced\"}"
      set_key parameter-memory "$parameter_memory"
      [[ "$plaintext" == no ]] || set_key allow-plaintext true
      ;;
  esac
  if [[ "$1" == coordinator ]]; then
    set_key home "${home:+\"$home\"}"
    set_key snapshots "${snapshots:+\"$snapshots\"}"
  fi
  sed -E "${edits[@]}" "$root$prefix/$release/etc/$1.toml"
}

# signed TEXT: below a line with its sum, by which a later run sees whether it was edited.
signed() { printf '# By install.sh, which will not overwrite what was edited since. Sum: %s\n%s' "$(sha256sum <<<"$1" | cut -d ' ' -f 1)" "$1"; }

is_edited() { [[ -f "$1" && "$(signed "$(tail -n +2 "$1")")" != "$(cat "$1")" ]]; }

install_configuration() {
  local file="/etc/samovar/$1.toml" text
  text="$(configuration "$1")"
  if ! is_edited "$root$file"; then
    put "$file" "$(signed "$text")"
    return
  fi
  say "$file was edited by hand and stays; the new configuration is in $file.new"
  put "$file.new" "$(signed "$text")"
}

# The worker's unit makes the cache at each start: the temporary disk comes back empty, and the service may not write above it.
cache_drop_in() {
  cat <<EOF
# By install.sh.
[Unit]
RequiresMountsFor=$cache
After=walinuxagent.service

[Service]
ExecStartPre=+/usr/bin/install -d -o $user -g $user -m 750 $cache $cache.files
Environment=SAMOVAR_FILE_CACHE=$cache.files
ReadWritePaths=-$cache -$cache.files
EOF
}

install_unit() {
  local unit="samovar-$1.service" drop_in="/etc/systemd/system/samovar-$1.service.d/cache.conf"
  put "/etc/systemd/system/$unit" "$(sed "s,/opt/samovar/,$prefix/,g" "$root$prefix/$release/deploy/systemd/$unit")"
  if [[ "$1" == worker && -n "$cache" ]]; then
    put "$drop_in" "$(cache_drop_in)"
    make_directory "$cache"
    make_directory "$cache.files"
  elif [[ -f "$root$drop_in" ]]; then
    rm "$root$drop_in"
    did "removed $drop_in"
  fi
}

# install_role ROLE: all but its start.
install_role() {
  local before="$changes"
  address_for "$1"
  [[ "$1" == worker ]] || make_directory "/var/lib/samovar/$1"
  install_configuration "$1"
  install_unit "$1"
  ((changes == before)) || changed+=" $1"
}

# The home of an hdfs: file system has to be the user's own; elsewhere the credential's rights count.
make_home() {
  [[ -z "$root" && "$home" == hdfs://* ]] && command -v hdfs >/dev/null || return 0
  if ! HADOOP_USER_NAME=hdfs noisy hdfs dfs -mkdir -p "$home" || ! HADOOP_USER_NAME=hdfs noisy hdfs dfs -chown "$user" "$home"; then
    say "$home could not be made for the user $user; make it if the coordinator may not write there"
  fi
}

# --- The services ---

has_systemd() { [[ -z "$root" && -d /run/systemd/system ]]; }

# A coordinator that was installed on this node before another was named: started again, it would take the cluster back.
retire_coordinator() {
  local unit=samovar-coordinator.service
  [[ "$role" == auto && "${roles[*]}" != *coordinator* && -f "$root/etc/systemd/system/$unit" ]] || return 0
  ! has_systemd || noisy systemctl --quiet disable --now "$unit"
  rm "$root/etc/systemd/system/$unit"
  did "took the coordinator off this node: it belongs on ${coordinator%:*}; /var/lib/samovar/coordinator stays"
}

# Whether the unit's process is of the release.
runs_release() {
  local pid
  pid="$(systemctl show --property MainPID --value "$1")"
  [[ "$(readlink "/proc/$pid/exe" || true)" == "$(readlink -f "$prefix")/$release/"* ]]
}

# start ROLE
start() {
  local unit="samovar-$1.service"
  noisy systemctl --quiet enable "$unit"
  if [[ "$changed " == *" $1 "* ]] || ! runs_release "$unit"; then
    systemctl reset-failed "$unit" 2>/dev/null || true
    noisy systemctl --no-block restart "$unit"
    did "started $unit"
  fi
  await_active "$1"
}

# A worker is ready when it has joined; it goes on trying while the coordinator is being installed elsewhere.
await_active() {
  local unit="samovar-$1.service" state='' second
  for ((second = 0; second < 30; ++second)); do
    state="$(systemctl show --property ActiveState --value "$unit")"
    case "$state" in
      active) return 0 ;;
      failed) break ;;
    esac
    sleep 1
  done
  if [[ "$1" == worker && "$state" == activating ]]; then
    say "$unit runs, and waits for the coordinator at ${home:-$coordinator}"
    return
  fi
  noisy journalctl --no-pager --lines 20 --unit "$unit" >&2 || true
  fail "$unit does not get ready (it is $state); the end of its log is above, and samovar doctor says what is wrong"
}

start_all() {
  local one
  if ! has_systemd; then
    say "systemd does not run here: the units of ${roles[*]} are installed and were not started"
    return
  fi
  systemctl daemon-reload
  # In this order: what others wait for comes first.
  for one in coordinator server worker; do
    [[ " ${roles[*]} " != *" $one "* ]] || start "$one"
  done
}

# What is wrong for the services' user now belongs into the output that an operator sees first.
consult() {
  local line
  has_systemd || return 0
  while IFS= read -r line; do
    case "$line" in wrong* | warning*) say "doctor: $line" ;; esac
  done < <(timeout 60 runuser -u "$user" -- "$prefix/current/bin/samovar" doctor 2>/dev/null || true)
}

main() {
  trap finish EXIT
  parse "$@"
  check
  scratch="$(mktemp -d)"
  decide
  if ((${#roles[@]} == 0)); then
    retire_coordinator
    ((changes == 0)) || ! has_systemd || systemctl daemon-reload
    say "nothing to do: $nothing"
    return
  fi
  complete
  local one
  for one in "${roles[@]}"; do address_for "$one"; done
  install_release
  make_user
  make_directory /var/lib/samovar
  [[ "${roles[*]}" != *coordinator* ]] || make_home
  changed=''
  retire_coordinator
  for one in "${roles[@]}"; do install_role "$one"; done
  start_all
  consult
  local joined="${roles[*]}"
  local what="${joined// / and } of the cluster at $coordinator: $release in $prefix"
  if ((changes == 0)); then say "nothing had to be changed; $what"; else say "done, $changes changes; $what"; fi
}

main "$@"
