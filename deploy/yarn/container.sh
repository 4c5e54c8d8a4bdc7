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

# The name by which the resource manager, and so the other nodes, know this one.
host=${NM_HOST:-$(hostname -f)}
case $role/$number in
  server/0)
    code=0
    "$bin/samovar-server" --coordinator --home "$home" --state state --listen "$host:0" "$@" || code=$?
    # Another coordinator has taken the cluster over: a node that is cut off from the resource manager would start this one again
    # in place after any other code than 0.
    if [ "$code" -eq 3 ]; then code=0; fi
    exit "$code"
    ;;
  server/*) exec "$bin/samovar-server" --join "$home" --state state --listen "$host:0" "$@" ;;
  worker/*) exec "$bin/samovar-worker" --coordinator "$home" --name "worker-$number/$host" "$@" ;;
  *)
    echo "container.sh: \"$role\" is neither server nor worker" >&2
    exit 2
    ;;
esac
