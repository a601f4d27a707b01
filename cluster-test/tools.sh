#!/usr/bin/env bash
# Builds the programs of a Kubernetes control plane from their Go modules, as
# tools/go.mod pins them, and prints the directory that they are in. Needs Go.
#
# usage: cluster-test/tools.sh
# Takes some ten minutes on two cores the first time. The programs stay in
# $CLUSTER_TOOLS, default ~/.cache/polaris-secure-proxy/cluster-tools, in a directory
# for each state of tools/go.sum. Progress goes to standard error.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/tools"
command -v go > /dev/null || { echo 'tools.sh: Go is not installed' >&2; exit 1; }
tools=${CLUSTER_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/polaris-secure-proxy/cluster-tools}
bin=$tools/$(cat go.mod go.sum | sha256sum | cut -c -16)
echo "$bin"
[[ ! -e $bin/complete ]] || exit 0

say () { printf '%(%H:%M:%S)T tools.sh: %s\n' -1 "$1" >&2; }
# progress <name>: reads what `go install -v` writes: the name of each package that it compiles, of which there are
# thousands, and messages.
progress () {
  local line count=0
  while IFS= read -r line; do
    if [[ ! $line =~ ^[^[:space:]:]+$ ]]; then echo "$line" >&2
    elif ((++count % 100 == 0)); then say "$1: $count packages compiled"
    fi
  done
  say "$1 is built"
}

say "building the control plane into $bin"
mkdir -p "$bin"
# What a release is built with, or the API server does not know its own version.
release=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
version=k8s.io/component-base/version
minor=${release#v1.}
flags="-X $version.gitVersion=$release -X $version.gitMajor=1 -X $version.gitMinor=${minor%%.*}"
# Without symbols and cgo: half the size, and linked twice as fast.
for package in $(go list -f '{{.ImportPath}}' tool); do
  GOBIN=$bin CGO_ENABLED=0 GOFLAGS=-mod=readonly go install -v -trimpath -ldflags="-s -w $flags" "$package" 2>&1 | progress "$package"
done
mv "$bin/server" "$bin/etcd"
# What kwok does with nodes and pods, as its own module has it.
kwok=$(go list -m -f '{{.Dir}}' sigs.k8s.io/kwok)
for stage in "$kwok"/kustomize/stage/{pod/fast/pod,node/fast/node,node/heartbeat/node}-*.yaml; do
  echo '---'
  cat "$stage"
done > "$bin/stages.yaml"
touch "$bin/complete"
