#!/usr/bin/env bash
# ray_cluster.sh [OPTIONS] COMMAND [ARGUMENT...]
#
# Starts Ray on all nodes of this SLURM job, waits until all have joined, runs COMMAND on the first node with
# RAY_ADDRESS, RAY_AUTH_MODE and RAY_AUTH_TOKEN set, and ends Ray again. Exits with COMMAND's exit code.
#
#   sbatch --nodes=4 --ntasks-per-node=1 --cpus-per-task=16 --gpus-per-node=4 --no-kill --signal=B:INT@60 \
#     ray_cluster.sh /absolute/path/to/rlaunch -w my_fworker.yaml singleshot
#
# --no-kill: the job goes on when SLURM loses a node. --signal=B:INT@60: COMMAND and all it has started get SIGINT
# 60 s before the end of the walltime (SIGTERM, as from scancel, is passed on too), and have GRACE s to end.
#
#   --python FILE            Python that has Ray, at a path that all nodes see   (default: python on PATH)
#   --temp-dir DIR           node-local, at most 16 characters: Unix sockets     (default: /tmp)
#   --interface NAME         network between the nodes, e.g. ib0                 (default: Ray's choice)
#   --addresses A,B,...      addresses of the nodes instead, in SLURM's order of the nodes
#   --dashboard-host HOST    where the head's dashboard listens                  (default: 127.0.0.1, for an ssh tunnel)
#   --dashboard-port PORT                                                        (default: a free one)
#   --object-store-mb N      shared memory of a node for Ray                     (default: 512)
#   --wait SECONDS           for all nodes to join; with fewer the job ends      (default: 300)
#   --grace SECONDS          for COMMAND to end after a signal                   (default: 45)
#
# In the folder ray-cluster-JOBID of the submission directory, which all nodes must see: token (readable by you alone),
# address, dashboard, and what the nodes said (node-N.log). It goes at the end; the logs stay where something failed.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
say() { echo "ray_cluster: $*" >&2; }
fail() { say "$*"; exit 1; }

python=$(command -v python || command -v python3)
temp_dir=/tmp interface='' addresses='' dashboard_host=127.0.0.1 dashboard_port=0 object_store_mb=512 wait_s=300 grace_s=45
while [ $# -gt 0 ]; do
  case $1 in
  -h|--help) sed -n '/^set -u/q;2,$s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
  --*) [ $# -ge 2 ] || fail "$1 needs a value" ;;&
  --python) python=$2 ;;
  --temp-dir) temp_dir=$2 ;;
  --interface) interface=$2 ;;
  --addresses) addresses=$2 ;;
  --dashboard-host) dashboard_host=$2 ;;
  --dashboard-port) dashboard_port=$2 ;;
  --object-store-mb) object_store_mb=$2 ;;
  --wait) wait_s=$2 ;;
  --grace) grace_s=$2 ;;
  --*) fail "unknown option $1; --help lists them" ;;
  *) break ;;
  esac
  shift 2
done
[ $# -gt 0 ] || fail "no COMMAND is given; --help says how to call it"
[ -n "${SLURM_JOB_ID:-}" ] || fail "SLURM_JOB_ID is not set: this runs inside a SLURM job (sbatch, salloc)"
[ ${#temp_dir} -le 16 ] || fail "--temp-dir $temp_dir has ${#temp_dir} characters; at most 16: paths of sockets are limited"
[ -x "$python" ] || fail "--python ${python:-(none on PATH)} is no program"

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
[ ${#nodes[@]} -gt 0 ] || fail "scontrol names no nodes for $SLURM_JOB_NODELIST"
IFS=, read -r -a address_of <<<"$addresses"
[ -z "$addresses" ] || [ ${#address_of[@]} -eq ${#nodes[@]} ] || fail "--addresses has ${#address_of[@]} for ${#nodes[@]} nodes"

folder=${SLURM_SUBMIT_DIR:-$PWD}/ray-cluster-$SLURM_JOB_ID
rm -rf "$folder" # of the same job, requeued
(umask 077 && mkdir "$folder" && "$python" -c 'import secrets; print(secrets.token_hex(32))' >"$folder/token") ||
  fail "cannot write $folder/token"
export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
export RAY_CLUSTER_FOLDER=$folder RAY_CLUSTER_TEMP_DIR=$temp_dir RAY_CLUSTER_PYTHON=$python RAY_CLUSTER_INTERFACE=$interface \
  RAY_CLUSTER_DASHBOARD_HOST=$dashboard_host RAY_CLUSTER_DASHBOARD_PORT=$dashboard_port RAY_CLUSTER_STORE_MB=$object_store_mb

on_node() { # index, role: a step of this job on one node
  srun --overlap --nodes=1 --ntasks=1 --nodelist="${nodes[$1]}" --input=none --output="$folder/node-$1.log" --open-mode=append \
    --job-name="ray-$2" bash "$here/ray_node.sh" "$2" "$1" "${address_of[$1]:-}"
}
steps=() # process ids of the srun of each node
start_node() { on_node "$1" "$2" </dev/null & steps[$1]=$!; }
runs() { kill -0 "$1" 2>/dev/null; }
wait_for_end() { # seconds, process ids...
  local end=$((SECONDS + $1)) id
  shift
  for id in "$@"; do while runs "$id" && [ $SECONDS -lt $end ]; do sleep 0.2; done; done
}

end_cluster() { # only steps of ours, by their ids
  local index ids=() file
  trap '' INT TERM
  for file in "$folder"/step-*; do [ -e "$file" ] && ids+=("$SLURM_JOB_ID.$(cat "$file")"); done
  [ ${#ids[@]} -eq 0 ] || scancel --signal=TERM "${ids[@]}" 2>/dev/null
  wait_for_end 15 "${steps[@]}"
  for index in "${!steps[@]}"; do
    runs "${steps[$index]}" || continue
    scancel "$SLURM_JOB_ID.$(cat "$folder/step-$index" 2>/dev/null)" 2>/dev/null
    wait_for_end 10 "${steps[$index]}"
    runs "${steps[$index]}" && kill -KILL "${steps[$index]}"
  done
  # a node whose step was killed cannot have tidied up after itself
  local sweeps=()
  for index in "${!steps[@]}"; do on_node "$index" sweep </dev/null & sweeps+=($!); done
  wait_for_end 20 "${sweeps[@]}"
  for index in "${sweeps[@]}"; do runs "$index" && kill -KILL "$index"; done
  wait "${sweeps[@]}" 2>/dev/null
  rm -f "$folder/token" "$folder/address" "$folder/dashboard" "$folder"/step-*
}
finish() { # exit code
  end_cluster
  if [ "$1" -eq 0 ]; then rm -rf "$folder"; else say "what the nodes said is in $folder"; fi
  exit "$1"
}

trap 'finish 130' INT
trap 'finish 143' TERM
start_node 0 head
deadline=$((SECONDS + wait_s))
await_nodes() { # how many; ends the job where they do not come
  local index joining
  "$python" "$here/joined_nodes.py" "$folder/address" --nodes "$1" --timeout $((deadline - SECONDS)) & joining=$!
  while runs $joining; do
    for index in "${!steps[@]}"; do runs "${steps[$index]}" || { kill $joining 2>/dev/null; break 2; }; done
    sleep 0.2
  done
  wait $joining && return
  say "of ${#nodes[@]} nodes some did not start or join within $wait_s s; they said:"
  for index in "${!steps[@]}"; do
    say "${nodes[$index]}:"
    tail -n 8 "$folder/node-$index.log" >&2
  done
  finish 1
}
RAY_AUTH_TOKEN=$(cat "$folder/token")
export RAY_AUTH_TOKEN
await_nodes 1 # a worker gives up where the head does not answer yet
for ((index = 1; index < ${#nodes[@]}; index++)); do start_node "$index" worker; done
[ ${#nodes[@]} -eq 1 ] || await_nodes ${#nodes[@]}
RAY_ADDRESS=$(cat "$folder/address")
export RAY_ADDRESS
say "${#nodes[@]} nodes have joined $RAY_ADDRESS; dashboard at $(cat "$folder/dashboard") on ${nodes[0]}, its token in $folder/token"

# with job control the command has a process group of its own, and SIGINT is not ignored in it
set -m
if [ "${SLURMD_NODENAME:-}" = "${nodes[0]}" ]; then "$@" & else srun --overlap -N1 -n1 -w "${nodes[0]}" "$@" & fi
command=$!
set +m
signalled=''
pass_on() { # signal, seconds until it is killed
  signalled=$1
  say "SIG$1: passed on to the command, which has $grace_s s"
  kill -s "$1" -- "-$command" 2>/dev/null
  (sleep "$grace_s"; kill -KILL -- "-$command") >/dev/null 2>&1 & killer=$!
}
trap 'pass_on INT' INT
trap 'pass_on TERM' TERM
while :; do
  signalled=''
  wait "$command"
  code=$?
  # a trap interrupts wait, which then says 128 + signal of a command that still runs
  [ -n "$signalled" ] && runs "$command" || break
done
[ -z "${killer:-}" ] || kill "$killer" 2>/dev/null
for index in "${!steps[@]}"; do runs "${steps[$index]}" || say "node ${nodes[$index]} was lost: see $folder/node-$index.log"; done
finish "$code"
