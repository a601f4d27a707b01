/** Attester type of Confidential Space. */
import { exists } from '../platform.ts'
import type { AttesterType } from '../platform.ts'
import { LAUNCHER_SOCKET } from './settings.ts'
import type { googleSettings } from './settings.ts'

export const attesterTypes: readonly AttesterType<typeof googleSettings>[] = [
  {
    name: 'google-confidential-space',
    requires: [],
    detect: (_settings, { root }) => exists(root + LAUNCHER_SOCKET, 'isSocket'),
    async create ({ attestationAudience }, { root }) {
      const { googleConfidentialSpace } = await import('./confidential-space.ts')
      return googleConfidentialSpace({ audience: attestationAudience, socketPath: root + LAUNCHER_SOCKET })
    }
  }
]
