#!/bin/bash
# Installs what is missing to build and run muster (`etc/deps.sh run`), and to test it too (`etc/deps.sh all`); for `make vm`: `etc/deps.sh vm`. Debian 12.
# Asks nothing; does nothing, and needs no network and no root, when all is there.
set -euo pipefail
run=(gcc make pkg-config libuv1-dev libsystemd-dev libyaml-dev libcurl4-openssl-dev libjansson-dev libmicrohttpd-dev libsqlite3-dev
     libprotobuf-c-dev protobuf-c-compiler libseccomp-dev uthash-dev scdoc haproxy gunicorn python3-flask)
test=(libcmocka-dev clang libclang-rt-14-dev patch python3-fastapi uvicorn python3-yaml curl openssl procps iproute2 util-linux
      systemd systemd-container dbus)
vm=(qemu-system-x86 e2fsprogs cpio kmod)
case "${1:-all}" in
run) want=("${run[@]}") ;;
all) want=("${run[@]}" "${test[@]}") ;;
vm) want=("${vm[@]}") ;;
*) echo "usage: etc/deps.sh [run|all|vm]" >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null; then
    echo "deps: this is not a Debian system; install what corresponds to: ${want[*]}" >&2
    exit 1
fi
missing=()
for p in "${want[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
done
[ ${#missing[@]} = 0 ] && exit 0

sudo=()
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "deps: as root, please: apt-get install ${missing[*]}" >&2; exit 1; }
    sudo=(sudo)
fi
echo "deps: installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() {
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends -qq "${missing[@]}" </dev/null >"$log" 2>&1
}
if ! install; then
    "${sudo[@]}" apt-get update -qq </dev/null
    install || { tail -20 "$log" >&2; echo "deps: the installation failed" >&2; exit 1; }
fi
echo "deps: done"
