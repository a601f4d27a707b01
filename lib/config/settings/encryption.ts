/** What has to be encrypted, whatever the protocol, and how much of it is held in memory. */
import { PREFIX } from './setting.ts'
import type { SettingsTable } from './setting.ts'

export const encryption = {
  enableInputEncryption: {
    env: `${PREFIX}ENABLE_INPUT_ENCRYPTION`,
    type: 'boolean',
    default: false,
    shownBy: 'weakenings',
    description: 'Refuse requests that are not encrypted.'
  },

  enableOutputEncryption: {
    env: `${PREFIX}ENABLE_OUTPUT_ENCRYPTION`,
    type: 'boolean',
    default: false,
    description: 'Seal every response to the key the client sends. A request without one is refused.'
  },

  maxBodyBytes: {
    env: `${PREFIX}MAX_BODY_BYTES`,
    type: 'integer',
    minimum: 0,
    maximum: 2 ** 31,
    default: 64 * 2 ** 20,
    description: 'Largest body of v1 in bytes, each way. v1 has to buffer it. Larger requests get 413, larger ' +
      'responses 502. Streams are not limited.'
  },

  maxBufferedBytes: {
    env: `${PREFIX}MAX_BUFFERED_BYTES`,
    type: 'integer',
    minimum: 2 ** 20,
    maximum: 2 ** 40,
    default: 512 * 2 ** 20,
    description: 'Maximum bytes that all buffered bodies may hold together. Beyond it, requests get 503 with ' +
      'Retry-After.'
  }
} as const satisfies SettingsTable
