/** `polaris plan azure`: a confidential container group, with examples/azure-aci. */
import type { AttestationPolicy } from '../../attestation/policy.ts'
import type { Plan } from './plan.ts'
import { IMAGE, IMAGE_FORM } from './question.ts'
import { script } from './script.ts'

/** Microsoft runs one for each region; any of them will do, as long as the release policy and clients name the same. */
const MAA = 'sharedweu.weu.attest.azure.net'

/** The hash of the policy is known once policy.sh has made it. Until then nothing satisfies the policy for clients. */
const UNKNOWN = '0'.repeat(64)

export const azure: Plan = {
  title: 'confidential containers on Azure Container Instances',
  questions: [
    {
      name: 'subscription',
      text: 'Subscription id',
      pattern: /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
      form: 'the id of a subscription, a UUID'
    },
    {
      name: 'name',
      text: 'Name of resource group, vault and container group, unique in all of Azure',
      pattern: /^[a-z](?!.*--)[a-z0-9-]{1,22}[a-z0-9]$/,
      form: '3 to 24 lower-case letters, digits and single hyphens'
    },
    { name: 'proxyImage', text: 'Image of the proxy, by digest', pattern: IMAGE, form: IMAGE_FORM },
    {
      name: 'workloadImage',
      text: 'Image of the workload, which listens on port 8000, by digest',
      pattern: IMAGE,
      form: IMAGE_FORM
    },
    {
      name: 'sidecarImage',
      text: 'Image of the key release sidecar (mcr.microsoft.com/aci/skr), by digest',
      pattern: IMAGE,
      form: IMAGE_FORM
    }
  ],

  files ({ subscription = '', name = '', proxyImage = '', workloadImage = '', sidecarImage = '' }) {
    const parameters = {
      name, proxyImage, workloadImage, sidecarImage, maaEndpoint: MAA, akvEndpoint: `${name}.vault.azure.net`
    }
    const policy: AttestationPolicy = {
      version: 1,
      platforms: { 'azure-maa': { issuers: [`https://${MAA}`], hostData: [UNKNOWN] } }
    }
    const file = {
      $schema: 'https://schema.management.azure.com/schemas/2019-04-01/deploymentParameters.json#',
      contentVersion: '1.0.0.0',
      parameters: Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, { value }]))
    }
    return {
      'parameters.json': `${JSON.stringify(file, undefined, 2)}\n`,
      'policy.json': `${JSON.stringify(policy, undefined, 2)}\n`,
      'deploy.sh': deploy(subscription, name),
      'verify.sh': verify(name),
      'remove.sh': remove(name)
    }
  }
}

const deploy = (
  subscription: string, name: string
) => script('Makes the policy, the vault, the key that is released to that policy only, and the containers.', `az login
az account set --subscription ${subscription}
for provider in ContainerInstance KeyVault ManagedIdentity; do
  az provider register --namespace "Microsoft.$provider" --wait
done
az extension add --name confcom --upgrade
az group create --name ${name} --location westeurope

examples/azure-aci/policy.sh "$plan/parameters.json"
# What clients accept: these containers and no others.
hash=$(jq --raw-output .parameters.hostData.value "$plan/parameters.json")
jq --arg hash "$hash" '.platforms["azure-maa"].hostData = [$hash]' "$plan/policy.json" > "$plan/policy.json.new"
mv "$plan/policy.json.new" "$plan/policy.json"

az deployment group create --resource-group ${name} --name polaris \\
  --template-file examples/azure-aci/mainTemplate.json --parameters "@$plan/parameters.json"
`)

const verify = (name: string) =>
  script('Asks the containers for evidence, and makes an encrypted request if that satisfies the ' +
    'policy.', `address=$(az deployment group show --resource-group ${name} --name polaris --query properties.outputs.address.value --output tsv)
until curl --fail --silent "http://$address:3000/polaris-container/readyz"; do sleep 5; done

npx polaris verify "http://$address:3000" --policy "$plan/policy.json"
npx polaris fetch "http://$address:3000/hello?name=Ada" --policy "$plan/policy.json"
`)

const remove = (name: string) => script('Removes everything that deploy.sh made. Nothing encrypted to the key can ' +
  'ever be opened again.', `az group delete --name ${name}
# The vault is kept for 90 days, and with it the key; purge protection, which the release policy relies on, forbids more.
az keyvault list-deleted --query "[?name=='${name}'].properties.scheduledPurgeDate" --output tsv
`)
