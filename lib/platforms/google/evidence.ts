/** Attester type of Confidential Space. */
import { exists } from '../platform.ts'
import type { AttesterType } from '../platform.ts'
import { LAUNCHER_SOCKET } from './settings.ts'
import type { googleSettings } from './settings.ts'

export const attesterTypes: readonly AttesterType<typeof googleSettings>[] = [
  {
    name: 'google-confidential-space',
    requires: [],
    proofs: [{
      proves: 'A confidential VM on Google runs Google\'s hardened image, which runs this container image, in this ' +
        'project, with this environment',
      trusted: 'Google\'s attestation service and its image; AMD or Intel',
      unproven: 'Who may change the policy of the project'
    }],
    detect: (_settings, { root }) => exists(root + LAUNCHER_SOCKET, 'isSocket'),
    async create ({ attestationAudience }, { root }) {
      const { googleConfidentialSpace } = await import('./confidential-space.ts')
      return googleConfidentialSpace({ audience: attestationAudience, socketPath: root + LAUNCHER_SOCKET })
    }
  }
]
