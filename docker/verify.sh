#!/usr/bin/env bash
# Proves that the image of a commit is reproducible: builds it twice, in other
# directories, under other umasks, time zones and storage roots, and compares the
# digests. `npm run image:verify`.
#
# usage: docker/verify.sh [<digest>]
# With a published digest (sha256:…) it compares with that too. Exits 0 if all
# are equal, 1 if not; then it names the parts that differ. LAYOUT is a directory
# to leave the image in, as an OCI layout, if they are. REVISION, DOCKERFILE,
# PLATFORM, NODE_IMAGE, RUNTIME_IMAGE and BUILDER mean the same as for
# docker/build.sh.
set -euo pipefail

published=${1:-}
[[ -z $published || $published =~ ^sha256:[0-9a-f]{64}$ ]] || { echo "verify.sh: not a digest: $published" >&2; exit 2; }
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
revision=$(git -C "$project" rev-parse --verify "${REVISION:-HEAD}^{commit}")
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT

# build <name> <umask> <time zone>: prints the digest of an image built in a
# clone of its own; the layout stays in $work/<name>/layout.
build () {
  local place=$work/$1
  mkdir -p "$place"
  (
    umask "$2"
    git clone --quiet --no-local --no-checkout "$project" "$place/source" >&2
    git -C "$place/source" checkout --quiet "$revision" >&2
    TZ=$3 REVISION=$revision "$place/source/docker/build.sh" "$place/layout"
  )
}

# parts <name>: what a digest is made of, one item a line; the diff ids of the
# layers do not depend on how they were compressed.
parts () {
  local blobs=$work/$1/layout/blobs/sha256 manifest config
  manifest=$(sed -n 's/.*"digest":"sha256:\([0-9a-f]*\)".*/\1/p' "$work/$1/layout/index.json")
  config=$(sed -n 's/.*"config":{[^}]*"digest":"sha256:\([0-9a-f]*\)".*/\1/p' "$blobs/$manifest")
  tr ',' '\n' < "$blobs/$manifest" | grep -o '"[a-z.]*":.*sha256:[0-9a-f]*' || true
  tr ',' '\n' < "$blobs/$config"
}

echo "verify.sh: building $revision twice" >&2
build first 022 UTC > "$work/first.digest" &
building=$!
build a/second/place 077 Pacific/Auckland > "$work/second.digest" || { wait "$building"; exit 1; }
wait "$building"
first=$(< "$work/first.digest")
second=$(< "$work/second.digest")
echo "first:     $first"
echo "second:    $second"

if [[ $first != "$second" ]]; then
  diff <(parts first) <(parts a/second/place) >&2 || true
  echo 'verify.sh: FAILED: the two builds differ' >&2
  exit 1
fi
if [[ -n $published ]]; then
  echo "published: $published"
  if [[ $first != "$published" ]]; then
    parts first >&2
    echo 'verify.sh: FAILED: this commit does not build to the published digest here' >&2
    echo 'Were the bases the same, and buildah of the same version? See docs/verify-image.md.' >&2
    exit 1
  fi
fi
if [[ -n ${LAYOUT:-} ]]; then
  mkdir -p "$LAYOUT"
  cp -R "$work/first/layout/." "$LAYOUT"
fi
echo 'reproducible'
