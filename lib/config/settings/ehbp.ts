/** EHBP, for clients that speak it already. */
import { PREFIX } from './setting.ts'
import type { SettingsTable } from './setting.ts'

export const ehbp = {
  enableEhbp: {
    env: `${PREFIX}ENABLE_EHBP`,
    type: 'boolean',
    default: false,
    description: 'Accept EHBP, which encrypts bodies and nothing else (docs/protocol-ehbp.md). Its requests have no ' +
      'date, so all requests, those of OHTTP too, are remembered for as long as an HPKE key lives (twice ' +
      '`POLARIS_CONTAINER_HPKE_ROTATION`, and `POLARIS_CONTAINER_HPKE_RETIREMENT`): set ' +
      '`POLARIS_CONTAINER_REPLAY_CAPACITY` to the requests of that time. `POLARIS_CONTAINER_OHTTP_MAX_BODY_BYTES` ' +
      'limits a frame; some clients send a whole body as one. If keys outlive the memory of their requests, the ' +
      'proxy does not start.'
  }
} as const satisfies SettingsTable
