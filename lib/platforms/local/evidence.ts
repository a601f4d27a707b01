/** Attester types that prove nothing, for machines that are no trusted execution environment. */
import type { AttesterType } from '../platform.ts'
import { none } from './none.ts'
import { localSettings } from './settings.ts'

export const attesterTypes: readonly AttesterType<typeof localSettings>[] = [
  {
    name: 'simulated',
    requires: [],
    proofs: [{ proves: 'Nothing', trusted: '', unproven: 'Everything' }],
    async problems ({ attestationAllowSimulated }, { env }) {
      if (env['NODE_ENV'] !== 'production' || attestationAllowSimulated) return []
      return [
        'Simulated attestation proves nothing and is not for production, which NODE_ENV says this is. To allow it, ' +
          `set ${localSettings.attestationAllowSimulated.env}=true`
      ]
    },
    create: async () => (await import('./simulated-evidence.ts')).simulated()
  },
  {
    name: 'none',
    isAbsent: true,
    requires: [],
    proofs: [{ proves: 'Nothing, and says so', trusted: '', unproven: 'Everything' }],
    detect: async () => true,
    create: async () => none
  }
]
