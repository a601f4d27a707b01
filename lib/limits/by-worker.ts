/** What workers take of a limiter in another process. What one has not ended when it dies is ended for it. */
import type { ClientLimiter, Verdict } from './limiter.ts'

export interface LimitsByWorker {
  take (worker: string, client: string): Promise<Verdict>
  end (worker: string, client: string, bytes: number): void
  leave (worker: string): void
}

export function limitsByWorker (limiter: ClientLimiter): LimitsByWorker {
  const open = new Map<string, Map<string, number>>()

  function count (worker: string, client: string, by: number): void {
    const clients = open.get(worker) ?? new Map<string, number>()
    open.set(worker, clients)
    const left = (clients.get(client) ?? 0) + by
    if (left > 0) clients.set(client, left)
    else clients.delete(client)
  }

  return {
    async take (worker, client) {
      const verdict = await limiter.take(client)
      if (verdict.allowed) count(worker, client, 1)
      return verdict
    },
    end (worker, client, bytes) {
      count(worker, client, -1)
      limiter.end(client, bytes)
    },
    leave (worker) {
      for (const [client, times] of open.get(worker) ?? []) for (let i = 0; i < times; i++) limiter.end(client, 0)
      open.delete(worker)
    }
  }
}
