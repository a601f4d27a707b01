/** The legacy protocol. */
import { PREFIX } from './setting.ts'
import type { SettingsTable } from './setting.ts'

export const polarisV1 = {
  enableV1: {
    env: `${PREFIX}ENABLE_V1`,
    type: 'boolean',
    default: true,
    shownBy: 'keys',
    description: 'Accept the legacy Polaris v1 protocol. Turn off once no client needs it.'
  },

  v1AllowUnboundResponseKey: {
    env: `${PREFIX}V1_ALLOW_UNBOUND_RESPONSE_KEY`,
    type: 'boolean',
    default: false,
    shownBy: 'weakenings',
    description: 'v1 with input and output encryption: accept a response key that the client did not put into its ' +
      'encrypted headers (SDKs before 0.0.8). An attacker in the middle can then read the response.'
  },

  v1ReplayProtection: {
    env: `${PREFIX}V1_REPLAY_PROTECTION`,
    type: 'boolean',
    default: true,
    shownBy: 'weakenings',
    description: 'v1: refuse a message that was opened before, in any role. Without it, an attacker who recorded v1 ' +
      'traffic can have it decrypted by sending it again. `false` is for clients, or proxies in front, that send ' +
      'one encrypted request several times.'
  },

  v1ReplayWindow: {
    env: `${PREFIX}V1_REPLAY_WINDOW`,
    type: 'string',
    format: 'duration',
    default: '1h',
    shownBy: 'weakenings',
    description: 'v1, keys that outlive the process: how long the proxy remembers messages, in memory or in ' +
      '`POLARIS_CONTAINER_REPLAY_STORE`. It remembers those of `ephemeral` keys for as long as the key lives.'
  },

  v1ReplayCapacity: {
    env: `${PREFIX}V1_REPLAY_CAPACITY`,
    type: 'integer',
    minimum: 1000,
    maximum: 50_000_000,
    default: 4_000_000,
    description: 'v1: maximum messages to remember in memory, for an `ephemeral` key or for one window; a request ' +
      'has up to three. The proxy replaces an `ephemeral` key before its memory is full; with other keys, requests ' +
      'get 503 until the window ends. A million messages take about 35 MB.'
  },

  urlHeader: {
    env: `${PREFIX}URL_HEADER_KEY`,
    type: 'string',
    format: 'header-name',
    default: 'polaris-url',
    description: 'v1: name of the header with the encrypted path and query.'
  },

  secureHeader: {
    env: `${PREFIX}HEADER_KEY`,
    type: 'string',
    format: 'header-name',
    default: 'polaris-secure',
    description: 'v1: name of the header with the encrypted headers.'
  },

  responsePublicKeyHeader: {
    env: `${PREFIX}RESPONSE_PUBLIC_KEY_HEADER_KEY`,
    type: 'string',
    format: 'header-name',
    default: 'polaris-response-public-key',
    description: 'v1: name of the header with the client\'s public key.'
  }
} as const satisfies SettingsTable
