/** Key types of Azure. */
import type { Values } from '../../config/settings/setting.ts'
import type { RetryPolicy } from '../../remote/retry.ts'
import { given, listOf } from '../platform.ts'
import type { KeyType } from '../platform.ts'
import { SECURITY_CONTEXT } from './container/security-context.ts'
import { azureSettings } from './settings.ts'
import type { UsedSettings } from './settings.ts'

/** What the original used if only one of its two retry settings was given. */
const SKR_RETRIES = 5
const SKR_RETRY_INTERVAL = 60_000

export const keyTypes: readonly KeyType<UsedSettings>[] = [
  {
    name: 'azure-skr',
    requires: ['azureMaaEndpoint', 'azureAkvEndpoint', 'azureKid'],
    seeds: [{ seed: 'derived' }, { seed: 'sealed' }],
    places: [{
      place: 'Key Vault or Managed HSM, then memory',
      gate: 'Attestation of the container group, checked by the vault'
    }],
    async create (settings, { log, retry, pool }) {
      const { createAzureSkrProvider } = await import('./skr.ts')
      return createAzureSkrProvider({
        ...pool,
        retry: skrRetry(settings, retry),
        maaEndpoint: settings.azureMaaEndpoint ?? '',
        akvEndpoint: settings.azureAkvEndpoint ?? '',
        kids: listOf(settings.azureKid),
        endpointForm: settings.azureEndpointForm,
        ...given({ endpoint: settings.azureSidecarEndpoint, accessToken: settings.azureAccessToken })
      }, log)
    }
  },
  {
    name: 'azure-key-vault',
    requires: [
      'azureVaultUrl', 'azureVaultKey', { setting: 'azureMaaEndpoint', when: { azureVaultMode: 'release' } }
    ],
    places: [
      {
        way: 'mode `release` (default)',
        place: 'The vault, then memory; needs no sidecar if the kernel has SEV-SNP reports',
        gate: 'Attestation of the TEE, checked by the vault'
      },
      { way: 'mode `remote`', place: 'Stays in the vault', gate: '**Access control alone**: no attestation' }
    ],
    // In mode `remote` the private key never leaves the vault.
    seeds: [{ seed: 'derived', when: { azureVaultMode: 'release' } }, { seed: 'sealed' }],
    weakness: ({ azureVaultMode }) => azureVaultMode === 'remote'
      ? `The key is protected by access control alone, not by attestation (${azureSettings.azureVaultMode.env}=remote)`
      : undefined,
    async create (settings, { log, retry, pool, limits, env }) {
      const { createAzureKeyVaultProvider } = await import('./key-vault.ts')
      const { azureAttest } = await import('./maa-direct.ts')
      const releases = settings.azureVaultMode === 'release'
      return createAzureKeyVaultProvider({
        ...pool,
        retry,
        limits,
        vaultUrl: settings.azureVaultUrl ?? '',
        key: settings.azureVaultKey ?? '',
        mode: settings.azureVaultMode,
        credential: settings.azureCredential,
        ...releases && {
          attest: azureAttest({
            maaEndpoint: settings.azureMaaEndpoint ?? '',
            certificatesFile: settings.attestationCertificatesFile,
            azureSecurityContext: env[SECURITY_CONTEXT],
            ...given({ sidecar: settings.azureSidecarEndpoint })
          })
        },
        ...given({ clientId: settings.azureClientId }),
        ...settings.azureVaultKeyVersion !== undefined && { versions: listOf(settings.azureVaultKeyVersion) }
      }, log)
    }
  }
]

/** The original's settings keep their meaning if they are set. */
function skrRetry (settings: Values<UsedSettings>, usual: RetryPolicy): RetryPolicy {
  const { azureMaxRequestRetries: retries, azureRetryInterval: interval } = settings
  if (retries === undefined && interval === undefined) return usual
  return { fixed: { retries: retries ?? SKR_RETRIES, interval: interval ?? SKR_RETRY_INTERVAL } }
}
