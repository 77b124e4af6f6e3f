#!/bin/bash
# box.sh - a story under a real systemd: boots a container made of this machine and runs the story in it as root.
#
#   tests/systemd/box.sh tests/systemd/story_NAME.sh
#
# The container's root is an overlay of `/` whose changes are in memory and gone at the end, so that `make install` may do what it likes. It has no
# network but its own loopback, its own cgroup (v2, without controllers where the machine uses them in v1), and this source tree, read-only, at /src.
# What systemd prints goes to console.log in the results folder (MUSTER_KEEP=1 keeps it).
set -u -o pipefail
STORY=${1:?which story}
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
skip() { echo "$*"; exit 77; }
[ "$(id -u)" = 0 ] || skip "needs root"
command -v systemd-nspawn >/dev/null || skip "no systemd-nspawn here (package systemd-container)"
[ -x /lib/systemd/systemd ] || skip "no systemd here"
if [ -z "${MUSTER_BOX_INSIDE:-}" ]; then
    # Mounts of its own: they go when it ends, whatever happens.
    MUSTER_BOX_INSIDE=1 exec unshare -m --propagation private bash "$0" "$@"
fi

NAME=muster-box-$$
T=$(mktemp -d "/tmp/$NAME-XXXXXX")
UNIFIED=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
[ -n "$UNIFIED" ] || skip "no cgroup v2 here"
GROUPS_OF="$UNIFIED"
[ -d /sys/fs/cgroup/systemd ] && GROUPS_OF="$UNIFIED /sys/fs/cgroup/systemd"
NSPAWN='' LEADER=''

cleanup() {
    local rc=$? g i
    trap - EXIT INT TERM
    [ -e "$UNIFIED/$NAME/cgroup.kill" ] && echo 1 >"$UNIFIED/$NAME/cgroup.kill"
    [ -n "$NSPAWN" ] && wait "$NSPAWN" 2>/dev/null
    for g in $GROUPS_OF; do
        for i in 1 2 3 4 5 6 7 8 9 10; do
            [ -d "$g/$NAME" ] || break
            find "$g/$NAME" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.1
        done
    done
    umount -R "$T/root" 2>/dev/null
    if [ -n "${MUSTER_KEEP:-}" ]; then echo "kept: $T/results"; rm -rf "$T/root"; else umount "$T/memory" 2>/dev/null; rm -rf "$T"; fi
    exit $rc
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The container's root: nothing of this machine's services, logs and old rc scripts comes along.
make_root() {
    local r=$T/root
    mkdir -p "$T"/{memory,root,results}
    mount -t tmpfs -o size=2g none "$T/memory" && mkdir "$T/memory"/{upper,work} || return 1
    mount -t overlay overlay -o "lowerdir=/,upperdir=$T/memory/upper,workdir=$T/memory/work" "$r" || return 1
    rm -rf "$r"/etc/systemd/system/*.wants "$r"/var/log/journal "$r"/etc/rc?.d "$r"/var/lib/muster* "$r"/etc/muster
    ln -sf /dev/null "$r/etc/systemd/system/getty.target"
    ln -sf /dev/null "$r/etc/systemd/system/systemd-networkd-wait-online.service"
    mkdir -p "$r/src" "$r/results"
}

boot() {
    local g
    for g in $GROUPS_OF; do mkdir "$g/$NAME" || return 1; done
    (
        for g in $GROUPS_OF; do echo $BASHPID >"$g/$NAME/cgroup.procs"; done
        export UNIFIED_CGROUP_HIERARCHY=1
        exec systemd-nspawn -q -D "$T/root" -b -M "$NAME" --private-network --register=no --keep-unit --console=pipe --link-journal=no \
            --bind-ro="$ROOT:/src" --bind="$T/results:/results" systemd.unit=multi-user.target
    ) </dev/null >"$T/results/console.log" 2>&1 &
    NSPAWN=$!
    for _ in $(seq 200); do
        LEADER=$(pgrep -P "$NSPAWN" -x systemd) && nsenter -t "$LEADER" -a systemctl is-system-running --wait >/dev/null 2>&1
        case $? in 0) return 0 ;; esac
        # "degraded" is a state too: some unit of this machine does not like containers.
        [ -n "$LEADER" ] && [ "$(nsenter -t "$LEADER" -a systemctl is-system-running 2>/dev/null)" = degraded ] && return 0
        kill -0 "$NSPAWN" 2>/dev/null || return 1
        sleep 0.05
    done
    return 1
}

make_root || skip "cannot make an overlay of / here"
boot || { tail -20 "$T/results/console.log"; echo "the container did not boot"; exit 1; }
nsenter -t "$LEADER" -a env -i PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin HOME=/root LANG=C.UTF-8 NO_COLOR=1 O="${O:-build}" \
    bash "/src/${STORY#"$ROOT"/}" </dev/null
