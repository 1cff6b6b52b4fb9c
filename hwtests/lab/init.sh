#!/bin/bash
# Pid 1 of the guest: mounts, udev, modules, the disk that survives a reboot; then the command found in
# /exchange/command, whose end is the guest's end. Only files in /exchange go out; the console is for people.
exec </dev/console >/dev/console 2>&1
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root
# No program can be read any more once the power goes, so the wait is the shell's own.
finish() { sync; echo o > /proc/sysrq-trigger; while :; do :; done; }
trap finish EXIT

mount -t tmpfs -o mode=0755 tmpfs /run
mount -t tmpfs tmpfs /tmp
mkdir -p /run/netns /run/lock /dev/shm /dev/pts /dev/hugepages
mount -t tmpfs tmpfs /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t devpts devpts /dev/pts
mount -t bpf bpf /sys/fs/bpf
mount --make-rshared /
hostname lab
ip link set lo up

modprobe 9pnet_virtio
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=none exchange /exchange
modprobe virtio_blk
modprobe ext4
mount /dev/vda /state
for d in var/lib/containerd var/lib/kubelet var/lib/cni etc/cni; do
  mkdir -p "/state/$d" "/$d"
  mount --bind "/state/$d" "/$d"
done

# igbvf comes last, by the guest program: it only finds its PF when the PF is up.
echo 'blacklist igbvf' > /etc/modprobe.d/lab.conf
/usr/lib/systemd/systemd-udevd --daemon
udevadm trigger --action=add
udevadm settle
for module in igb vfio-pci vfio_iommu_type1 macvlan ipvlan veth bridge 8021q dummy virtio_net; do modprobe "$module"; done
udevadm settle

echo "lab: $(cut -d' ' -f1 /proc/uptime) s: booted"
mapfile -d '' -t command < /exchange/command
"${command[@]}"
echo $? > /exchange/exit-code
sync
