#!/usr/bin/env bash
# Makes the policy of the container group, which the hardware enforces and reports,
# and writes it and its hash into the parameters.
#
# usage: policy.sh [<parameters.json>]
# Needs jq, and az with the extension confcom (az extension add --name confcom).
# Every image in the parameters has to have its digest. Run it again after every
# change of the template or the parameters: the policy is of their very values.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
parameters=${1:-$here/parameters.json}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

loose=$(jq -r '.parameters | to_entries[] | select(.key | endswith("Image")) | select(.value.value | test("@sha256:[0-9a-f]{64}$") | not) | .key' "$parameters")
[[ -z $loose ]] || { echo "policy.sh: no digest in $(tr '\n' ' ' <<< "$loose")of $parameters" >&2; exit 1; }

# A template that has the policy as a literal, since acipolicygen writes it there.
jq '(.resources[] | select(.type == "Microsoft.ContainerInstance/containerGroups") | .properties.confidentialComputeProperties.ccePolicy) = ""
  | del(.parameters.ccePolicy, .parameters.hostData, .outputs.hostData) | .variables.releasePolicy = {}' "$here/mainTemplate.json" > "$work/template.json"
jq 'del(.parameters.ccePolicy, .parameters.hostData)' "$parameters" > "$work/parameters.json"
az confcom acipolicygen --template-file "$work/template.json" --parameters "$work/parameters.json" >&2

policy=$(jq -r '.resources[] | select(.type == "Microsoft.ContainerInstance/containerGroups") | .properties.confidentialComputeProperties.ccePolicy' "$work/template.json")
[[ -n $policy ]] || { echo 'policy.sh: acipolicygen has written no policy' >&2; exit 1; }
hash=$(base64 --decode <<< "$policy" | sha256sum | cut -d ' ' -f 1)
jq --arg policy "$policy" --arg hash "$hash" '.parameters.ccePolicy.value = $policy | .parameters.hostData.value = $hash' "$parameters" > "$work/filled.json"
cat "$work/filled.json" > "$parameters"
echo "ccePolicy $policy"
echo "hostData  $hash"
