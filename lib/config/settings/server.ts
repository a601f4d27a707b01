/** The listener, its clients, the process and its log. */
import { PREFIX } from './setting.ts'
import type { SettingsTable } from './setting.ts'

export const server = {
  host: {
    env: 'HOST',
    type: 'string',
    format: 'address',
    description: 'Address to listen on. If it is not set: all addresses, IPv6 and IPv4 (`::`), or those of IPv4 ' +
      '(`0.0.0.0`) on a system without IPv6.'
  },

  port: {
    env: 'PORT',
    type: 'string',
    format: 'port',
    default: 3000,
    description: 'Port to listen on without TLS. `0` takes a free one; `off` takes none, if the TLS listener is on.'
  },

  contextRoot: {
    env: `${PREFIX}CONTEXT_ROOT`,
    type: 'string',
    format: 'path-prefix',
    default: '',
    description: 'Path below which the proxy is mounted, e.g. `/proxy`. It is removed before an unencrypted request ' +
      'is forwarded, and put in front of the `Location` of the response. The system endpoints answer both below it ' +
      'and at the root.'
  },

  trustProxy: {
    env: `${PREFIX}TRUST_PROXY`,
    type: 'string',
    format: 'trust-proxy',
    default: 'false',
    description: 'Senders whose `x-forwarded-*`, `forwarded` and similar headers the proxy trusts, and extends ' +
      'towards the workload. It drops those of all others (docs/decisions/0008-forwarded-headers.md).'
  },

  enableCors: {
    env: `${PREFIX}ENABLE_CORS`,
    type: 'boolean',
    default: true,
    description: 'Answer CORS preflights and add CORS headers.'
  },

  corsOrigin: {
    env: `${PREFIX}CORS_ORIGIN`,
    type: 'string',
    format: 'cors-origin',
    default: '*',
    description: 'Origins that browsers may call from. Any value but `*` replaces the CORS origins that the ' +
      'workload sends.'
  },

  workers: {
    env: `${PREFIX}WORKERS`,
    type: 'string',
    format: 'workers',
    default: '1',
    description: 'Number of processes that serve. They share keys, replay protection and limits: what is limited is ' +
      'limited for all of them together (docs/operations.md).'
  },

  clientIdleTimeout: {
    env: `${PREFIX}CLIENT_IDLE_TIMEOUT`,
    type: 'string',
    format: 'duration',
    default: '60s',
    description: 'How long a client may be silent within a request body before it gets 408, or read nothing of its ' +
      'response before the connection is closed. `0` waits for ever.'
  },

  clientMinRate: {
    env: `${PREFIX}CLIENT_MIN_RATE`,
    type: 'integer',
    minimum: 0,
    maximum: 1_000_000,
    default: 100,
    description: 'Minimum bytes per second of a request body, on average over ' +
      '`POLARIS_CONTAINER_CLIENT_IDLE_TIMEOUT`. A slower client gets 408, unless it waits for the workload. `0` ' +
      'sets no minimum, for clients that stream events as they happen.'
  },

  clientRequestRate: {
    env: `${PREFIX}CLIENT_REQUEST_RATE`,
    type: 'integer',
    minimum: 0,
    maximum: 1_000_000,
    default: 0,
    description: 'Requests per second that one client may send, on average. More get 429 before anything is opened. ' +
      '`0` sets no limit (docs/limits.md).'
  },

  clientBurst: {
    env: `${PREFIX}CLIENT_BURST`,
    type: 'integer',
    minimum: 1,
    maximum: 1_000_000,
    default: 50,
    description: 'Requests that one client may send at once after a pause, with ' +
      '`POLARIS_CONTAINER_CLIENT_REQUEST_RATE`.'
  },

  clientConcurrency: {
    env: `${PREFIX}CLIENT_CONCURRENCY`,
    type: 'integer',
    minimum: 0,
    maximum: 1_000_000,
    default: 0,
    description: 'Exchanges that one client may have at once. `0` sets no limit.'
  },

  clientBytesPerMinute: {
    env: `${PREFIX}CLIENT_BYTES_PER_MINUTE`,
    type: 'integer',
    minimum: 0,
    maximum: 2 ** 50,
    default: 0,
    description: 'Bytes on the wire that one client may move in a minute, both ways together. An exchange that began ' +
      'is not cut off. `0` sets no limit.'
  },

  clientKeyHeader: {
    env: `${PREFIX}CLIENT_KEY_HEADER`,
    type: 'string',
    format: 'header-name',
    description: 'An outer header that tells clients apart for these limits, such as a credential that a gateway in ' +
      'front has checked. Only a keyed hash of it is kept. Without the setting, or the header, the address counts.'
  },

  stopDelay: {
    env: `${PREFIX}STOP_DELAY`,
    type: 'string',
    format: 'duration',
    default: '0s',
    description: 'How long to accept requests after SIGTERM while `/readyz` already answers 503, so that a load ' +
      'balancer notices.'
  },

  stopTimeout: {
    env: `${PREFIX}STOP_TIMEOUT`,
    type: 'string',
    format: 'duration',
    default: '30s',
    description: 'How long exchanges in flight may take to finish after the stop delay.'
  },

  enableLogging: {
    env: `${PREFIX}ENABLE_LOGGING`,
    type: 'boolean',
    default: true,
    description: '`false` silences the log.'
  },

  logLevel: {
    env: `${PREFIX}LOG_LEVEL`,
    type: 'string',
    enum: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    default: 'info',
    description: 'Least severe level to log. No level logs anything decrypted.'
  }
} as const satisfies SettingsTable
