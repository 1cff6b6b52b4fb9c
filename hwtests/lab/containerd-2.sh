#!/bin/bash
# Puts a second container runtime into a built guest: containerd 2 and runc of Debian forky, beside trixie's own, whose
# libraries they run with. Prints a line per step. Needs root.
#   containerd-2.sh DIR     DIR is the folder of the guest; a few seconds and 80 MB
set -euo pipefail
dir=$(cd "${1:?DIR}" && pwd)
tree=$dir/containerd-2
target=$dir/root/opt/containerd-2
step() { echo "lab: $*"; }

step "fetching containerd of Debian forky"
rm -rf "$tree" "$target.new"
# A testing release outdates after a week; an archive that is a snapshot stays as good as its signature.
mmdebstrap --quiet --variant=extract --include=containerd --aptopt='Acquire::Check-Valid-Until "false"' \
  --dpkgopt='path-exclude=/usr/share/*' forky "$tree"
mkdir -p "$target.new/bin"
cp -L "$tree"/usr/bin/{containerd,containerd-shim-runc-v2,ctr} "$tree/usr/sbin/runc" "$target.new/bin/"
rm -rf "$tree"
# The guest's own C library must do for them.
for program in containerd runc; do
  version=$(chroot "$dir/root" "/opt/containerd-2.new/bin/$program" --version)
  step "${version%%$'\n'*}"
done
mv "$target.new" "$target"
step "ready: $(du -sh "$target" | cut -f1) in the guest's tree"
