#!/usr/bin/env bash
# Builds the image of a commit, so that the same commit and bases always give the
# same digest. `npm run image`.
#
# usage: docker/build.sh [<directory>]
# Writes the image as an OCI layout to <directory> (default: dist/image) and the
# manifest's digest as the only line on standard output.
#
# What may be set:
#   REVISION           the commit to build, default HEAD. Changes that are not
#                      committed are not in the image
#   DOCKERFILE         docker/client.Dockerfile for the image of the command;
#                      default docker/Dockerfile, the proxy
#   PLATFORM           linux/amd64 or linux/arm64; default: this machine's.
#                      Nothing is emulated, so each builds anywhere, to the
#                      same digest
#   NODE_IMAGE, RUNTIME_IMAGE
#                      other bases than the Dockerfile's
#   BUILDER            buildah or docker; default: buildah, where it is installed.
#                      Docker has to be able to write OCI layouts: with its
#                      containerd image store, or `docker buildx create --use`
#   TMPDIR             where buildah has its storage meanwhile, some 3 GB; default
#                      /var/tmp, since /tmp may be in memory
set -euo pipefail
# Modes and times of files, and the order in which they are sorted, must not
# depend on who builds, where and when.
umask 022
export LC_ALL=C TZ=UTC

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
mkdir -p "${1:-$project/dist/image}"
out=$(cd "${1:-$project/dist/image}" && pwd)
work=$(mktemp -d --tmpdir="${TMPDIR:-/var/tmp}")
# Who is not root cannot remove the image's directories, which nobody may write to, but as root of a user namespace.
remove () {
  rm -rf --one-file-system "$work" 2> /dev/null || buildah unshare rm -rf --one-file-system "$work"
}
trap remove EXIT

revision=$(git -C "$project" rev-parse --verify "${REVISION:-HEAD}^{commit}")
SOURCE_DATE_EPOCH=$(git -C "$project" log -1 --format=%ct "$revision")
export SOURCE_DATE_EPOCH
if [[ -n $(git -C "$project" status --porcelain) ]]; then
  echo "build.sh: there are uncommitted changes; the image is of commit $revision, without them" >&2
fi
# The commit itself is the build context, not the working tree.
mkdir "$work/context"
git -C "$project" -c tar.umask=0022 archive "$revision" | tar -x -C "$work/context"
field () {
  sed -n "s/^  \"$1\": \"\(.*\)\",\$/\1/p" "$work/context/package.json"
}

machine=linux/$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')
case ${PLATFORM:=$machine} in
  linux/amd64 | linux/arm64) ;;
  *) echo "build.sh: there is no image for $PLATFORM" >&2; exit 2 ;;
esac
arguments=(--file "$work/context/${DOCKERFILE:-docker/Dockerfile}" --no-cache
  --build-arg "REVISION=$revision" --build-arg "SOURCE=$(field repository)" --build-arg "VERSION=$(field version)"
  --build-arg "SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH" --platform "$PLATFORM")
# How this machine reaches npm; see the Dockerfile.
npmrc=${NPM_CONFIG_USERCONFIG:-$HOME/.npmrc}
if [[ -f $npmrc ]]; then arguments+=(--secret "id=npmrc,src=$npmrc"); fi
if [[ -f ${NODE_EXTRA_CA_CERTS:-} ]]; then arguments+=(--secret "id=ca,src=$NODE_EXTRA_CA_CERTS"); fi

builder=${BUILDER:-}
for name in buildah docker; do
  if [[ -z $builder ]] && command -v "$name" > /dev/null; then builder=$name; fi
done
case $builder in
  buildah)
    # A storage of its own, which leaves nothing behind. And of the driver that compares directories by itself: others
    # have the kernel do it where it can, and the order of files in a layer, thus the digest, would depend on who builds
    # and on which kernel.
    store=(vfs "$work/storage" "$work/run")
    buildah=(buildah --storage-driver "${store[0]}" --root "${store[1]}" --runroot "${store[2]}")
    for name in NODE_IMAGE RUNTIME_IMAGE; do
      base=${!name:-}
      if [[ $base == oci:* ]]; then
        # The manifest names its base. A local directory's name must not get in.
        base=localhost/polaris/$(tr 'A-Z_' 'a-z-' <<< "$name")
        skopeo copy --quiet "${!name}" "containers-storage:[${store[0]}@${store[1]}+${store[2]}]$base"
      fi
      if [[ -n $base ]]; then arguments+=(--build-arg "$name=$base"); fi
    done
    arguments+=(--build-arg "BUILDPLATFORM=$machine" --build-arg "TARGETPLATFORM=$PLATFORM")
    # Isolation by chroot needs neither a runtime nor a network of its own, so it
    # works inside containers too. SOURCE_DATE_EPOCH alone has no effect on older
    # buildah; --timestamp has.
    "${buildah[@]}" build "${arguments[@]}" --isolation chroot --format oci --layers=false \
      --timestamp "$SOURCE_DATE_EPOCH" --identity-label=false \
      --iidfile "$work/id" "$work/context" >&2
    rm -rf "${out:?}"/*
    "${buildah[@]}" push --quiet --format oci "$(cat "$work/id")" "oci:$out" >&2
    ;;
  docker)
    for name in NODE_IMAGE RUNTIME_IMAGE; do
      if [[ -n ${!name:-} ]]; then arguments+=(--build-arg "$name=${!name}"); fi
    done
    rm -rf "${out:?}"/*
    docker buildx build "${arguments[@]}" --provenance=false --sbom=false \
      --output "type=oci,dest=$out,tar=false,rewrite-timestamp=true" "$work/context" >&2
    ;;
  *)
    echo 'build.sh: neither buildah nor docker is installed' >&2
    exit 1
    ;;
esac

digest=$(sed -n 's/.*"manifests":\[{[^]]*"digest":"\(sha256:[0-9a-f]*\)".*/\1/p' "$out/index.json")
[[ -n $digest ]] || { echo "build.sh: no digest in $out/index.json" >&2; exit 1; }
echo "$digest"
