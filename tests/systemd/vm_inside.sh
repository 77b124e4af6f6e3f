#!/bin/bash
# vm_inside.sh - inside the virtual machine: installs what was built, runs the stories one after the other, says how each ended.
cd /
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin HOME=/root LANG=C.UTF-8 NO_COLOR=1 MUSTER_VM=1
O=$(cat /src/build-folder)
export O
ip link set lo up
ln -sfn /src/results /results
cp -a /src/install/. /
systemd-sysusers && systemd-tmpfiles --create muster.conf && systemctl daemon-reload
echo "kernel $(uname -r), up for $(cut -d' ' -f1 /proc/uptime) s, controllers: $(cat /sys/fs/cgroup/cgroup.controllers)"
bad=0
while read -r story; do
    began=$SECONDS
    bash "/src/tests/systemd/$story" </dev/null
    rc=$?
    case $rc in 0) word=ok ;; 77) word=skip ;; *) word=FAIL bad=$((bad + 1)) ;; esac
    echo "$word ${story%.sh} ($((SECONDS - began)) s)"
done </src/stories
echo "all stories: $bad"
sync
