#!/bin/bash
# vm.sh - stories that want a kernel of their own: Debian's, in a virtual machine without any network, emulated (no KVM is needed).
#
#   tests/systemd/vm.sh [STORY...]          default: every tests/systemd/vm_story_*.sh, in one boot
#
# Made once and kept in build/vm: kernel and initrd (packages, fetched but not installed), and a disk with this machine's own packages. A second, small disk
# has what was built, the stories, and takes their results.
# timeout: 400
set -u -o pipefail
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
O=${O:-build}
V=$ROOT/$O/vm
KERNEL=linux-image-cloud-amd64
PACKAGES='systemd systemd-sysv dbus kmod procps util-linux iproute2 passwd login mawk make curl haproxy python3 gunicorn python3-flask
          libuv1 libyaml-0-2 libcurl4 libjansson4 libmicrohttpd12 libsqlite3-0 libprotobuf-c1 libsystemd0 libzstd1'
CAP_S=${MUSTER_VM_CAP:-330}
MEMORY=${MUSTER_VM_MEMORY:-1024}
skip() { echo "$*"; exit 77; }
say() { printf '%3d s  %s\n' "$SECONDS" "$*"; }
[ "$(uname -m)" = x86_64 ] || skip "the machine is made for x86_64"
[ "$(id -u)" = 0 ] || skip "needs root (owners in the disk's image)"
etc_deps() { "$ROOT/etc/deps.sh" vm >"$V/deps.log" 2>&1; }
mkdir -p "$V"
etc_deps || skip "qemu cannot be had: $(tail -1 "$V/deps.log")"

# Fetches a package and gives the path of its file.
fetch() {
    local file
    file=$(find "$V/debs" -name "$1_*.deb" 2>/dev/null | head -1)
    if [ -z "$file" ]; then
        mkdir -p "$V/debs"
        (cd "$V/debs" && { apt-get download -qq "$1" || { apt-get update -qq && apt-get download -qq "$1"; }; }) >"$V/fetch.log" 2>&1 </dev/null || return 1
        file=$(find "$V/debs" -name "$1_*.deb" | head -1)
    fi
    echo "$file"
}

# The first stage: loads what the disk needs and hands over. Everything else is the disk's.
make_initrd() {
    local release=$1 d=$V/initrd m
    rm -rf "$d"
    mkdir -p "$d"/{bin,dev,proc,sys,root}
    cp "$V/busybox/bin/busybox" "$d/bin/busybox"
    : >"$d/order"
    for m in virtio_pci virtio_blk ext4; do
        modprobe -d "$V/kernel" -S "$release" --show-depends "$m" | awk '$1 == "insmod" { print $2 }'
    done | awk '!seen[$0]++' | while read -r m; do
        cp "$m" "$d/$(basename "$m")" && basename "$m" >>"$d/order"
    done
    cat >"$d/init" <<'I'
#!/bin/busybox sh
/bin/busybox mount -t proc none /proc
/bin/busybox mount -t devtmpfs none /dev
while read -r m; do /bin/busybox insmod "/$m"; done </order
i=0
while [ ! -b /dev/vda ] && [ $i -lt 100 ]; do /bin/busybox sleep 0.1; i=$((i + 1)); done
/bin/busybox mount -t ext4 /dev/vda /root || { echo "no root disk"; /bin/busybox poweroff -f; }
/bin/busybox mount --move /dev /root/dev
/bin/busybox umount /proc
exec /bin/busybox switch_root /root /lib/systemd/systemd
I
    chmod +x "$d/init"
    ln -sf busybox "$d/bin/sh"
    (cd "$d" && find . | cpio -o -H newc --quiet | gzip -1) >"$V/initrd.gz"
}

make_kernel() {
    local real deb release
    [ -s "$V/initrd.gz" ] && [ -s "$V/vmlinuz" ] && [ -s "$V/release" ] && return 0
    real=$(apt-cache depends "$KERNEL" 2>/dev/null | awk '$1 == "Depends:" { print $2; exit }')
    [ -n "$real" ] || skip "no package $KERNEL is known here (apt-get update?)"
    deb=$(fetch "$real") || skip "$real cannot be fetched: $(tail -1 "$V/fetch.log")"
    rm -rf "$V/kernel" "$V/busybox"
    dpkg-deb -x "$deb" "$V/kernel" || return 1
    deb=$(fetch busybox-static) || skip "busybox-static cannot be fetched: $(tail -1 "$V/fetch.log")"
    dpkg-deb -x "$deb" "$V/busybox" || return 1
    release=$(basename "$V"/kernel/lib/modules/*)
    depmod -b "$V/kernel" "$release" || return 1
    make_initrd "$release" || return 1
    cp "$V"/kernel/boot/vmlinuz-* "$V/vmlinuz" && echo "$release" >"$V/release"
    say "kernel $release"
}

disk() { rm -f "$3"; mke2fs -q -t ext4 -O ^has_journal -E lazy_itable_init=1,root_owner=0:0 -d "$2" "$3" "$1" 2>"$V/mke2fs.log" || { cat "$V/mke2fs.log"; return 1; }; }

make_base() {
    local list
    list=$("$ROOT/tests/systemd/vm_root.py" --list $PACKAGES; sha256sum "$0" "$ROOT/tests/systemd/vm_root.py" "$V/release" | cut -c 1-64) || return 1
    [ -s "$V/base.img" ] && [ "$(cat "$V/base.list" 2>/dev/null)" = "$list" ] && return 0
    rm -rf "$V/root"
    "$ROOT/tests/systemd/vm_root.py" "$V/root" $PACKAGES || return 1
    mkdir -p "$V/root/lib/modules"
    echo muster-vm >"$V/root/etc/hostname"
    : >"$V/root/etc/machine-id"
    cat >"$V/root/etc/systemd/system/story.service" <<'U'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStartPre=/bin/mount -t ext4 /dev/vdb /src
ExecStart=/bin/bash -c 'bash /src/tests/systemd/vm_inside.sh 2>&1 | sed -u "s/^/story| /" >/dev/ttyS0'
ExecStopPost=/bin/systemctl poweroff --force --force
U
    mkdir -p "$V/root/etc/systemd/system/multi-user.target.wants"
    ln -s ../story.service "$V/root/etc/systemd/system/multi-user.target.wants/story.service"
    disk 900M "$V/root" "$V/base.img" && echo "$list" >"$V/base.list"
    rm -rf "$V/root"
    say "disk with $(wc -l <"$V/base.list") packages"
}

# What was built, and the stories.
make_second() {
    local s=$V/second
    rm -rf "$s"
    mkdir -p "$s"/{results,tests/scenario,$O}
    make -C "$ROOT" --no-print-directory O="$O" DESTDIR="$s/install" PREFIX=/usr install >"$V/install.log" 2>&1 || { cat "$V/install.log"; return 1; }
    cp -a "$ROOT/tests/systemd" "$s/tests/systemd"
    cp -a "$ROOT/tests/scenario/apps" "$s/tests/scenario/apps"
    cp -a "$ROOT/$O/load" "$ROOT/$O/child" "$s/$O/"
    printf '%s\n' "$@" >"$s/stories"
    echo "$O" >"$s/build-folder"
    disk 200M "$s" "$V/second.img"
}

QEMU=''
trap '[ -n "$QEMU" ] && kill "$QEMU" 2>/dev/null; exit 143' INT TERM      # timeout passes it on
[ $# -gt 0 ] || set -- "$ROOT"/tests/systemd/vm_story_*.sh
make_kernel || { echo "the kernel cannot be made ready"; exit 1; }
make_base || { echo "the disk cannot be made"; exit 1; }
make_second "${@##*/}" || { echo "the second disk cannot be made"; exit 1; }
say "starting the machine"
rm -f "$V/console.log" "$V/story.log"
timeout -k 5 "$CAP_S" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m "$MEMORY" -nic none -nographic -no-reboot -monitor none \
    -kernel "$V/vmlinuz" -initrd "$V/initrd.gz" -serial "file:$V/console.log" \
    -append 'console=ttyS0 quiet panic=-1 mitigations=off systemd.mask=getty.target systemd.unit=multi-user.target' \
    -drive "file=$V/base.img,if=virtio,format=raw,snapshot=on" -drive "file=$V/second.img,if=virtio,format=raw" </dev/null >"$V/qemu.log" 2>&1 &
QEMU=$!
wait "$QEMU"
rc=$?
QEMU=''
tr -d '\r' <"$V/console.log" | sed -n 's/^story| //p' >"$V/story.log"
cat "$V/story.log"
say "the machine has ended"
if ! grep -q '^all stories: 0$' "$V/story.log"; then
    [ $rc = 124 ] && echo "not finished after $CAP_S s"
    [ -s "$V/story.log" ] || { tail -5 "$V/qemu.log"; tail -20 "$V/console.log"; }
    exit 1
fi
echo "= $(grep -c '^ok ' "$V/story.log") stories with kernel $(cat "$V/release"), $SECONDS s"
