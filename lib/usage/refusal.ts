/** `Polaris-Usage: no`: the client does not want observers to learn what its answer counts. */
import type { Exchange } from '../exchanges/exchange.ts'

export const USAGE_HEADER = 'polaris-usage'

/** A request without the header, which is the proxy's own, and whether it refuses. */
export function readRefusal (exchange: Exchange): { exchange: Exchange, refused: boolean } {
  const { headers } = exchange
  const kept: string[] = []
  let refused = false
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const [name = '', value = ''] = headers.slice(i, i + 2)
    if (name.toLowerCase() !== USAGE_HEADER) kept.push(name, value)
    else if (value.split(',').some(word => word.trim().toLowerCase() === 'no')) refused = true
  }
  return kept.length === headers.length ? { exchange, refused } : { exchange: { ...exchange, headers: kept }, refused }
}
