#!/usr/bin/env bash
# Makes the tarball: the programs of a build with the loader and every library that they need, in one directory that runs
# wherever it is unpacked, on any x86-64 Linux from kernel 3.2 on.
#
#   bash deploy/bundle/make_bundle.sh BUILD_DIR VERSION OUTPUT_DIR
#
# Writes OUTPUT_DIR/samovar-VERSION-linux-x86_64.tar.gz, and leaves the directory of that name beside it. The same build on the
# same machine gives the same bytes; SOURCE_DATE_EPOCH sets the files' time, which is otherwise the last commit's.
# Usually called by: cmake --build --preset release --target bundle
set -euo pipefail

build="${1:?the build directory is missing}"
version="${2:?the version is missing}"
output="${3:?the output directory is missing}"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
programs=(samovar samovar-server samovar-worker)
# Fixed by the x86-64 ABI.
system_loader=/lib64/ld-linux-x86-64.so.2

fail() {
  printf 'make_bundle: error: %s\n' "$*" >&2
  exit 1
}

# needs LOADER FILE: the libraries that the loader takes for it, a path a line.
needs() {
  local list
  list="$(env -u LD_LIBRARY_PATH -u LD_PRELOAD "$1" --inhibit-cache --library-path "$stage/lib" --list "$2" 2>&1)" \
    || fail "$2 cannot be loaded: $list"
  [[ "$list" != *'not found'* ]] || fail "a library of $2 is missing: $(grep 'not found' <<<"$list")"
  sed -nE 's/^[[:space:]]*([^ ]+ => )?(\/[^ ]+) \(0x.*/\2/p' <<<"$list"
}

# all_needed LOADER: the libraries that programs and engines need, each once.
all_needed() {
  local file list all=
  for file in "$stage"/libexec/* "$stage/lib/libsamovar_engine.so" "$stage"/lib/glibc-hwcaps/*/libsamovar_engine.so; do
    [[ -f "$file" ]] || continue  # A build may have one level only.
    list="$(needs "$1" "$file")" || exit 1
    all+="$list"$'\n'
  done
  sort -u <<<"$all" | sed '/^$/d'
}

# The package of a file of the system's; /lib and /usr/lib are one directory, and the package may know it by either name.
package_of() {
  local path
  path="$(readlink -f "$1")"
  { dpkg-query --search "$path" || dpkg-query --search "${path#/usr}"; } 2>/dev/null | sed 's/:.*//;q'
}

# Into lib/, under the names that they are asked for; their packages join `packages`.
copy_libraries() {
  local library libraries package
  libraries="$(all_needed "$system_loader")" || exit 1
  for library in "$system_loader" $libraries; do
    [[ "$library" != "$stage"/* ]] || continue
    cp -L "$library" "$stage/lib/"
    package="$(package_of "$library")" || true
    [[ -n "$package" ]] || fail "$library belongs to no package, so that its licence is not known"
    packages+=("$package")
  done
}

# The bundle's own loader finds everything in the bundle.
check_closed() {
  local outside
  outside="$(all_needed "$stage/lib/${system_loader##*/}")" || exit 1
  outside="$(grep -vF "$stage/" <<<"$outside" || true)"
  [[ -z "$outside" ]] || fail "the programs would load libraries from outside the bundle: $outside"
}

# Those of `packages`, with the general texts that they refer to, and a list of their versions, by which their sources are found.
copy_licences() {
  local package text
  mapfile -t packages < <(printf '%s\n' "${packages[@]}" | sort -u)
  mkdir -p "$stage/share/licenses/common"
  for package in "${packages[@]}"; do
    [[ -r "/usr/share/doc/$package/copyright" ]] || fail "/usr/share/doc/$package/copyright, the licence of $package, cannot be read"
    cp -L "/usr/share/doc/$package/copyright" "$stage/share/licenses/$package"
  done
  dpkg-query --show --showformat='${Package} ${Version} (source: ${source:Package} ${source:Version})\n' "${packages[@]}" \
    >"$stage/share/licenses/PACKAGES"
  # Part of samovar-server, and of no package.
  cp "$root/server/dashboard/bundle/NOTICE" "$stage/share/licenses/dashboard"
  while IFS= read -r text; do
    [[ ! -f "$text" ]] || cp -L "$text" "$stage/share/licenses/common/${text##*/}"
  done < <(grep -rhoE '/usr/share/common-licenses/[A-Za-z0-9.-]*[A-Za-z0-9]' "$stage/share/licenses" | sort -u)
}

name="samovar-$version-linux-x86_64"
mkdir -p "$output"
output="$(cd "$output" && pwd)"
stage="$output/$name"
rm -rf "$stage"
mkdir -p "$stage/bin"

cmake --install "$build" --prefix "$stage" --component bundle --strip >/dev/null || fail "the build in $build cannot be installed; is it complete?"
# To begin with, those of headers, which leave code behind, but no library.
packages=(libcli11-dev libeigen3-dev libspdlog-dev libabsl-dev libgrpc++-dev libprotobuf-dev)
copy_libraries
check_closed
copy_licences

for program in "${programs[@]}"; do install -m 755 "$root/deploy/bundle/run.sh" "$stage/bin/$program"; done
"$stage/bin/samovar" version >/dev/null || fail "the bundled samovar does not start; see above"
for shell in bash zsh; do
  mkdir -p "$stage/share/completion"
  "$stage/bin/samovar" completion "$shell" >"$stage/share/completion/samovar.$shell"
done

time="${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct 2>/dev/null || echo 0)}"
tarball="$output/$name.tar.gz"
tar --create --directory "$output" --sort=name --mtime="@$time" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX "$name" \
  | gzip --no-name -9 >"$tarball.part"
mv "$tarball.part" "$tarball"
printf '%s: %s, %s unpacked, %d libraries\n' "$tarball" "$(du -h "$tarball" | cut -f1)" "$(du -sh "$stage" | cut -f1)" \
  "$(find "$stage/lib" -type f | wc -l)"
