#!/usr/bin/env bash
# ray_node.sh head|worker|sweep INDEX [ADDRESS] : one node of a Ray cluster, as a step of a SLURM job. ray_cluster.sh calls it.
# It ends when it is told to (SIGTERM) or when a process of Ray's dies, and leaves no process and no file behind;
# "sweep" removes what a step that was killed has left.
set -u
role=$1 index=$2 address=${3:-}
folder=$RAY_CLUSTER_FOLDER python=$RAY_CLUSTER_PYTHON
marker=RAY_CLUSTER_NODE=$SLURM_JOB_ID.$index # in the environment of every process of this node's Ray, and of no other
export RAY_TMPDIR=$RAY_CLUSTER_TEMP_DIR/ray-$SLURM_JOB_ID-$index

ours() { # process ids of this node's Ray; what another user runs cannot be read, and is passed over
  grep -lzxF "$marker" /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3
}
sweep() {
  local try ids
  for try in 1 2 3 4 5; do
    mapfile -t ids < <(ours)
    [ ${#ids[@]} -gt 0 ] || break
    kill -KILL "${ids[@]}" 2>/dev/null
    sleep 0.3
  done
  rm -rf "$RAY_TMPDIR" 2>/dev/null || { sleep 1; rm -rf "$RAY_TMPDIR"; }
}
if [ "$role" = sweep ]; then
  [ ! -e "$RAY_TMPDIR" ] || [ -O "$RAY_TMPDIR" ] || exit 0
  sweep
  exit 0
fi

echo "${SLURM_STEP_ID:-}" >"$folder/.step-$index" && mv "$folder/.step-$index" "$folder/step-$index"
[ ! -O "$RAY_TMPDIR" ] || sweep # of the same job, requeued
mkdir -m 700 "$RAY_TMPDIR" || { echo "cannot make $RAY_TMPDIR on $(hostname)"; exit 1; }
trap '' INT # is for the command: Ray goes on until the command has ended
RAY_AUTH_TOKEN=$(cat "$folder/token")
export RAY_AUTH_TOKEN
# a Ray on loopback alone sets this to 0 (esnet/ray/session.py), and a job that is submitted beside one inherits it
export RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=1
export RAY_worker_niceness=0 # Ray gives them 15, at which they starve beside DFT on the same cores

if [ -z "$address" ] && [ -n "$RAY_CLUSTER_INTERFACE" ]; then
  address=$(ip -4 -o addr show dev "$RAY_CLUSTER_INTERFACE" | awk '{split($4, a, "/"); print a[1]; exit}')
  [ -n "$address" ] || { echo "$(hostname) has no IPv4 address on $RAY_CLUSTER_INTERFACE"; exit 1; }
fi
if [ -z "$address" ] && [ "$role" = head ]; then
  # the one that packets to elsewhere leave from, as Ray itself finds it; nothing is sent
  address=$("$python" -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(("192.0.2.1", 9)); print(s.getsockname()[0])') ||
    { echo "$(hostname) has no route to other machines: give --interface or --addresses"; exit 1; }
fi
read -r -a ports < <("$python" -c 'import socket
sockets = [socket.socket() for _ in range(6)]
for s in sockets: s.bind(("", 0))
print(*(s.getsockname()[1] for s in sockets))')

devices=${CUDA_VISIBLE_DEVICES:-${ROCR_VISIBLE_DEVICES:-}} # what SLURM gave this job on this node
IFS=, read -r -a gpus <<<"${devices#NoDevFiles}"
options=(--block --disable-usage-stats "--temp-dir=$RAY_TMPDIR" "--object-store-memory=$((RAY_CLUSTER_STORE_MB * 1048576))"
  "--num-cpus=${SLURM_CPUS_ON_NODE:-$(nproc)}" "--num-gpus=${#gpus[@]}"
  # everything at a free port: a node may be shared, with other jobs' Rays on it
  --min-worker-port=0 --max-worker-port=0 "--dashboard-agent-listen-port=${ports[0]}")
[ -z "$address" ] || options+=("--node-ip-address=$address")
if [ "$role" = head ]; then
  port=$RAY_CLUSTER_DASHBOARD_PORT
  [ "$port" != 0 ] || port=${ports[1]}
  options+=(--head "--port=${ports[2]}" "--ray-client-server-port=${ports[3]}" --include-dashboard=true
    "--dashboard-host=$RAY_CLUSTER_DASHBOARD_HOST" "--dashboard-port=$port")
  echo "http://$RAY_CLUSTER_DASHBOARD_HOST:$port" >"$folder/dashboard"
  echo "$address:${ports[2]}" >"$folder/.address" && mv "$folder/.address" "$folder/address"
else
  options+=("--address=$(cat "$folder/address")")
fi
ending=''
trap 'ending=1; [ -z "${ray:-}" ] || kill -TERM "$ray" 2>/dev/null' TERM
env "$marker" "$python" -m ray.scripts.scripts start "${options[@]}" & ray=$!
code=0
while [ -z "$ending" ] && kill -0 $ray 2>/dev/null; do wait $ray; code=$?; done
if [ -n "$ending" ]; then
  code=0
  # nothing that it does at its end is needed, and SLURM kills this script soon
  for try in 1 2 3 4 5 6 7 8 9 10; do kill -0 $ray 2>/dev/null && sleep 0.2; done
fi
sweep
exit $code
