#!/usr/bin/env bash
# Runs the manifests and the chart against a real Kubernetes control plane: etcd,
# kube-apiserver, kube-controller-manager and kube-scheduler, with kwok in the
# place of nodes. `npm run test:cluster`. Needs Go, openssl and git; what tools.sh
# builds stays.
#
# usage: cluster-test/run.sh [<test file>…]
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bin=$("$project/cluster-test/tools.sh")

cd "$project"
# The pinned Node, as npm run would have it. One file at a time: each has a control
# plane of its own.
export CLUSTER_BIN=$bin PATH=$bin:$project/node_modules/.bin:$PATH
# The tests of charts need Helm, which npm test may not have had.
[[ $# -gt 0 ]] || set -- cluster-test/*.test.ts test/examples/helm.test.ts test/marketplace/google.test.ts
tap run --jobs=1 --disable-coverage --allow-empty-coverage --timeout=300 --reporter=tap "$@"
