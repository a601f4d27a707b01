#!/usr/bin/env bash
# Makes the two base images on a machine without a container registry: Debian
# packages unpacked by mmdebstrap, the Node binary that the lockfile pins, and a
# pinned npm. They stand in for NODE_IMAGE and RUNTIME_IMAGE of the Dockerfile,
# in tests and wherever the published bases cannot be fetched.
#
# usage: docker/bases.sh <directory> [<architecture>…]
# Writes the OCI layouts <directory>/node and <directory>/runtime, to be given as
# NODE_IMAGE=oci:<directory>/node and RUNTIME_IMAGE=oci:<directory>/runtime. For
# each further architecture (amd64, arm64) <directory>/runtime-<architecture>:
# packages are only unpacked, so any machine can do that.
# Needs root, buildah, mmdebstrap, npm, and node_modules as npm ci leaves it.
set -euo pipefail
umask 022

[[ $# -ge 1 ]] || { echo 'usage: docker/bases.sh <directory> [<architecture>…]' >&2; exit 2; }
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
shift

suite=bookworm
# What node:24 and distroless hold, as far as the build and the proxy use it:
# glibc and the C++ runtime for Node; for the builder a shell and the tools that
# the Dockerfile calls.
runtime_packages=libc6,libgcc-s1,libstdc++6
builder_packages=$runtime_packages,coreutils,dash,findutils
npm_version=11.19.1
npm_integrity=sha512-ztsxKxt/kkIaAs+2i0GU6I+DRmUdrNasxTZKJe9TCdSjKxlhah/4r/hl5ygMD6XAg1qZ9c2TNomR4qgOydp10g==

machine=$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')

work=$(mktemp -d)
buildah=(buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs)
trap 'rm -rf --one-file-system "$work"' EXIT
export SOURCE_DATE_EPOCH=0

# node_of <architecture>: the path of the Node binary that the lockfile pins. npm
# has installed this machine's; another one is fetched, and compared with the pin.
node_of () {
  local name=node-linux-${1/amd64/x64} version integrity found
  if [[ -x $project/node_modules/$name/bin/node ]]; then
    echo "$project/node_modules/$name/bin/node"
    return
  fi
  version=$(sed -n "s/^    \"$name\": \"\(.*\)\",\?$/\1/p" "$project/package.json")
  integrity=$(grep -A 3 "\"node_modules/$name\": {" "$project/package-lock.json" | sed -n 's/.*"integrity": "\(.*\)".*/\1/p')
  (cd "$work" && npm pack --silent "$name@$version" > /dev/null)
  found=sha512-$(openssl dgst -sha512 -binary "$work/$name-$version.tgz" | base64 --wrap=0)
  [[ $found == "$integrity" ]] || { echo "$name $version is not the pinned one: $found" >&2; exit 1; }
  mkdir -p "$work/$name"
  tar -xzf "$work/$name-$version.tgz" -C "$work/$name" --strip-components=1 --no-same-owner
  echo "$work/$name/bin/node"
}

# debian <packages> <tree> <architecture>: unpacks them and what they depend on. No maintainer
# script runs, so nothing in the tree depends on this machine. The description
# of each package goes where distroless has it, for the bill of materials.
debian () {
  local packages=$1 tree=$2 deb
  mmdebstrap --quiet --mode=root --architectures="$3" --variant=extract --include="$packages" \
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

# layout <tree> <name> <architecture> [buildah config option…]: one layer, one OCI
# layout.
layout () {
  local tree=$1 name=$2 architecture=$3 container
  shift 3
  container=$("${buildah[@]}" from scratch)
  "${buildah[@]}" add --quiet "$container" "$tree" / > /dev/null
  "${buildah[@]}" config --arch "$architecture" "$@" "$container"
  rm -rf "${out:?}/$name"
  "${buildah[@]}" commit --quiet --timestamp 0 --identity-label=false "$container" "oci:$out/$name" > /dev/null
  "${buildah[@]}" rm "$container" > /dev/null
}

# runtime <architecture> <name>
runtime () {
  local tree=$work/$2 node
  echo "$2: $runtime_packages, Node for $1" >&2
  node=$(node_of "$1")
  debian "$runtime_packages" "$tree" "$1"
  install -D "$node" "$tree/nodejs/bin/node"
  layout "$tree" "$2" "$1" --user 65532 --entrypoint '["/nodejs/bin/node"]' \
    --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
}
runtime "$machine" runtime
for architecture in "$@"; do runtime "$architecture" "runtime-$architecture"; done

echo "node: $builder_packages, Node, npm $npm_version" >&2
debian "$builder_packages" "$work/node" "$machine"
install -D "$(node_of "$machine")" "$work/node/usr/local/bin/node"
(cd "$work" && npm pack --silent "npm@$npm_version" > /dev/null)
npm_tar=$work/npm-$npm_version.tgz
found=sha512-$(openssl dgst -sha512 -binary "$npm_tar" | base64 --wrap=0)
[[ $found == "$npm_integrity" ]] || { echo "npm $npm_version is not the pinned one: $found" >&2; exit 1; }
mkdir -p "$work/node/usr/local/lib/node_modules/npm"
tar -xzf "$npm_tar" -C "$work/node/usr/local/lib/node_modules/npm" --strip-components=1 --no-same-owner
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$work/node/usr/local/bin/npm"
layout "$work/node" node "$machine" --env PATH=/usr/local/bin:/usr/bin:/bin

echo "NODE_IMAGE=oci:$out/node"
echo "RUNTIME_IMAGE=oci:$out/runtime"
