/** Where the workload is, and how long it may take. */
import { PREFIX } from './setting.ts'
import type { SettingsTable } from './setting.ts'

export const workload = {
  workloadBaseUrl: {
    env: `${PREFIX}WORKLOAD_BASE_URL`,
    type: 'string',
    format: 'workload-url',
    required: true,
    description: 'Where the workload listens, e.g. `http://localhost:3001`. `h2c://` speaks HTTP/2 without TLS, ' +
      'as gRPC servers do (docs/grpc.md). A path is put in front of every request target, and a ' +
      'target whose dot segments lead out of it is refused.'
  },

  workloadConnections: {
    env: `${PREFIX}WORKLOAD_CONNECTIONS`,
    aliases: [`${PREFIX}UPSTREAM_CONNECTIONS`],
    type: 'integer',
    minimum: 1,
    maximum: 65535,
    default: 1024,
    description: 'Maximum connections to the workload at once; requests, if it is `h2c://`. Further ones wait for ' +
      '`POLARIS_CONTAINER_WORKLOAD_CONNECT_TIMEOUT`, then get 503. The unfinished uploads of one client hold at ' +
      'most half of them.'
  },

  workloadConnectTimeout: {
    env: `${PREFIX}WORKLOAD_CONNECT_TIMEOUT`,
    aliases: [`${PREFIX}UPSTREAM_CONNECT_TIMEOUT`],
    type: 'string',
    format: 'duration',
    default: '10s',
    description: 'How long it may take to connect to the workload before the client gets 504.'
  },

  workloadHeadersTimeout: {
    env: `${PREFIX}WORKLOAD_HEADERS_TIMEOUT`,
    aliases: [`${PREFIX}UPSTREAM_HEADERS_TIMEOUT`],
    type: 'string',
    format: 'duration',
    default: '300s',
    description: 'How long the workload may take from the end of the request to its response headers before the ' +
      'client gets 504. `0` waits for ever.'
  },

  workloadIdleTimeout: {
    env: `${PREFIX}WORKLOAD_IDLE_TIMEOUT`,
    aliases: [`${PREFIX}UPSTREAM_IDLE_TIMEOUT`],
    type: 'string',
    format: 'duration',
    default: '300s',
    description: 'How long the workload may be silent within a response body before the proxy cuts the response ' +
      'off. `0` waits for ever.'
  },

  workloadTlsVerify: {
    env: `${PREFIX}WORKLOAD_TLS_VERIFY`,
    aliases: [`${PREFIX}UPSTREAM_TLS_VERIFY`],
    type: 'boolean',
    default: true,
    shownBy: 'weakenings',
    description: 'Verify the workload\'s certificate if its URL is https. Add a private CA with Node\'s ' +
      '`NODE_EXTRA_CA_CERTS`.'
  },

  readyChecksWorkload: {
    env: `${PREFIX}READY_CHECKS_WORKLOAD`,
    type: 'boolean',
    default: false,
    description: 'Report not ready while the workload does not accept connections.'
  }
} as const satisfies SettingsTable
