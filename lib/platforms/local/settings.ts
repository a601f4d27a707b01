/** Settings of keys from files and of simulated evidence. */
import { PREFIX } from '../../config/settings/setting.ts'
import type { SettingsTable } from '../../config/settings/setting.ts'

export const localSettings = {
  keyFile: {
    env: `${PREFIX}KEY_FILE`,
    type: 'string',
    shownBy: 'keys',
    isFile: true,
    description: '`file`: mounted files with RSA private keys, PEM or JWK, newest first, separated by commas. Must ' +
      'not be readable by all users.'
  },

  attestationAllowSimulated: {
    env: `${PREFIX}ATTESTATION_ALLOW_SIMULATED`,
    type: 'boolean',
    default: false,
    shownBy: 'evidence',
    description: 'Start with simulated evidence although `NODE_ENV` is `production`.'
  }
} as const satisfies SettingsTable
