/** The key provider that the settings name. */
import type { Config } from '../config/config.ts'
import type { AzureAttest } from './azure/attest.ts'
import { createKeyProvider } from './keys.ts'
import type { KeyLog } from '../keys/rsa/key-versions.ts'
import type { KeyProvider } from '../keys/provider.ts'
import type { RetryPolicy } from '../remote/retry.ts'

/** What the original used where only one of its two retry settings was given. */
const SKR_RETRIES = 5
const SKR_RETRY_INTERVAL = 60_000

export async function keyProviderFrom (config: Config, log: KeyLog): Promise<KeyProvider> {
  const retry: RetryPolicy = { deadline: config.keyFetchDeadline }
  const pool = { maxPending: config.maxPendingUnwraps }
  const limits = { maxConcurrent: config.keyRemoteConcurrency, timeout: config.keyRemoteTimeout }
  switch (config.keyType) {
    case 'ephemeral':
      return createKeyProvider('ephemeral', pool, log)
    case 'file':
      return createKeyProvider('file', { ...pool, retry, paths: list(config.keyFile) }, log)
    case 'azure-skr':
      return createKeyProvider('azure-skr', {
        ...pool,
        retry: skrRetry(config, retry),
        maaEndpoint: config.azureMaaEndpoint ?? '',
        akvEndpoint: config.azureAkvEndpoint ?? '',
        kids: list(config.azureKid),
        endpointForm: config.azureEndpointForm,
        ...given({ endpoint: config.azureSidecarEndpoint, accessToken: config.azureAccessToken })
      }, log)
    case 'azure-key-vault':
      return createKeyProvider('azure-key-vault', {
        ...pool,
        retry,
        limits,
        vaultUrl: config.azureVaultUrl ?? '',
        key: config.azureVaultKey ?? '',
        mode: config.azureVaultMode,
        credential: config.azureCredential,
        ...config.azureVaultMode === 'release' && { attest: await attestFrom(config) },
        ...given({ clientId: config.azureClientId }),
        ...config.azureVaultKeyVersion !== undefined && { versions: list(config.azureVaultKeyVersion) }
      }, log)
    case 'google-federated':
      return createKeyProvider('google-federated', {
        retry,
        limits,
        projectId: config.googleProject ?? '',
        location: config.googleLocation ?? '',
        keyRing: config.googleKeyRing ?? '',
        key: config.googleKey ?? '',
        versions: list(config.googleKeyVersion),
        audience: config.googleAudience ?? '',
        tokenFile: config.googleTokenFile,
        ...given({
          serviceAccountImpersonationUrl: config.googleServiceAccount,
          kmsEndpoint: config.googleKmsEndpoint,
          tokenUrl: config.googleStsEndpoint
        })
      }, log)
  }
}

function list (text = ''): string[] {
  return text.split(',').map(part => part.trim()).filter(part => part !== '')
}

/** Without the options that are not set. */
function given<T extends object> (options: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> }
}

/** The original's settings, where they are set, keep their meaning. */
function skrRetry ({ azureMaxRequestRetries: retries, azureRetryInterval: interval }: Config, usual: RetryPolicy): RetryPolicy {
  if (retries === undefined && interval === undefined) return usual
  return { fixed: { retries: retries ?? SKR_RETRIES, interval: interval ?? SKR_RETRY_INTERVAL } }
}

async function attestFrom (config: Config): Promise<AzureAttest> {
  const { azureAttest } = await import('./azure/attest.ts')
  return azureAttest({
    maaEndpoint: config.azureMaaEndpoint ?? '',
    certificatesFile: config.attestationCertificatesFile,
    azureSecurityContext: process.env['UVM_SECURITY_CONTEXT_DIR'],
    ...given({ sidecar: config.azureSidecarEndpoint })
  })
}
