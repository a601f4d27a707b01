/** What each worker has of limits that are meant for all of them together. */
import type { Config } from './config.ts'
import { settings } from './settings.ts'

/**
 * The configuration of one of so many workers: budgets are divided evenly, so that together they are no more than one
 * process would have. What a single message may hold is no more than its worker has.
 */
export function configOfWorker (config: Config, workers: number): Config {
  const share = (limit: number, least = 1) => Math.max(least, Math.floor(limit / workers))
  const maxBufferedBytes = share(config.maxBufferedBytes, settings.maxBufferedBytes.minimum)
  return {
    ...config,
    maxBufferedBytes,
    maxBodyBytes: Math.min(config.maxBodyBytes, maxBufferedBytes),
    workloadConnections: share(config.workloadConnections),
    // 0 turns them off.
    websockets: config.websockets === 0 ? 0 : share(config.websockets),
    maxPendingUnwraps: share(config.maxPendingUnwraps)
  }
}
