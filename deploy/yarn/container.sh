#!/bin/sh
# Starts a process of Samovar in a container of a YARN service; `samovar yarn launch` writes such commands.
#   sh container.sh server|worker NUMBER HOME [flags of its program]
# NUMBER is that of the component's instance; server 0 is the coordinator as well, wherever YARN puts it. HOME is the cluster's
# directory in storage, by which its processes find each other. State, cache and fetched files are in the container's own
# directory, which YARN removes with the container.
set -eu

refuse() {
  echo "container.sh: $1" >&2
  exit 2
}

if [ $# -lt 3 ]; then
  refuse "three words are needed: server or worker, the number of the instance and the cluster's home; there are $#"
fi
role=$1
number=$2
home=$3
shift 3
case $role in
  server | worker) ;;
  *) refuse "\"$role\" is neither server nor worker" ;;
esac
case $number in
  "" | *[!0-9]*) refuse "\"$number\" is no number of an instance; write 0, 1, 2 and so on" ;;
esac
if [ -z "$home" ]; then refuse "the cluster's home is empty; name a directory in its storage"; fi
restart=${SAMOVAR_RESTART_SECONDS:-1}
case $restart in
  *[!0-9]*) refuse "SAMOVAR_RESTART_SECONDS is \"$restart\"; write whole seconds, as in SAMOVAR_RESTART_SECONDS=1" ;;
esac
bin=$(cd "${0%/*}/../../bin" && pwd -P)

# Files that the service brings are in the container's directory, or in resources/ of it, as the version of YARN has it. Without
# them the node's own configuration counts.
for directory in "$PWD" "$PWD/resources"; do
  if [ -e "$directory/core-site.xml" ] || [ -e "$directory/hdfs-site.xml" ]; then
    HADOOP_CONF_DIR=$directory
    export HADOOP_CONF_DIR
  fi
done
SAMOVAR_FILE_CACHE=$PWD/files
export SAMOVAR_FILE_CACHE

# Runs the program, and starts it again when it ends, with its directory. YARN is asked not to: a start in place puts a second link
# into the unpacked bundle, by which all later starts on that node fail; and it never does so after a kill. After a few short lives
# the container ends, so that YARN tries another node. 3, of a coordinator: another one has taken the cluster over, and this one
# must not come back, on a node that is cut off from the resource manager, say.
run() {
  short=0
  while :; do
    begun=$(date +%s)
    code=0
    "$@" || code=$?
    if [ "$code" -eq 3 ]; then exit 0; fi
    if [ $(($(date +%s) - begun)) -lt 10 ]; then short=$((short + 1)); else short=0; fi
    echo "container.sh: ${1##*/} has ended with exit code $code" >&2
    if [ "$short" -ge 5 ]; then exit "$code"; fi
    sleep "$restart"
  done
}

# The name by which the resource manager, and so the other nodes, know this one.
host=${NM_HOST:-$(hostname -f)}
case $role/$number in
  server/0) run "$bin/samovar-server" --coordinator --home "$home" --snapshots "$home/snapshots" --state state --listen "$host:0" "$@" ;;
  server/*) run "$bin/samovar-server" --join "$home" --state state --listen "$host:0" "$@" ;;
  worker/*) run "$bin/samovar-worker" --coordinator "$home" --name "worker-$number/$host" "$@" ;;
esac
