/**
 * Who may use the connections to the workload. There are only so many, and a client that sends its body slowly keeps
 * one for as long: no client holds more than its share, and no request waits for ever.
 */
import { Problem } from '../http/problems.ts'

export interface Connections {
  /**
   * What gives the connection back: at once if there is one, otherwise when there is one.
   *
   * @throws {Problem} overloaded: none became free in time, or too many requests wait already
   */
  take (): (() => void) | Promise<() => void>
  /**
   * Counts an upload of a client until what it returns is called, once.
   *
   * @throws {Problem} overloaded: the client's unfinished uploads hold their share of the connections
   */
  startUpload (client: string): () => void
  /** Whether requests have to be refused at present. */
  readonly isFull: boolean
  /** Requests that wait for one. */
  readonly waiting: number
}

/** Of the connections, the part that the unfinished uploads of one client may hold. */
const SHARE = 1 / 2

/**
 * @param limit how many connections there are
 * @param patience how long a request waits for one, in milliseconds
 */
export function createConnections (limit: number, patience: number): Connections {
  const share = Math.max(1, Math.floor(limit * SHARE))
  const uploads = new Map<string, number>()
  const waiting = new Set<() => void>()
  let used = 0
  let refusedAt = -Infinity

  function giveBack (): void {
    const [next] = waiting
    if (next === undefined) used--
    else next()
  }

  function refuse (): Problem {
    refusedAt = performance.now()
    return new Problem('overloaded')
  }

  return {
    take () {
      if (used < limit) {
        used++
        return once(giveBack)
      }
      if (waiting.size >= limit) throw refuse()
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(proceed)
          reject(refuse())
        }, patience)
        function proceed (): void {
          clearTimeout(timer)
          waiting.delete(proceed)
          resolve(once(giveBack))
        }
        waiting.add(proceed)
      })
    },
    startUpload (client) {
      const count = uploads.get(client) ?? 0
      if (count >= share) throw new Problem('overloaded')
      uploads.set(client, count + 1)
      return once(() => {
        const left = (uploads.get(client) ?? 1) - 1
        if (left === 0) uploads.delete(client)
        else uploads.set(client, left)
      })
    },
    get waiting () { return waiting.size },
    get isFull () { return used >= limit && performance.now() - refusedAt < patience }
  }
}

function once (call: () => void): () => void {
  let called = false
  return () => {
    if (called) return
    called = true
    call()
  }
}
