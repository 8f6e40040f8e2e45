#!/bin/sh
# What only the tests need of Debian's packages: a SLURM that they start themselves, its PBS commands, and a browser.
# Installs what is missing where it can (root and apt-get); elsewhere it says what, and those tests are skipped.
# No service is started: on a machine with systemd a policy that forbids it stands while apt-get is at work.
set -u

say() { echo "[setup] $*"; }

debian=""
need() { # command, the Debian package that has it
    command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || debian="$debian $2"
}
need slurmctld slurmctld
need slurmd slurmd
need sbatch slurm-client
need munged munge
need qsub slurm-wlm-torque
need chromium chromium
if [ -z "$debian" ]; then
    say "packages for the tests: SLURM and a browser are there"
    exit 0
fi
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" -ne 0 ]; then
    say "note: without root or apt-get the tests that need these are skipped:$debian"
    exit 0
fi
say "packages for the tests: installing$debian"
log=$(mktemp) || exit 1
policy=/usr/sbin/policy-rc.d
made=""
trap 'rm -f "$log"; [ -z "$made" ] || rm -f "$policy"' EXIT
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" && made=yes
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q </dev/null >"$log" 2>&1
# shellcheck disable=SC2086  # several words
if ! apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=120 $debian </dev/null >>"$log" 2>&1; then
    tail -n 15 "$log" >&2
    say "note: apt-get could not install them (its last lines are above); the tests that need them are skipped"
fi
