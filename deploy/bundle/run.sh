#!/bin/sh
# Starts the program of this file's name, ../libexec/NAME, with the loader and the libraries of ../lib, so that it does not matter
# which ones the machine has, or whether it has any. LD_LIBRARY_PATH is left alone: a program that this one starts, a shell say,
# wants the machine's own libraries.
# SAMOVAR_ISA (v2, v3 or v4) lowers the instruction-set level; the program itself refuses any other value.

case $0 in
  */*) self=$0 ;;
  *) self=./$0 ;;
esac
while [ -L "$self" ]; do
  target=$(readlink "$self")
  case $target in
    /*) self=$target ;;
    *) self=${self%/*}/$target ;;
  esac
done
name=${self##*/}
# -P: where a whole directory is a link, its ".." is that of the place it leads to.
home=$(CDPATH='' cd -P -- "${self%/*}/.." && pwd -P) || exit 1

case ${SAMOVAR_ISA-} in
  v2) mask=x86-64-v2 ;;
  v3) mask=x86-64-v3:x86-64-v2 ;;
  v4) mask=x86-64-v4:x86-64-v3:x86-64-v2 ;;
  *) mask= ;;
esac

# The program takes argv[0] for its place, and finds the others beside it: here, not in libexec.
exec "$home/lib/ld-linux-x86-64.so.2" --inhibit-cache --library-path "$home/lib" ${mask:+--glibc-hwcaps-mask "$mask"} \
  --argv0 "$home/bin/$name" "$home/libexec/$name" "$@"
