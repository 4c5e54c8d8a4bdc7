#!/usr/bin/env bash
# Takes a role of a Samovar cluster off this node, as root:
#
#   uninstall.sh --role coordinator|server|worker|all [--purge] [--prefix /opt/samovar] [--root DIR]
#
# Stops the service and removes its unit, and with the last role the programs. Configuration and snapshots stay, unless --purge says
# that the role's are to go as well. Can be run again and again. Exit codes: 0 done, or nothing to do; 1 it failed; 2 wrong flags.
set -euo pipefail

role='' purge=no prefix=/opt/samovar root=''
changes=0

say() { printf 'samovar uninstall: %s\n' "$*"; }
wrong() {
  printf 'samovar uninstall: error: %s\n' "$*" >&2
  exit 2
}

# take_off PATH: removes a file or a directory, if it is there.
take_off() {
  [[ -e "$root$1" || -L "$root$1" ]] || return 0
  rm -rf "${root:?}$1"
  say "removed $1"
  changes=$((changes + 1))
}

# With --root nothing runs: see install.sh.
with_systemd() { [[ "$root" == /. && -d /run/systemd/system ]]; }

remove_role() {
  local unit="samovar-$1.service"
  if [[ -f "$root/etc/systemd/system/$unit" ]] && with_systemd; then systemctl --quiet disable --now "$unit"; fi
  take_off "/etc/systemd/system/$unit"
  if [[ "$purge" == yes ]]; then
    take_off "/etc/samovar/$1.toml"
    take_off "/etc/samovar/$1.toml.new"
    take_off "/var/lib/samovar/$1"
  fi
}

while (($# > 0)); do
  case "$1" in
    --purge)
      purge=yes
      shift
      continue
      ;;
    --role | --prefix | --root) (($# >= 2)) || wrong "$1 needs a value" ;;
    *) wrong "unknown flag \"$1\"; there are --role, --purge, --prefix and --root" ;;
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
  all) roles=(worker server coordinator) ;;
  '') wrong "--role is missing: coordinator, server, worker or all" ;;
  *) wrong "--role: \"$role\" is none of coordinator, server, worker and all" ;;
esac
[[ -z "$root" || -d "$root" ]] || wrong "--root: there is no directory $root"
[[ -n "$root" || "$EUID" == 0 ]] || wrong "only root can uninstall"
[[ "$prefix" =~ ^/[A-Za-z0-9._/-]+$ ]] || wrong "--prefix: \"$prefix\" is not an absolute path"
# So that no path is ever empty before its first slash.
root="${root:-/.}"

for role in "${roles[@]}"; do remove_role "$role"; done
if ! compgen -G "$root/etc/systemd/system/samovar-*.service" >/dev/null; then
  # Only the files that install.sh has put there, no others of the directory.
  for path in "$root$prefix"/current "$root$prefix"/samovar-*-linux-x86_64-*; do take_off "${path#"$root"}"; done
  rmdir "$root$prefix" 2>/dev/null || true
fi
if with_systemd; then systemctl daemon-reload; fi
if ((changes == 0)); then say "nothing was installed"; else say "done, $changes changes"; fi
