/** Key type of Google Cloud KMS. */
import { given, listOf } from '../platform.ts'
import type { KeyType } from '../platform.ts'
import type { googleSettings } from './settings.ts'

export const keyTypes: readonly KeyType<typeof googleSettings>[] = [
  {
    name: 'google-federated',
    requires: ['googleProject', 'googleLocation', 'googleKeyRing', 'googleKey', 'googleAudience'],
    // The private key never leaves the KMS.
    seeds: [{ seed: 'sealed' }],
    places: [{
      place: 'Stays in Cloud KMS',
      gate: 'Attestation of the Confidential Space workload, checked by the identity pool'
    }],
    async create (settings, { log, retry, limits }) {
      const { createGoogleFederatedProvider } = await import('./federated-keys.ts')
      return createGoogleFederatedProvider({
        retry,
        limits,
        projectId: settings.googleProject ?? '',
        location: settings.googleLocation ?? '',
        keyRing: settings.googleKeyRing ?? '',
        key: settings.googleKey ?? '',
        versions: listOf(settings.googleKeyVersion),
        audience: settings.googleAudience ?? '',
        tokenFile: settings.googleTokenFile,
        ...given({
          serviceAccountImpersonationUrl: settings.googleServiceAccount,
          kmsEndpoint: settings.googleKmsEndpoint,
          tokenUrl: settings.googleStsEndpoint
        })
      }, log)
    }
  }
]
