#!/bin/sh
# Starts a process of Samovar in a container of a YARN service; `samovar yarn launch` writes such commands.
#   sh container.sh server|worker NUMBER HOME [flags of its program]
# NUMBER is that of the component's instance; server 0 is the coordinator as well, wherever YARN puts it. HOME is the cluster's
# directory in storage, by which its processes find each other. State, cache and fetched files are in the container's own
# directory, which YARN removes with the container.
set -eu

role=$1
number=$2
home=$3
shift 3
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

# Runs the program. One that ends while its container stays is started again in place, with its directory: after 0, 137 (killed)
# and 143 YARN takes the container for ended, and its directory with it. 3, of a coordinator: another one has taken the cluster
# over, and this one must not come back, on a node that is cut off from the resource manager, say.
run() {
  code=0
  "$@" || code=$?
  case $code in
    3) exit 0 ;;
    0 | 137 | 143) exit 1 ;;
    *) exit "$code" ;;
  esac
}

# The name by which the resource manager, and so the other nodes, know this one.
host=${NM_HOST:-$(hostname -f)}
case $role/$number in
  server/0) run "$bin/samovar-server" --coordinator --home "$home" --state state --listen "$host:0" "$@" ;;
  server/*) run "$bin/samovar-server" --join "$home" --state state --listen "$host:0" "$@" ;;
  worker/*) run "$bin/samovar-worker" --coordinator "$home" --name "worker-$number/$host" "$@" ;;
  *)
    echo "container.sh: \"$role\" is neither server nor worker" >&2
    exit 2
    ;;
esac
