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
  }
} as const satisfies SettingsTable
