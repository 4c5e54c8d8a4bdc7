#!/usr/bin/env bash
# Takes Samovar off this node, as root: a script action of HDInsight, and as good on any machine where install.sh was run.
#
#   uninstall.sh [--role all] [--keep-state] [--prefix /opt/samovar] [--root DIR]
#   --role NAME    all (unless given), or coordinator, server or worker alone
#   --keep-state   leaves the snapshots and jobs in /var/lib/samovar, and the user that they belong to
#   --help         shows this
#
# Stops the service and removes its unit, its configuration, its state and its cache; with the last role also the programs, the user
# and the log. What a cluster keeps in a storage (--home, --snapshots of install.sh) stays there. Can be run again and again. The last
# line on standard output says how it ended. Exit codes: 0 done, or nothing to do; 1 it failed; 2 wrong flags, and nothing was begun.
set -euo pipefail

role=all keep=no prefix=/opt/samovar root=''
user=samovar
changes=0
told=no

say() { printf 'samovar uninstall: %s\n' "$*"; }
# end CODE HOW MESSAGE
end() {
  told=yes
  printf 'samovar uninstall: error: %s\n' "$3" >&2
  printf 'samovar uninstall: %s: %s\n' "$2" "$3"
  exit "$1"
}
fail() { end 1 failed "$*"; }
wrong() { end 2 refused "$*"; }
finish() {
  local code=$?
  ((code == 0)) || [[ "$told" == yes ]] || say "failed: it ended before its end with code $code; see above"
}
did() {
  say "$*"
  changes=$((changes + 1))
}

# take_off PATH: removes a file or a directory, if it is there.
take_off() {
  [[ -e "$root$1" || -L "$root$1" ]] || return 0
  rm -rf "${root:?}$1"
  did "removed $1"
}

# With --root nothing runs: see install.sh.
with_systemd() { [[ "$root" == /. && -d /run/systemd/system ]]; }

# The directory of a role's copies of data, as its configuration says.
cache_of() { [[ ! -f "$root/etc/samovar/$1.toml" ]] || sed -nE 's/^cache = "(.*)"$/\1/p' "$root/etc/samovar/$1.toml"; }

remove_role() {
  local unit="samovar-$1.service" cache
  cache="$(cache_of "$1")"
  if [[ -f "$root/etc/systemd/system/$unit" ]] && with_systemd; then
    systemctl --quiet disable --now "$unit" || fail "$unit cannot be stopped; see above, and run this again"
  fi
  take_off "/etc/systemd/system/$unit"
  take_off "/etc/systemd/system/$unit.d"
  take_off "/etc/samovar/$1.toml"
  take_off "/etc/samovar/$1.toml.new"
  [[ "$keep" == yes ]] || take_off "/var/lib/samovar/$1"
  if [[ -n "$cache" ]]; then
    take_off "$cache"
    take_off "$cache.files"
    rmdir "$root${cache%/*}" 2>/dev/null || true
  fi
}

# What roles have in common.
remove_rest() {
  local path
  # Only the files that install.sh has put there, no others of the directory.
  for path in "$root$prefix"/current "$root$prefix"/samovar-*-linux-x86_64-*; do take_off "${path#"$root"}"; done
  rmdir "$root$prefix" "$root/etc/samovar" 2>/dev/null || true
  take_off /var/log/samovar
  [[ "$keep" == no ]] || return 0
  take_off /var/lib/samovar
  if [[ "$root" == /. ]] && getent passwd "$user" >/dev/null; then
    userdel "$user" || fail "the user $user cannot be removed; does a process of it run still?"
    did "removed the user $user"
  fi
}

trap finish EXIT
while (($# > 0)); do
  case "$1" in
    --help)
      sed -n '2,/^set -e/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    --keep-state)
      keep=yes
      shift
      continue
      ;;
    --role | --prefix | --root) (($# >= 2)) || wrong "$1 needs a value" ;;
    *) wrong "unknown flag \"$1\"; there are --role, --keep-state, --prefix, --root and --help" ;;
  esac
  case "$1" in
    --role) role="$2" ;;
    --prefix) prefix="${2%/}" ;;
    --root) root="${2%/}" ;;
  esac
  shift 2
done
case "$role" in
  coordinator | server | worker) roles=("$role") ;;
  # What was asked for last is ended first.
  all) roles=(worker server coordinator) ;;
  *) wrong "--role: \"$role\" is none of all, coordinator, server and worker" ;;
esac
[[ -z "$root" || -d "$root" ]] || wrong "--root: there is no directory $root"
[[ -n "$root" || "$EUID" == 0 ]] || wrong "only root can uninstall"
[[ "$prefix" =~ ^/[A-Za-z0-9._/-]+$ ]] || wrong "--prefix: \"$prefix\" is not an absolute path"
# So that no path is ever empty before its first slash.
root="${root:-/.}"

for role in "${roles[@]}"; do remove_role "$role"; done
if ! compgen -G "$root/etc/systemd/system/samovar-*.service" >/dev/null; then remove_rest; fi
if with_systemd && ((changes > 0)); then systemctl daemon-reload; fi
if ((changes == 0)); then say "nothing was installed"; else say "done, $changes changes"; fi
