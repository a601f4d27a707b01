#!/usr/bin/env bash
# Puts the images of several platforms behind one name: an OCI image index. The
# same images always give the same digest.
#
# usage: docker/index.sh <directory> <OCI layout>…
# The layouts are those of docker/build.sh. Writes <directory> as an OCI layout, to
# be pushed with `skopeo copy --all`, and prints the digest of the index.
# Needs jq.
set -euo pipefail
export LC_ALL=C

[[ $# -ge 2 ]] || { echo 'usage: docker/index.sh <directory> <OCI layout>…' >&2; exit 2; }
out=$1
shift
mkdir -p "$out/blobs/sha256"

images='[]'
for layout in "$@"; do
  manifest=$(jq -r '.manifests | if length == 1 then .[0].digest else error("not exactly one image") end' "$layout/index.json")
  config=$(jq -r .config.digest "$layout/blobs/${manifest/://}")
  images=$(jq -c --argjson images "$images" --arg digest "$manifest" --argjson size "$(stat --format %s "$layout/blobs/${manifest/://}")" \
    --argjson manifest "$(cat "$layout/blobs/${manifest/://}")" \
    '$images + [{ mediaType: $manifest.mediaType, digest: $digest, size: $size, platform: { architecture, os } }]' \
    "$layout/blobs/${config/://}")
  cp --no-clobber "$layout"/blobs/sha256/* "$out/blobs/sha256/"
done

jq -c -j '{ schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: sort_by(.platform.architecture) }
  | if (.manifests | map(.platform) | unique | length) == (.manifests | length) then . else error("two images of one platform") end' \
  <<< "$images" > "$out/index"
digest=$(sha256sum "$out/index" | cut -d ' ' -f 1)
size=$(stat --format %s "$out/index")
mv "$out/index" "$out/blobs/sha256/$digest"
printf '{"imageLayoutVersion":"1.0.0"}' > "$out/oci-layout"
printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"sha256:%s","size":%d}]}' \
  "$digest" "$size" > "$out/index.json"
echo "sha256:$digest"
