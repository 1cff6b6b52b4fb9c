#!/bin/bash
# Installs what this machine lacks for the lab and for the tests. Says what, asks nothing. Needs root and Debian's apt.
set -euo pipefail
need=()
want() { command -v "$1" >/dev/null 2>&1 || need+=("$2"); } # command package
want mmdebstrap mmdebstrap
want depmod kmod
want cpio cpio
want xz xz-utils
want mkfs.ext4 e2fsprogs
want unshare util-linux
want setpriv util-linux
want ip iproute2
want cc gcc
want busybox busybox-static
[ -x "${CNI_PLUGINS:-/usr/lib/cni}/macvlan" ] || need+=(containernetworking-plugins) # tests of the software fallback
[ ${#need[@]} -eq 0 ] && exit 0
echo "installing: ${need[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${need[@]}" >/dev/null
