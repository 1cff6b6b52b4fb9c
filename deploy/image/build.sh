#!/bin/bash
# Writes Ferrovia's container image as an OCI layout and as an archive of it, without a container engine: the four static
# programs, nothing else. The same programs and SOURCE_DATE_EPOCH give the same digest, which is the last line printed.
#   build.sh OUT PROGRAM...     PROGRAM: paths of multus, multus-daemon, sriov, sriovdp; all of one architecture
# Environment: IMAGE_NAME (default localhost/ferrovia: a name without a host is one of a public registry to most runtimes),
# IMAGE_TAG (default the workspace's version), SOURCE_DATE_EPOCH (default the commit's time, 0 outside git), IMAGE_REVISION
# (default the commit).
# Format: OCI image-spec 1.1 (image-layout.md, manifest.md, config.md).
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
out=${1:?OUT}; shift
[ $# -gt 0 ] || { echo "build.sh: no PROGRAM given" >&2; exit 2; }

commit() { git -C "$here" log -1 --format="$1" 2>/dev/null; }
name=${IMAGE_NAME:-localhost/ferrovia}
tag=${IMAGE_TAG:-$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$here/Cargo.toml")}
epoch=${SOURCE_DATE_EPOCH:-$(commit %ct || echo 0)}
revision=${IMAGE_REVISION:-$(commit %H || echo unknown)}
created=$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)

# The architecture is what the programs are, not what this machine is: bytes 18 and 19 of an ELF file (elf.h, e_machine).
architecture() {
  local machine
  machine=$(od -An -tx1 -j18 -N2 "$1" | tr -d ' ')
  case $machine in
    3e00) echo amd64 ;;
    b700) echo arm64 ;;
    *) echo "build.sh: $1 is for machine 0x$machine, neither amd64 nor arm64" >&2; return 1 ;;
  esac
}
architecture=$(architecture "$1")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/root/usr/bin" "$work/layout/blobs/sha256"
for program in "$@"; do
  [ "$(architecture "$program")" = "$architecture" ] || { echo "build.sh: $program is not for $architecture like $1" >&2; exit 1; }
  # No interpreter: it must start in an image that has no C library, and on any host it is copied to.
  if readelf -lW "$program" | grep -q ' INTERP '; then
    echo "build.sh: $program is not static (it asks for an interpreter)" >&2; exit 1
  fi
  # Another folder, another machine: the same bytes. Cargo's own files and the workspace's are named without their folder.
  for folder in "$here/target" "${CARGO_HOME:-${HOME:-}/.cargo}/registry"; do
    if grep -qF "$folder/" "$program"; then
      echo "build.sh: $program names $folder: built without .cargo/rustc (RUSTC_WRAPPER?), or before that was there" >&2; exit 1
    fi
  done
  install -m 0755 "$program" "$work/root/usr/bin/"
done

# blob FILE: moves a file to its place by digest, prints the digest.
blob() {
  local digest
  digest=$(sha256sum "$1" | cut -d' ' -f1)
  mv "$1" "$work/layout/blobs/sha256/$digest"
  echo "$digest"
}
size() { stat -c %s "$work/layout/blobs/sha256/$1"; }

# Everything that could differ between two builds is pinned: order, times, owners, modes, gzip's header.
tar -C "$work/root" --format=gnu --sort=name --mtime="@$epoch" --owner=0 --group=0 --numeric-owner --mode=0755 \
  -cf "$work/layer" usr
diff_id=$(sha256sum "$work/layer" | cut -d' ' -f1)
gzip -n -9 < "$work/layer" > "$work/layer.gz"
layer=$(blob "$work/layer.gz")

labels='"org.opencontainers.image.title":"ferrovia","org.opencontainers.image.version":"%s","org.opencontainers.image.revision":"%s","org.opencontainers.image.licenses":"Apache-2.0"'
# shellcheck disable=SC2059 # the format is ours
labels=$(printf "$labels" "$tag" "$revision")
cat > "$work/config" <<JSON
{"created":"$created","architecture":"$architecture","os":"linux","config":{"Env":["PATH=/usr/bin"],"WorkingDir":"/","Labels":{$labels}},"rootfs":{"type":"layers","diff_ids":["sha256:$diff_id"]},"history":[{"created":"$created","created_by":"deploy/image/build.sh"}]}
JSON
config=$(blob "$work/config")

cat > "$work/manifest" <<JSON
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:$config","size":$(size "$config")},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:$layer","size":$(size "$layer")}],"annotations":{$labels}}
JSON
manifest=$(blob "$work/manifest")

compressed=$(size "$layer")

# containerd takes the first name, other tools the second.
cat > "$work/layout/index.json" <<JSON
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:$manifest","size":$(size "$manifest"),"platform":{"architecture":"$architecture","os":"linux"},"annotations":{"io.containerd.image.name":"$name:$tag","org.opencontainers.image.ref.name":"$tag"}}]}
JSON
printf '{"imageLayoutVersion":"1.0.0"}' > "$work/layout/oci-layout"

# Put in place last and whole, so that an aborted build leaves the image of before.
mkdir -p "$out"
tar -C "$work/layout" --format=gnu --sort=name --mtime="@$epoch" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
  -cf "$out/.ferrovia.tar" oci-layout index.json blobs
rm -rf "$out/layout"
mv "$work/layout" "$out/layout"
mv "$out/.ferrovia.tar" "$out/ferrovia-$architecture.tar"
echo "$name:$tag linux/$architecture, $# programs, $compressed bytes compressed: $out/ferrovia-$architecture.tar"
echo "sha256:$manifest"
