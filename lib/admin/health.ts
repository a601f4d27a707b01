/** One line about how the proxy is, for an operator who can reach nothing but its log. Nothing of clients is in it. */
import { valueOf } from '../metrics/meter.ts'
import type { MetricName } from '../metrics/catalogue.ts'
import type { Snapshot } from '../metrics/meter.ts'
import type { Report } from '../metrics/report.ts'

export interface Health {
  readonly version: string
  readonly node: string
  readonly [detail: string]: unknown
}

/** Ages are in whole seconds, and sizes in bytes. What is not known is left out. */
export function healthOf (
  { snapshot, reasons }: Report, versions: { readonly version: string, readonly node: string }
): Health {
  const read = (name: MetricName, ...labels: string[]) => valueOf(snapshot, name, labels)
  const seconds = (name: MetricName, ...labels: string[]) => rounded(read(name, ...labels))
  return {
    ...versions,
    ready: reasons.length === 0,
    ...reasons.length > 0 && { reasons },
    uptime: seconds('uptime', 'primary') ?? seconds('uptime'),
    restarts: read('restarts'),
    requests: read('requests'),
    inFlight: read('requests') === undefined ? undefined : read('inFlight'),
    refusals: read('refusals'),
    cutOff: read('cutOff'),
    connections: {
      open: read('connections', 'open'), idle: read('connections', 'idle'), waiting: read('connections', 'waiting')
    },
    keys: {
      rsa: { active: read('keys', 'rsa', 'active'), age: seconds('keyAge', 'rsa', 'active') },
      hpke: {
        active: read('keys', 'hpke', 'active'),
        age: seconds('keyAge', 'hpke', 'active'),
        nextRotation: seconds('keyRotation', 'hpke', 'active')
      }
    },
    attestation: {
      state: stateOf(snapshot),
      age: seconds('evidenceAge'),
      expiresIn: seconds('evidenceExpiry'),
      failures: read('evidenceFailures')
    },
    buffered: read('buffered'),
    rss: read('rss'),
    heap: read('heap')
  }
}

function rounded (value: number | undefined): number | undefined {
  return value === undefined ? undefined : Math.round(value)
}

function stateOf ({ gateState }: Snapshot): string | undefined {
  return gateState?.find(([, [value]]) => value === 1)?.[0][1]
}
