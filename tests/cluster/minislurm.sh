#!/usr/bin/env bash
# minislurm.sh up|down|stop-controller|start-controller|status|env DIR : a throw-away four-node Slurm 22.05 on 127.0.0.1 (no systemd, no DNS, nothing in /etc).
# Root, Debian 12:  apt-get install -y --no-install-recommends slurmctld slurmd slurm-client munge
#   MINI_ACCT=1 also needs  mariadb-server slurmdbd slurm-wlm-mysql-plugin     (sacct, QOS limits)
#   qsub/qstat/qdel (FireWorks q_type PBS) with  slurm-wlm-torque              (set MINI_MINJOBAGE=2 then)
#   MINI_CGROUP=auto : with cgroup v1 mounted, track and limit jobs by cgroup as real sites do; default no: by process
#   tree, which is the same on every machine.
# Config, keys, sockets, spool, logs and pids live under DIR. Only processes recorded in DIR/*.pid are ended.
set -u
cmd=${1:?up|down|stop-controller|start-controller|status|env}; D=${2:?state directory}
mkdir -p "$D"; D=$(cd "$D" && pwd)
export SLURM_CONF=$D/slurm.conf
NODES=(cpu1 cpu2 gpu1 big1)
say() { echo "minislurm: $*" >&2; }
now() { date +%s%N; }
took() { echo "$(( ($(now) - t0) / 100000000 ))" | sed 's/\(.\)$/.\1 s/;s/^\./0./'; }
# a zombie counts as gone (PID 1 of some containers reaps orphans only every few seconds); a reused pid does not count as ours
pid_lives() { local st; st=$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) && [ "${st:0:1}" != Z ] && tr '\0' ' ' <"/proc/$1/cmdline" | grep -qF -- "$D/"; }
gone() { ! pid_lives "$1"; }
alive() { [ -s "$D/$1.pid" ] && pid_lives "$(cat "$D/$1.pid")"; }
wait_until() { # seconds, command...
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do [ $SECONDS -ge $end ] && return 1; sleep 0.1; done; }
launch() { local n=$1; shift; setsid "$@" >"$D/$n.out" 2>&1 </dev/null & echo $! >"$D/$n.pid"; }   # own session, pid recorded
stop_all() { # grace seconds, names... : TERM to all, bounded wait, then KILL of those very pids
  local g=$1 n p; shift
  for n in "$@"; do alive "$n" && kill -TERM "$(cat "$D/$n.pid")" 2>/dev/null; done
  for n in "$@"; do [ -s "$D/$n.pid" ] || continue; p=$(cat "$D/$n.pid")
    wait_until "$g" gone "$p" || { say "$n ($p) ignored TERM; KILL"; kill -KILL "$p" 2>/dev/null; }
    rm -f "$D/$n.pid"; done; }
die() { say "$1"; tail -n 15 "$2" >&2 2>/dev/null; "$0" down "$D"; exit 1; }
ctl_answers() { alive slurmctld && timeout 5 scontrol ping; }
nodes_idle() { [ "$(timeout 5 sinfo -h -N -o '%N %T' 2>/dev/null | sort -u | grep -c ' idle$')" -ge "${#NODES[@]}" ]; }

write_conf() {
  local p track task gather acct
  p=($(python3 -c 'import socket
ss=[socket.socket() for _ in range(7)]
for s in ss: s.bind(("127.0.0.1",0))
print(*[s.getsockname()[1] for s in ss])'))
  install -d -m 0755 "$D" "$D/state" "$D/log" "$D/dev"; for n in "${NODES[@]}"; do install -d -m 0755 "$D/spool.$n"; done
  # slurmd wants device files for File=; these carry /dev/null's numbers. The trailing digit becomes CUDA_VISIBLE_DEVICES.
  for i in 0 1; do [ -e "$D/dev/fakegpu$i" ] || mknod "$D/dev/fakegpu$i" c 1 3; done
  (umask 077; head -c 128 /dev/urandom >"$D/munge.key")
  # the cgroups are named after the nodes and shared by the whole machine: a second cluster at the same time must not use them
  if [ "${MINI_CGROUP:-no}" = auto ] && [ -w /sys/fs/cgroup/freezer ] && [ -w /sys/fs/cgroup/memory ] && [ ! -e "/sys/fs/cgroup/freezer/slurm_${NODES[0]}" ]; then
    track=cgroup; task=task/cgroup; gather=cgroup
    printf 'CgroupPlugin=cgroup/v1\nCgroupMountpoint=/sys/fs/cgroup\nCgroupAutomount=no\nConstrainRAMSpace=yes\nConstrainSwapSpace=no\nConstrainCores=no\n' >"$D/cgroup.conf"
  else track=linuxproc; task=task/none; gather=linux; printf 'CgroupAutomount=no\n' >"$D/cgroup.conf"; fi
  acct="AccountingStorageType=accounting_storage/none"
  if [ -n "${MINI_ACCT:-}" ]; then
    acct="AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=${p[5]}
AccountingStoragePass=$D/munge.sock
AccountingStorageTRES=gres/gpu
AccountingStorageEnforce=associations,limits,qos"
    (umask 077; cat >"$D/slurmdbd.conf" <<CONF
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=${p[5]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$D/munge.sock
PidFile=$D/slurmdbd.slurmpid
LogFile=$D/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=${p[6]}
StorageUser=slurm
StoragePass=mini
StorageLoc=slurm_acct
CommunicationParameters=NoInAddrAny
CONF
    echo "${p[6]}" >"$D/db.port")
  fi
  cat >"$D/gres.conf" <<CONF
NodeName=gpu1 Name=gpu Type=a100 File=$D/dev/fakegpu[0-1]
CONF
  cat >"$D/slurm.conf" <<CONF
ClusterName=mini
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=${p[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$D/munge.sock
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation=$D/state
SlurmdSpoolDir=$D/spool.%n
SlurmctldPidFile=$D/slurmctld.slurmpid
SlurmdPidFile=$D/slurmd.%n.slurmpid
SlurmctldLogFile=$D/log/slurmctld.log
SlurmdLogFile=$D/log/slurmd.%n.log
SlurmctldDebug=info
SlurmdDebug=info
ProctrackType=proctrack/$track
TaskPlugin=$task
JobAcctGatherType=jobacct_gather/$gather
JobAcctGatherFrequency=2
MpiDefault=none
SwitchType=switch/none
MailProg=/bin/true
# the fake nodes may declare more CPUs and memory than the machine has
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,sched_min_interval=10000,bf_interval=2
PriorityType=priority/basic
GresTypes=gpu
DefMemPerCPU=1000
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=${MINI_SLURMDTIMEOUT:-60}
InactiveLimit=0
MinJobAge=${MINI_MINJOBAGE:-600}
KillWait=5
OverTimeLimit=0
Waittime=0
BatchStartTimeout=30
MessageTimeout=20
PropagateResourceLimits=NONE
$acct
# sacct -c reads this file when there is no slurmdbd
JobCompType=jobcomp/filetxt
JobCompLoc=$D/log/jobcomp.txt
NodeName=cpu[1-2] NodeHostname=localhost NodeAddr=127.0.0.1 Port=[${p[1]},${p[2]}] CPUs=4 RealMemory=4000 State=UNKNOWN
NodeName=gpu1 NodeHostname=localhost NodeAddr=127.0.0.1 Port=${p[3]} CPUs=4 RealMemory=8000 Gres=gpu:a100:2 State=UNKNOWN
NodeName=big1 NodeHostname=localhost NodeAddr=127.0.0.1 Port=${p[4]} CPUs=16 RealMemory=16000 State=UNKNOWN
PartitionName=cpu Nodes=cpu[1-2] Default=YES MaxTime=01:00:00 DefaultTime=00:05:00 State=UP
PartitionName=gpu Nodes=gpu1 MaxTime=00:30:00 DefaultTime=00:05:00 State=UP
PartitionName=long Nodes=big1 MaxTime=1-00:00:00 DefaultTime=00:10:00 State=UP
PartitionName=debug Nodes=cpu1 MaxTime=00:01:00 DefaultTime=00:01:00 MaxNodes=1 PriorityTier=10 State=UP
CONF
}

start_acct() {
  local port; port=$(cat "$D/db.port")
  local cli=(mariadb --no-defaults --socket="$D/db.sock" -uroot)
  [ -d "$D/db" ] || { install -d -m 0700 "$D/db"; mariadb-install-db --no-defaults --user=root --datadir="$D/db" --auth-root-authentication-method=normal --skip-test-db >"$D/log/db-install.log" 2>&1 || die "mariadb-install-db" "$D/log/db-install.log"; }
  launch mariadbd mariadbd --no-defaults --user=root --datadir="$D/db" --socket="$D/db.sock" --bind-address=127.0.0.1 --port="$port" \
    --pid-file="$D/db.mpid" --innodb-buffer-pool-size=128M --innodb-lock-wait-timeout=900 --innodb-flush-log-at-trx-commit=0 --skip-name-resolve
  wait_until 30 "${cli[@]}" -e 'select 1' || die "mariadbd did not answer" "$D/mariadbd.out"
  "${cli[@]}" -e "create database if not exists slurm_acct; create user if not exists slurm@127.0.0.1 identified by 'mini'; grant all on slurm_acct.* to slurm@127.0.0.1"
  launch slurmdbd bash -c "exec -a slurmdbd:$D/ slurmdbd -D"   # finds slurmdbd.conf beside $SLURM_CONF
  wait_until 40 timeout 5 sacctmgr -n -P list cluster || die "slurmdbd did not answer" "$D/log/slurmdbd.log"
  sacctmgr -i -Q add cluster mini >/dev/null
  sacctmgr -i -Q add account lab Description=lab Organization=lab >/dev/null
  sacctmgr -i -Q add qos few MaxSubmitJobsPerUser=4 MaxJobsPerUser=2 Flags=DenyOnLimit >/dev/null
  sacctmgr -i -Q add user "$(id -un)" Account=lab QOS=normal,few DefaultQOS=normal >/dev/null
  sacctmgr -i -Q modify user "$(id -un)" set DefaultAccount=lab >/dev/null
}

case $cmd in
up)
  t0=$(now)
  alive slurmctld && { say "already up in $D"; exit 0; }
  [ -s "$SLURM_CONF" ] || write_conf
  launch munged munged --foreground --force --key-file="$D/munge.key" --socket="$D/munge.sock" \
    --pid-file="$D/munged.mpid" --log-file="$D/log/munged.log" --seed-file="$D/munge.seed"
  wait_until 10 munge -n -S "$D/munge.sock" || die "munged did not answer" "$D/munged.out"
  [ -s "$D/slurmdbd.conf" ] && start_acct
  launch slurmctld slurmctld -D -c -f "$SLURM_CONF"
  wait_until 30 ctl_answers || die "slurmctld did not answer" "$D/log/slurmctld.log"
  for n in "${NODES[@]}"; do launch "slurmd.$n" slurmd -D -N "$n" -f "$SLURM_CONF"; done
  wait_until 40 nodes_idle || die "nodes not idle" "$D/log/slurmd.${NODES[0]}.log"
  say "up in $(took) ($(grep -o 'proctrack/.*' "$SLURM_CONF")): export SLURM_CONF=$SLURM_CONF" ;;
down)
  t0=$(now)
  if alive slurmctld; then
    ids=$(timeout 10 squeue -h -o %A 2>/dev/null | sort -u)
    [ -n "$ids" ] && timeout 20 scancel $ids
    wait_until 30 bash -c '[ -z "$(timeout 5 squeue -h -o %A)" ]' || say "still queued: $(squeue -h -o '%A %T' | tr '\n' ';')"
  fi
  stop_all 15 "${NODES[@]/#/slurmd.}"; stop_all 15 slurmctld; stop_all 15 slurmdbd; stop_all 20 mariadbd; stop_all 5 munged
  grep -q '^ProctrackType=proctrack/cgroup' "$SLURM_CONF" 2>/dev/null && for n in "${NODES[@]}"; do for c in freezer memory cpuacct; do
    [ -d /sys/fs/cgroup/$c/slurm_$n ] && find /sys/fs/cgroup/$c/slurm_$n -depth -type d -exec rmdir {} + 2>/dev/null; done; done
  say "down in $(took)" ;;
stop-controller) stop_all 15 slurmctld ;;
start-controller)
  alive slurmctld || launch slurmctld slurmctld -D -f "$SLURM_CONF"   # without -c: with the state it had
  wait_until 30 ctl_answers || die "slurmctld did not answer" "$D/log/slurmctld.log" ;;
status) scontrol ping; sinfo -o '%P %a %l %D %t %c %m %G %N'; squeue ;;
env) echo "export SLURM_CONF=$SLURM_CONF" ;;
*) say "unknown command $cmd"; exit 2 ;;
esac
