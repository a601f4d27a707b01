#!/usr/bin/env bash
# Runs the manifests and the chart against a real Kubernetes control plane: etcd,
# kube-apiserver, kube-controller-manager and kube-scheduler, with kwok in the
# place of nodes. `npm run test:cluster`. Needs Go, openssl and git.
#
# usage: cluster-test/run.sh [<test file>…]
# The programs are built from their Go modules, as tools/go.mod pins them, which
# takes some ten minutes on two cores; after that they stay in
# $CLUSTER_TOOLS, default ~/.cache/polaris-secure-proxy/cluster-tools, in a
# directory for each state of tools/go.sum.
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tools=${CLUSTER_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/polaris-secure-proxy/cluster-tools}
version=$(cat "$project"/cluster-test/tools/go.{mod,sum} | sha256sum | cut -c -16)
bin=$tools/$version

command -v go > /dev/null || { echo 'run.sh: Go is not installed' >&2; exit 1; }
if [[ ! -e $bin/complete ]]; then
  echo "run.sh: building the control plane into $bin" >&2
  mkdir -p "$bin"
  # What a release is built with, or the API server does not know its own version.
  release=$(cd "$project/cluster-test/tools" && go list -m -f '{{.Version}}' k8s.io/kubernetes)
  version=k8s.io/component-base/version
  minor=${release#v1.}
  flags="-X $version.gitVersion=$release -X $version.gitMajor=1 -X $version.gitMinor=${minor%%.*}"
  # Without symbols and cgo: half the size, and linked twice as fast.
  for package in $(cd "$project/cluster-test/tools" && go list -f '{{.ImportPath}}' tool); do
    printf '%(%H:%M:%S)T %s\n' -1 "$package" >&2
    (cd "$project/cluster-test/tools" && GOBIN=$bin CGO_ENABLED=0 GOFLAGS=-mod=readonly go install -trimpath -ldflags="-s -w $flags" "$package")
  done
  mv "$bin/server" "$bin/etcd"
  # What kwok does with nodes and pods, as its own module has it.
  kwok=$(cd "$project/cluster-test/tools" && go list -m -f '{{.Dir}}' sigs.k8s.io/kwok)
  for stage in "$kwok"/kustomize/stage/{pod/fast/pod,node/fast/node,node/heartbeat/node}-*.yaml; do
    echo '---'
    cat "$stage"
  done > "$bin/stages.yaml"
  touch "$bin/complete"
fi

cd "$project"
# The pinned Node, as npm run would have it. One file at a time: each has a control
# plane of its own.
export CLUSTER_BIN=$bin PATH=$bin:$project/node_modules/.bin:$PATH
# The tests of charts need Helm, which npm test may not have had.
[[ $# -gt 0 ]] || set -- cluster-test/*.test.ts test/examples/helm.test.ts test/marketplace/google.test.ts
tap run --jobs=1 --disable-coverage --allow-empty-coverage --timeout=300 --reporter=tap "$@"
