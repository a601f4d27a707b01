/** Settings of Azure: the sidecar, Key Vault and Managed HSM, Azure Attestation. */
import { PREFIX } from '../../config/settings/setting.ts'
import type { SettingsTable } from '../../config/settings/setting.ts'
import type { linuxSettings } from '../linux/settings.ts'

export const azureSettings = {
  azureMaaEndpoint: {
    env: `${PREFIX}AZURE_SKR_MAA_ENDPOINT`,
    type: 'string',
    description: 'The attestation provider that the release policy names, e.g. `sharedweu.weu.attest.azure.net`.'
  },

  azureAkvEndpoint: {
    env: `${PREFIX}AZURE_SKR_AKV_ENDPOINT`,
    type: 'string',
    description: '`azure-skr`: the vault or Managed HSM, e.g. `myvault.vault.azure.net`.'
  },

  azureKid: {
    env: `${PREFIX}AZURE_SKR_KID`,
    type: 'string',
    shownBy: 'keys',
    description: '`azure-skr`: the key, `name` or `name/version`; several separated by commas, newest first.'
  },

  azureAccessToken: {
    env: `${PREFIX}AZURE_SKR_ACCESS_TOKEN`,
    type: 'string',
    description: '`azure-skr`: a token for the vault, if the container group has no managed identity. A secret.'
  },

  azureSidecarEndpoint: {
    env: `${PREFIX}AZURE_SKR_KEY_RELEASE_ENDPOINT`,
    type: 'string',
    format: 'http-url',
    description: 'Address of the secure key release sidecar. If not set, `azure-key-vault` asks the attestation ' +
      'provider itself if the kernel has reports at `/sys/kernel/config/tsm/report`; otherwise the sidecar is ' +
      'expected at `http://localhost:8080`.'
  },

  azureEndpointForm: {
    env: `${PREFIX}AZURE_SKR_ENDPOINT_FORM`,
    type: 'string',
    enum: ['as-given', 'host', 'url'],
    default: 'as-given',
    description: 'Form in which the sidecar gets the two endpoints: Microsoft\'s takes host names, another one ' +
      'URLs.'
  },

  azureMaxRequestRetries: {
    env: `${PREFIX}AZURE_SKR_MAX_REQUEST_RETRIES`,
    type: 'integer',
    minimum: 0,
    maximum: 1000,
    description: '`azure-skr`: number of retries, the interval below apart, in place of the usual backoff.'
  },

  azureRetryInterval: {
    env: `${PREFIX}AZURE_SKR_RETRY_INTERVAL`,
    type: 'string',
    format: 'milliseconds',
    description: '`azure-skr`: time between retries; 60 s if only their number is set.'
  },

  azureVaultUrl: {
    env: `${PREFIX}AZURE_KEY_VAULT_URL`,
    type: 'string',
    format: 'http-url',
    description: '`azure-key-vault`: URL of the vault or Managed HSM.'
  },

  azureVaultKey: {
    env: `${PREFIX}AZURE_KEY_VAULT_KEY`,
    type: 'string',
    shownBy: 'keys',
    description: '`azure-key-vault`: name of the key.'
  },

  azureVaultKeyVersion: {
    env: `${PREFIX}AZURE_KEY_VAULT_KEY_VERSION`,
    type: 'string',
    format: 'key-versions',
    shownBy: 'keys',
    description: '`azure-key-vault`: versions, newest first. If not set, the current one.'
  },

  azureVaultMode: {
    env: `${PREFIX}AZURE_KEY_VAULT_MODE`,
    type: 'string',
    enum: ['release', 'remote'],
    default: 'release',
    shownBy: 'weakenings',
    description: '`azure-key-vault`: `release` brings the key into the TEE against attestation; `remote` leaves it ' +
      'in the HSM, where access control alone protects it.'
  },

  azureCredential: {
    env: `${PREFIX}AZURE_CREDENTIAL`,
    type: 'string',
    enum: ['managed-identity', 'workload-identity', 'environment', 'azure-cli'],
    default: 'managed-identity',
    description: '`azure-key-vault`: how the proxy identifies itself. `azure-cli` is for development.'
  },

  azureClientId: {
    env: `${PREFIX}AZURE_CLIENT_ID`,
    type: 'string',
    description: 'Client id of a user-assigned identity.'
  },

  attestationMaaEndpoint: {
    env: `${PREFIX}ATTESTATION_MAA_ENDPOINT`,
    aliases: [`${PREFIX}AZURE_SKR_MAA_ENDPOINT`],
    type: 'string',
    shownBy: 'evidence',
    description: 'azure-maa: host of the attestation provider, e.g. `sharedneu.neu.attest.azure.net`.'
  },

  attestationAzureSidecar: {
    env: `${PREFIX}ATTESTATION_AZURE_SIDECAR`,
    aliases: [`${PREFIX}AZURE_SKR_KEY_RELEASE_ENDPOINT`],
    type: 'string',
    format: 'http-url',
    description: 'azure-maa, azure-snp: address of the secure key release sidecar. If not set, and the ' +
      'kernel has reports at `/sys/kernel/config/tsm/report`, the proxy does without it; otherwise it is expected at ' +
      '`http://localhost:8080`.'
  }
} as const satisfies SettingsTable

/** Certificates of the kernel's reports are Linux's. */
export type UsedSettings = typeof azureSettings & typeof linuxSettings
