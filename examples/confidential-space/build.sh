#!/usr/bin/env bash
# Builds the combined image for examples/terraform/google, pushes it, and prints its
# name with its digest, which is what `polaris plan google` asks for.
#
# usage: build.sh <proxy image, by digest> <name of the image>
# Needs podman, logged in to the registry. The operator of the VM may give the
# settings that the Terraform module gives, and no others: their values are pinned
# by the module's condition and by the policy of clients.
set -euo pipefail

[[ $# -eq 2 && $1 == *@sha256:* ]] || { echo 'usage: build.sh <proxy image, by digest> <name of the image>' >&2; exit 2; }
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
names=$(grep -oE '^ +POLARIS_CONTAINER_[A-Z_]+ +=' "$project/examples/terraform/google/main.tf" | tr -d ' =' | sort | paste --serial --delimiters=,)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

podman build --file "$project/examples/confidential-space/Dockerfile" --build-arg "PROXY_IMAGE=$1" \
  --build-arg "ALLOW_ENV_OVERRIDE=$names" --tag "$2" "$project" >&2
podman push --digestfile "$work/digest" "$2" >&2
# Without the tag, if there is one; a colon before the last slash is that of a port.
name=$2
if [[ ${name##*/} == *:* ]]; then name=${name%:*}; fi
echo "$name@$(cat "$work/digest")"
