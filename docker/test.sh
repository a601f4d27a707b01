#!/usr/bin/env bash
# Builds the image of the current commit from locally made bases and tests it in
# real containers; that for arm64 by emulation. `npm run test:image`. Needs root and,
# from Debian: aardvark-dns buildah catatonit haproxy iptables jq kubernetes-client
# mmdebstrap netavark podman qemu-user-static redis-server runc skopeo. What takes
# Helm too (HELM, default: helm) is skipped without.
#
# Everything it makes is below one temporary directory and is gone afterwards:
# images, containers, networks. Other containers on the machine are not touched.
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
refuse () {
  echo "test.sh: $1" >&2
  exit 1
}
# shellcheck disable=SC2016
[[ $(id -u) -eq 0 ]] || refuse 'containers need root: sudo env "PATH=$PATH" npm run test:image'
missing=$(for tool in buildah haproxy jq kubectl mmdebstrap podman qemu-aarch64-static redis-server runc skopeo; do command -v "$tool" > /dev/null || echo "$tool"; done)
[[ -z $missing ]] || refuse "not installed: $missing"
# /tmp may be in memory.
export TMPDIR=${TMPDIR:-/var/tmp}
free=$(df --output=avail --block-size=1M "$TMPDIR" | tail -n 1)
[[ $free -gt 4096 ]] || refuse "4 GB have to be free in $TMPDIR (TMPDIR), $((free)) MB are"
work=$(mktemp -d)
configured=false
finish () {
  local result=$?
  # Until then podman would take the machine's own containers for ours.
  if $configured; then
    # The container that holds a pod's network goes with its pod only.
    podman pod rm --all --force --time 0 > /dev/null 2>&1 || true
    podman rm --all --force --time 0 > /dev/null 2>&1 || true
    podman network ls --quiet 2> /dev/null | grep '^polaris-' | xargs -r podman network rm --force > /dev/null 2>&1 || true
  fi
  grep -o "$work/[^ ]*" /proc/self/mounts | sort -r | xargs -r umount --lazy || true
  # Should something stay mounted all the same, what is behind it is not ours.
  rm -rf --one-file-system "$work"
  exit "$result"
}
trap finish EXIT

# A containers.conf of its own. In nested environments, and with cgroups of
# version 1 beside version 2, runc and plain cgroupfs work where the defaults
# (crun, systemd) do not; the default limits may be above what root has there.
mkdir -p "$work"/{libpod,networks}
limit () { # limit <option of ulimit>: no more than any nested environment allows
  local most
  most=$(ulimit -H "$1")
  [[ $most =~ ^[0-9]+$ && $most -lt 4096 ]] || most=4096
  echo "$most:$most"
}
cat > "$work/containers.conf" <<CONF
[containers]
default_ulimits = ["nofile=$(limit -n)", "nproc=$(limit -u)"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
tmp_dir = "$work/libpod/tmp"
volume_path = "$work/volumes"
[network]
network_backend = "netavark"
network_config_dir = "$work/networks"
CONF
cat > "$work/storage.conf" <<CONF
[storage]
driver = "overlay"
graphroot = "$work/storage"
runroot = "$work/run"
CONF
export CONTAINERS_CONF=$work/containers.conf CONTAINERS_STORAGE_CONF=$work/storage.conf
configured=true
if ! buildah info > /dev/null 2>&1; then
  echo 'test.sh: no overlay file system here; vfs instead, slower' >&2
  sed -i 's/"overlay"/"vfs"/' "$work/storage.conf"
fi

step () {
  printf '\n%(%H:%M:%S)T %s\n' -1 "$1"
}

step 'making the bases'
"$project/docker/bases.sh" "$work/bases" arm64 > "$work/bases.env" 2> "$work/log" || { cat "$work/log" >&2; exit 1; }
set -o allexport
# shellcheck source=/dev/null
source "$work/bases.env"
set +o allexport

step 'building the image'
IMAGE_DIGEST=$("$project/docker/build.sh" "$work/image" 2> "$work/log") || { cat "$work/log" >&2; exit 1; }
export IMAGE_DIGEST IMAGE_LAYOUT=$work/image
echo "$IMAGE_DIGEST"

step 'building the image of the command'
CLIENT_DIGEST=$(DOCKERFILE=docker/client.Dockerfile "$project/docker/build.sh" "$work/client" 2> "$work/log") || { cat "$work/log" >&2; exit 1; }
export CLIENT_DIGEST CLIENT_LAYOUT=$work/client
echo "$CLIENT_DIGEST"

step 'building the image for arm64'
export ARM64_RUNTIME_IMAGE=oci:$work/bases/runtime-arm64 ARM64_LAYOUT=$work/arm64
ARM64_DIGEST=$(PLATFORM=linux/arm64 RUNTIME_IMAGE=$ARM64_RUNTIME_IMAGE "$project/docker/build.sh" "$ARM64_LAYOUT" 2> "$work/log") ||
  { cat "$work/log" >&2; exit 1; }
export ARM64_DIGEST
echo "$ARM64_DIGEST"

step 'building the example workload'
skopeo copy --quiet "$RUNTIME_IMAGE" containers-storage:localhost/polaris-runtime:local
skopeo copy --quiet "oci:$IMAGE_LAYOUT" containers-storage:localhost/polaris-secure-proxy:local
skopeo copy --quiet "oci:$CLIENT_LAYOUT" containers-storage:localhost/polaris-client:local
buildah build --isolation chroot --build-arg RUNTIME_IMAGE=localhost/polaris-runtime:local \
  --tag localhost/polaris-example-workload:local "$project/examples/workload" > "$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }

step 'testing'
cd "$project"
# The pinned Node, as npm run would have it. One file at a time: they measure
# start and memory, and share two cores.
export PATH=$project/node_modules/.bin:$PATH
tap run --jobs=1 --disable-coverage --allow-empty-coverage --timeout=1200 --reporter=tap \
  "${@:-image-test/*.test.ts}"
