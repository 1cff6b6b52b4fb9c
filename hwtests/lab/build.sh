#!/bin/bash
# Builds the guest of the emulated lab in a folder: Debian trixie as a tree that QEMU's 9p serves, Debian's kernel, an
# initramfs that mounts it, and the container images that pods run. Prints a line per step. Needs root.
#   build.sh DIR     about one minute and 1 GB; nothing outside DIR changes
#
# QEMU runs from inside the tree, too: it must be trixie's 10.0.13 or newer, since in 10.0.2 the registers of the VFs
# are not mapped and igbvf waits for its PF for ever.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mkdir -p "${1:?DIR}" && cd "$1" && pwd)
root=$dir/root
step() { echo "lab: $*"; }

packages=(
  linux-image-amd64 kmod udev                       # the kernel with igb, igbvf, vfio-pci, macvlan, ipvlan
  qemu-system-x86 seabios ipxe-qemu                 # the machine itself
  iproute2 iputils-ping ethtool pciutils procps     # what a scenario looks with
  tcpdump strace e2fsprogs jq openssl
  containerd runc containernetworking-plugins       # the runtime and the reference plugins
  dpdk-dev librte-meta-net librte-meta-bus librte-meta-mempool
  busybox-static
)

guest_root() {
  step "installing Debian trixie with ${#packages[@]} packages and what they need"
  rm -rf "$root"
  mmdebstrap --quiet --variant=minbase --include="$(IFS=,; echo "${packages[*]}")" \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' trixie "$root"
  mkdir -p "$root"/{exchange,assets,state,images,run/netns,opt/cni/bin,var/lib/containerd,var/lib/kubelet,var/lib/cni}
  touch "$root/state.img" # mount point of the disk
  install -m 0755 "$here/init.sh" "$root/lab-init"
}

initramfs() {
  step "making the initramfs"
  local kernel tree=$dir/initramfs module
  kernel=$(ls "$root/lib/modules" | head -1)
  rm -rf "$tree"; mkdir -p "$tree"/{bin,proc,sys,dev,lower,upper,newroot,lib/modules/"$kernel"}
  cp "$root/usr/bin/busybox" "$tree/bin/"
  for module in 9p 9pnet_virtio overlay virtio_pci; do
    modprobe -d "$root" -S "$kernel" --show-depends "$module" | awk '$1 == "insmod" {print $2}'
  done | sort -u | while read -r file; do
    xz -dc "$file" > "$tree/lib/modules/$kernel/$(basename "${file%.xz}")"
  done
  depmod -b "$tree" "$kernel" 2>/dev/null
  install -m 0755 "$here/initramfs-init.sh" "$tree/init"
  (cd "$tree" && find . | cpio -o -H newc --quiet | gzip -1) > "$root/boot/lab-initramfs.gz"
  ln -sf "vmlinuz-$kernel" "$root/boot/lab-vmlinuz"
  rm -rf "$tree"
}

# image NAME TREE COMMAND...: a docker archive of one layer, as `ctr images import` takes it.
image() {
  local name=$1 tree=$2 work id command; shift 2
  work=$(mktemp -d)
  tar -C "$tree" --sort=name --mtime=@0 --owner=0 --group=0 -cf "$work/layer.tar" .
  id=$(sha256sum "$work/layer.tar" | cut -d' ' -f1)
  mkdir "$work/$id"; mv "$work/layer.tar" "$work/$id/"
  command=$(printf ',"%s"' "$@")
  printf '{"architecture":"amd64","os":"linux","config":{"Cmd":[%s],"Env":["PATH=/bin:/usr/bin"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
    "${command#,}" "$id" > "$work/config.json"
  printf '[{"Config":"config.json","RepoTags":["lab.local/%s:1"],"Layers":["%s/layer.tar"]}]' "$name" "$id" > "$work/manifest.json"
  tar -C "$work" -cf "$root/images/$name.tar" config.json manifest.json "$id"
  rm -rf "$work"
}

images() {
  step "making the container images: pause, busybox, dpdk"
  local tree applet
  tree=$(mktemp -d)
  mkdir -p "$tree"/{bin,tmp,proc,sys,dev,etc}
  cp "$root/usr/bin/busybox" "$tree/bin/"
  for applet in sh ip ping cat ls sleep id grep env true; do ln -s busybox "$tree/bin/$applet"; done
  image pause "$tree" /bin/sleep 2147483647
  image busybox "$tree" /bin/sleep 2147483647
  # testpmd with the libraries it is linked to and the drivers it loads.
  mkdir -p "$tree/usr/bin" "$tree/dev/hugepages"
  cp "$root/usr/bin/dpdk-testpmd" "$tree/usr/bin/"
  local drivers; drivers=$(cd "$root" && ls -d usr/lib/x86_64-linux-gnu/dpdk/pmds-*)
  mkdir -p "$tree/$drivers"
  cp -a "$root/$drivers"/librte_{net_e1000,bus_pci,bus_vdev,bus_auxiliary,mempool_ring}*.so* "$tree/$drivers/"
  local file
  for file in "$root/usr/bin/dpdk-testpmd" "$tree/$drivers"/*.so; do
    chroot "$root" ldd "${file#"$root"}" 2>/dev/null || true
  done | awk '/=> \// {print $3} /^\t\/lib64/ {print $1}' | sort -u > "$dir/libraries"
  for file in "$tree/$drivers"/*.so; do
    chroot "$root" ldd "/$drivers/$(basename "$file")" || true
  done | awk '/=> \// {print $3}' | sort -u >> "$dir/libraries"
  sort -u "$dir/libraries" | while read -r file; do
    mkdir -p "$tree$(dirname "$file")"; cp -L "$root$file" "$tree$file"
  done
  image dpdk "$tree" /bin/sleep 2147483647
  rm -rf "$tree" "$dir/libraries"
}

guest_root
initramfs
images
touch "$dir/.done"
step "ready: $(du -sh "$root" | cut -f1) in the guest's tree"
