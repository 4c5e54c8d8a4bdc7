#!/bin/bash
# Runs overlap_bench with the server behind a slower link: in a network namespace of its own, at the end of a virtual cable whose
# both ends let so many bits a second pass. Needs root, ip and tc; leaves nothing behind.
#
#     benchmarks/overlap/limited_link.sh RATE [overlap_bench's flags]         RATE as tc writes it: 1gbit, 100mbit
set -euo pipefail

if [ $# -lt 1 ] || [[ "$1" == -* ]]; then
  sed -n '2,5s/^# \?//p' "$0" >&2
  exit 2
fi
rate=$1
shift
bin=$(cd "$(dirname "$0")/../.." && pwd)/build/release/bin
space=samovar-link-$$
near=sv$$n
far=sv$$f
state=$(mktemp -d)
server=

cleanup() {
  if [ -n "$server" ]; then
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  ip link del "$near" 2>/dev/null || true
  ip netns del "$space" 2>/dev/null || true
  rm -rf "$state"
}
trap cleanup EXIT

# Some bytes pass at once, as from the queue of a network card; 20 ms' worth wait.
limit() { "$@" root tbf rate "$rate" burst 256kb latency 20ms; }

ip netns add "$space"
ip link add "$near" type veth peer name "$far" netns "$space"
ip addr add 10.213.77.1/30 dev "$near"
ip link set "$near" up
ip -n "$space" addr add 10.213.77.2/30 dev "$far"
ip -n "$space" link set "$far" up
ip -n "$space" link set lo up
limit tc qdisc add dev "$near"
limit tc -n "$space" qdisc add dev "$far"

ip netns exec "$space" taskset -c 1 "$bin/samovar-server" --listen 10.213.77.2:7100 --allow-plaintext --coordinator --state "$state" \
  --apply-threads 1 --log-level warning &
server=$!
for _ in $(seq 100); do
  if "$bin/samovar" status 10.213.77.2:7100 >/dev/null 2>&1; then break; fi
  sleep 0.1
done
"$bin/overlap_bench" --server_address 10.213.77.2:7100 "$@"
