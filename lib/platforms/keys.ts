/** All key providers by their names; each brings its own dependencies only when it is the one in use. */
import type { AzureKeyVaultOptions } from './azure/key-vault.ts'
import type { AzureSkrOptions } from './azure/skr.ts'
import type { EphemeralOptions } from './local/ephemeral-keys.ts'
import type { FileOptions } from './local/file-keys.ts'
import type { GoogleFederatedOptions } from './google/federated-keys.ts'
import type { KeyLog } from '../keys/rsa/key-versions.ts'
import type { KeyProvider } from '../keys/provider.ts'

/** Key types (`POLARIS_CONTAINER_KEY_TYPE`) and what each is configured with. */
export interface KeyProviderOptions {
  ephemeral: EphemeralOptions
  file: FileOptions
  'azure-skr': AzureSkrOptions
  'azure-key-vault': AzureKeyVaultOptions
  'google-federated': GoogleFederatedOptions
}

export type KeyType = keyof KeyProviderOptions

const providers: { [T in KeyType]: () => Promise<(options: KeyProviderOptions[T], log: KeyLog) => KeyProvider> } = {
  ephemeral: async () => (await import('./local/ephemeral-keys.ts')).createEphemeralProvider,
  file: async () => (await import('./local/file-keys.ts')).createFileProvider,
  'azure-skr': async () => (await import('./azure/skr.ts')).createAzureSkrProvider,
  'azure-key-vault': async () => (await import('./azure/key-vault.ts')).createAzureKeyVaultProvider,
  'google-federated': async () => (await import('./google/federated-keys.ts')).createGoogleFederatedProvider
}

/** Creates a provider, which begins to make or fetch its keys at once: await its `ready`, or watch its `status`. */
export async function createKeyProvider<T extends KeyType> (type: T, options: KeyProviderOptions[T], log: KeyLog): Promise<KeyProvider> {
  const create = await providers[type]()
  return create(options, log)
}
