#!/bin/busybox sh
# First program of the guest: the tree of the host, read-only over 9p, below a tmpfs.
B=/bin/busybox
$B mount -t proc proc /proc
$B mount -t sysfs sysfs /sys
$B mount -t devtmpfs dev /dev
for module in virtio_pci 9p 9pnet_virtio overlay; do $B modprobe $module; done
$B mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=512000,cache=loose root /lower || exec $B sh
$B mount -t tmpfs tmpfs /upper
$B mkdir -p /upper/data /upper/work
$B mount -t overlay -o lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work root /newroot
for d in proc sys dev; do $B mount --move /$d /newroot/$d; done
exec $B switch_root /newroot /lab-init
