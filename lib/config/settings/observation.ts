/** What operators learn of a running proxy. */
import { PREFIX } from './setting.ts'
import type { SettingsTable } from './setting.ts'

export const observation = {
  adminAddress: {
    env: `${PREFIX}ADMIN_ADDRESS`,
    type: 'string',
    format: 'listen-address',
    description: 'Where to serve `/metrics` for Prometheus, `/livez` and `/readyz` to operators, unencrypted and to ' +
      'anyone who can reach it, e.g. `127.0.0.1:9464`. If it is not set: nowhere (docs/metrics.md).'
  },

  accessLog: {
    env: `${PREFIX}ACCESS_LOG`,
    type: 'boolean',
    default: false,
    description: 'Write a line to the log for each exchange: protocol, outer status class, sizes on the wire rounded ' +
      'up to 1 KiB, durations, request id.'
  },

  otlpEndpoint: {
    env: 'OTEL_EXPORTER_OTLP_ENDPOINT',
    type: 'string',
    format: 'http-url',
    description: 'Send a span for each exchange to this OpenTelemetry collector, below `/v1/traces`, by OTLP over ' +
      'HTTP. Spans have the labels of the metrics, and times (docs/metrics.md).'
  },

  forwardOuterTrace: {
    env: `${PREFIX}FORWARD_OUTER_TRACE`,
    type: 'boolean',
    default: false,
    description: 'Give the workload `traceparent` and `tracestate` of the outer request if the request inside of the ' +
      'encryption has none. By default the workload sees those of the client alone.'
  },

  usage: {
    env: `${PREFIX}USAGE`,
    type: 'string',
    enum: ['off', 'on', 'true', 'false'],
    default: 'off',
    accepts: '`on` or `true`, `off` or `false`',
    shownBy: 'weakenings',
    description: 'Report the token counts of answers in the shapes of OpenAI and Anthropic outside of the ' +
      'encryption: in the header or trailer `Polaris-Usage`, and in the metrics. Everyone on the way can read them. ' +
      'A client refuses with `Polaris-Usage: no` in its request (docs/usage.md).'
  }
} as const satisfies SettingsTable
