#!/usr/bin/env bash
# Slurm with two nodes that are this one machine, for tests: no accounting, no cgroups, fake processors and GPUs.
#
#   tests/slurm/one_machine.sh start|stop|status [FOLDER]
#
# Needs Debian's slurm-wlm and munge, and root. Keeps all it writes in FOLDER (/tmp/molebm-slurm), but for the
# configuration, which must be where Slurm looks for it: what Snakemake starts in a job does not know SLURM_CONF.
# A configuration that is not from here is left alone and refused, exit code 3.
set -euo pipefail
unset SLURM_CONF

folder=${2:-/tmp/molebm-slurm}
settings=/etc/slurm
mark="# of molebm's tests"
nodes=(one two)
daemons=(slurmd.one slurmd.two slurmctld munged)

ours() { [[ ! -e $1 ]] || head -n 1 "$1" | grep -qxF "$mark"; }

configure() {
    local file machine
    machine=$(hostname -s)
    for file in slurm.conf gres.conf cgroup.conf; do
        ours "$settings/$file" || { echo "$settings/$file is of another Slurm; it is left alone" >&2; exit 3; }
    done
    mkdir -p "$settings" "$folder"/{state,spool}
    cat >"$settings/slurm.conf" <<CONF
$mark
ClusterName=molebm
SlurmctldHost=$machine(127.0.0.1)
SlurmctldPort=26817
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool/%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.%n.log
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
GresTypes=gpu
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0,sched_min_interval=0
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=30
KillWait=5
MinJobAge=86400
$(for n in 0 1; do
    echo "NodeName=${nodes[n]} NodeHostName=$machine NodeAddr=127.0.0.1 Port=$((28001 + n)) CPUs=4 RealMemory=16000 Gres=gpu:1"
done)
PartitionName=cpu Nodes=$(IFS=,; echo "${nodes[*]}") Default=YES MaxTime=INFINITE DefaultTime=10
CONF
    { echo "$mark"; for node in "${nodes[@]}"; do echo "NodeName=$node Name=gpu File=/dev/null"; done; } >"$settings/gres.conf"
    printf '%s\nCgroupAutomount=no\n' "$mark" >"$settings/cgroup.conf"
}

start_munge() {
    munge -n 2>/dev/null | unmunge >/dev/null 2>&1 && return # one is there, and serves
    install -d -o munge -g munge -m 700 "$folder/munge"
    install -d -o munge -g munge -m 755 /run/munge
    if [[ ! -s $folder/munge/key ]]; then
        head -c 1024 /dev/urandom >"$folder/munge/key"
        chown munge: "$folder/munge/key"
        chmod 400 "$folder/munge/key"
    fi
    runuser -u munge -- munged --key-file="$folder/munge/key" --pid-file="$folder/munge/munged.pid" \
        --log-file="$folder/munge/munged.log" --seed-file="$folder/munge/seed"
    wait_until "munge" munge -n
}

wait_until() {
    local what=$1
    shift
    for _ in $(seq 100); do
        if "$@" >/dev/null 2>&1; then return; fi
        sleep 0.2
    done
    echo "$what did not come up" >&2
    tail -n 20 "$folder"/*.log "$folder"/munge/*.log >&2 || true
    exit 1
}

all_idle() { [[ $(sinfo -h -N -t idle -o %N | sort -u | wc -l) == "${#nodes[@]}" ]]; }

start() {
    configure
    start_munge
    slurmctld
    for node in "${nodes[@]}"; do
        mkdir -p "$folder/spool/$node"
        slurmd -N "$node"
    done
    wait_until "nodes" all_idle
}

pid_file() { if [[ $1 == munged ]]; then echo "$folder/munge/munged.pid"; else echo "$folder/$1.pid"; fi; }

stop() {
    local daemon file pid
    if [[ -e $settings/slurm.conf ]] && ours "$settings/slurm.conf"; then
        timeout 5 scancel --user root >/dev/null 2>&1 || true
        for _ in $(seq 30); do [[ -z $(timeout 5 squeue -h -t R,CG 2>/dev/null) ]] && break; sleep 0.2; done
    fi
    for daemon in "${daemons[@]}"; do
        file=$(pid_file "$daemon")
        [[ -s $file ]] || continue
        pid=$(<"$file")
        kill "$pid" 2>/dev/null || continue
        for _ in $(seq 50); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        if kill -0 "$pid" 2>/dev/null; then kill -9 "$pid"; fi
    done
    for file in slurm.conf gres.conf cgroup.conf; do
        if ours "$settings/$file"; then rm -f "$settings/$file"; fi
    done
    if [[ -d $folder/state ]]; then rm -rf "$folder"; fi
}

status() {
    local daemon file
    for daemon in "${daemons[@]}"; do
        file=$(pid_file "$daemon")
        if [[ -s $file ]] && kill -0 "$(<"$file")" 2>/dev/null; then echo "$daemon runs"; else echo "$daemon does not run"; fi
    done
    sinfo 2>/dev/null || true
}

case ${1:-} in
    start | stop | status) "$1" ;;
    *) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
