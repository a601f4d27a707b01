/** The legacy protocol. */
import { PREFIX } from './setting.ts'
import type { SettingsTable } from './setting.ts'

export const polarisV1 = {
  enableV1: {
    env: `${PREFIX}ENABLE_V1`,
    type: 'boolean',
    default: true,
    description: 'Accept the legacy Polaris v1 protocol. Turn off once no client needs it.'
  },

  v1AllowUnboundResponseKey: {
    env: `${PREFIX}V1_ALLOW_UNBOUND_RESPONSE_KEY`,
    type: 'boolean',
    default: false,
    description: 'v1 with input and output encryption: accept a response key that the client did not put into its ' +
      'encrypted headers (SDKs before 0.0.8). Whoever is in the middle can then read the response.'
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
