#!/bin/bash
# Hosts differ in their cgroups: v2 alone, v1 alone, none at all. Under each, nobody of an instance outlives it (the whole of stop_group.sh),
# and a kill of an instance's main process is followed by a replacement.
# timeout: 110
set -u -o pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
[ "$(id -u)" = 0 ] || { echo "needs root, to mount other views"; exit 77; }
UNIFIED=/sys/fs/cgroup/unified; [ -e $UNIFIED/cgroup.procs ] || UNIFIED=/sys/fs/cgroup
[ -e $UNIFIED/cgroup.procs ] || { echo "no cgroup v2 here"; exit 77; }
OWN=$UNIFIED/muster-views-$$
export UNIFIED HERE
cleanup() {
    for _ in $(seq 50); do
        find "$OWN" -depth -type d -exec rmdir {} + 2>/dev/null
        [ -d "$OWN" ] || return 0
        sleep 0.1
    done
    echo "left behind: $OWN"
    exit 1
}
trap cleanup EXIT
mkdir "$OWN" || exit 1

# view NAME FLAGS MOUNTS PATTERN: the story in a mount namespace of its own (FLAGS: further ones of unshare); PATTERN is what a line of an instance's /proc/PID/cgroup must look like.
view() {
    echo "--- $1"
    MUSTER_EXPECT_CGROUP=$4 unshare -m $2 --propagation private bash -c "set -e; $3"' exec bash "$HERE/stop_group.sh"' || { echo "FAILED: $1"; exit 1; }
}
view "none" "" 'mount -t tmpfs -o ro none /sys/fs/cgroup;' none
[ -e /sys/fs/cgroup/pids/cgroup.procs ] && view "v1 alone" "" "umount $UNIFIED;" ':pids:.*/muster-[0-9.]+/family\.1$'
(
    echo $BASHPID >"$OWN/cgroup.procs"
    view "v2 alone, in a cgroup namespace" -C 'umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup;' '^0::.*/muster-[0-9.]+/family\.1$'
) || exit 1
echo "all views"
