#!/usr/bin/env bash
# Everything that a release does but to push, sign and publish: builds and verifies
# the image for each platform, their index, what describes them, the SDK, and the
# command for this machine.
#
# usage: scripts/release-dry-run.sh <new directory>
# Builds the commit HEAD. Needs buildah, git, jq, and node_modules as npm ci leaves
# it. NODE_IMAGE, RUNTIME_IMAGE (for arm64: ARM64_RUNTIME_IMAGE), TMPDIR: see
# docker/build.sh.
set -euo pipefail

[[ $# -eq 1 && ! -e $1 ]] || { echo 'usage: scripts/release-dry-run.sh <new directory>' >&2; exit 2; }
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
# /tmp may be in memory.
export TMPDIR=${TMPDIR:-/var/tmp}
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
cd "$project"
# The pinned Node, as npm run would have it.
export PATH=$project/node_modules/.bin:$PATH
say () { printf '%(%H:%M:%S)T %s\n' -1 "$1" >&2; }

# Of one commit, even if HEAD moves meanwhile.
REVISION=$(git rev-parse HEAD)
export REVISION
version=$(jq -r .version package.json)
say "version $version"
for found in "$(jq -r .version sdk/package.json)" "$(sed -n 's/^version: //p' examples/helm/Chart.yaml)" "$(sed -n 's/^appVersion: //p' examples/helm/Chart.yaml)"; do
  [[ $found == "$version" ]] || { echo "release-dry-run.sh: package.json has version $version, another file $found" >&2; exit 1; }
done
grep --quiet "^## $version\b" CHANGELOG.md || say "CHANGELOG.md has no section $version yet; the workflow refuses a tag without one"
[[ -z $(git status --porcelain --untracked-files=no) ]] || say 'there are uncommitted changes: the images are without them, the SDK and the command are not'
echo "$version" > "$out/version"

layouts=()
for architecture in amd64 arm64; do
  say "image for linux/$architecture, built twice"
  base=${RUNTIME_IMAGE:-}
  [[ $architecture == amd64 ]] || base=${ARM64_RUNTIME_IMAGE:-}
  LAYOUT=$work/$architecture PLATFORM=linux/$architecture RUNTIME_IMAGE=$base docker/verify.sh >&2
  jq --raw-output '.manifests[0].digest' "$work/$architecture/index.json" > "$out/$architecture"
  node scripts/sbom.ts "$work/$architecture" > "$out/sbom-$architecture.cdx.json"
  node scripts/licences.ts "$work/$architecture" > "$out/licences-$architecture.md"
  layouts+=("$work/$architecture")
done
docker/index.sh "$work/index" "${layouts[@]}" > "$out/digest"
tar --create --directory "$work" --file "$out/index.oci.tar" index
buildah --version > "$out/builder.txt"

say 'the SDK'
npm run build --workspace sdk >&2
npm pack ./sdk/dist --ignore-scripts --silent --pack-destination "$out" >&2
mv "$out"/*.tgz "$out/sdk.tgz"
npm publish "$out/sdk.tgz" --dry-run --access public --ignore-scripts >&2

say 'the page that verifies a proxy'
node page/build.ts "$out/polaris-verify.html" >&2
(cd "$out" && sha256sum polaris-verify.html > polaris-verify.html.sha256)

say 'the command for this machine'
executable=polaris-linux-$(node --print process.arch)
npm run executable -- "$out/$executable" >&2
(cd "$out" && sha256sum "$executable" > "$executable.sha256")

say 'what would be pushed'
echo "index  $(cat "$out/digest")"
for architecture in amd64 arm64; do echo "$architecture  $(cat "$out/$architecture")"; done
echo "page   $(cut -d ' ' -f 1 "$out/polaris-verify.html.sha256")"
echo "sdk    $(sha256sum "$out/sdk.tgz" | cut -d ' ' -f 1)"
echo "$executable  $(cut -d ' ' -f 1 "$out/$executable.sha256")"
