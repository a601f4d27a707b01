/** The limits of clients that the settings name. */
import type { Config } from '../config/config.ts'
import type { ClientLimits } from './limiter.ts'

export function limitsFrom (config: Config): ClientLimits {
  return {
    requestRate: config.clientRequestRate,
    burst: config.clientBurst,
    bytesPerMinute: config.clientBytesPerMinute,
    concurrency: config.clientConcurrency
  }
}
