/**
 * Bounds the memory that buffered messages hold together. Each message has an account. When the budget is spent, the
 * message that arrives most slowly gives way: nobody knows yet whether it is authentic, and senders who take their time
 * must not keep everyone else out.
 */
import { Problem } from '../http/problems.ts'

export interface ByteBudget {
  /** An account of one message. */
  open (): BudgetAccount
  /** Bytes that all accounts hold. */
  readonly used: number
}

/** What one message holds of the budget. */
export interface BudgetAccount {
  /** Takes so many bytes more. @throws {Problem} overloaded: the budget is spent, or the account was released */
  hold (bytes: number): void
  /**
   * The same pieces, for as long as this message need not give way to others; it is not done before all were read. The
   * source stays open, whatever happens: it belongs to someone else.
   *
   * @throws {Problem} overloaded, having released the account
   */
  arriving (source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void>
  /** Gives everything back, for good. */
  release (): void
}

/** Slow is a message that has been arriving for so many milliseconds … */
const PATIENCE = 1000
/** … at less than so many bytes per millisecond. */
const LEAST_RATE = 64

interface Arrival {
  readonly since: number
  held: number
  giveWay (): void
}

/** @param now a clock, in milliseconds */
export function createByteBudget (limit: number, now: () => number = () => performance.now()): ByteBudget {
  let used = 0
  const arrivals = new Set<Arrival>()

  function makeRoom (bytes: number, wanted: Arrival): boolean {
    const time = now()
    const rate = ({ held, since }: Arrival) => held / (time - since)
    const fits = () => used + bytes <= limit
    while (!fits()) {
      const slow = [...arrivals].filter(other => other.held > 0 && time - other.since >= PATIENCE && rate(other) < LEAST_RATE)
      const [slowest] = slow.sort((a, b) => rate(a) - rate(b))
      if (slowest === undefined || slowest === wanted) return false
      slowest.giveWay()
    }
    return true
  }

  return {
    open () {
      const arrival: Arrival = { since: now(), held: 0, giveWay }
      let released = false
      let interrupt: ((error: Problem) => void) | undefined

      function giveWay (): void {
        release()
        interrupt?.(new Problem('overloaded'))
      }

      function release (): void {
        released = true
        arrivals.delete(arrival)
        used -= arrival.held
        arrival.held = 0
      }

      return {
        hold (bytes) {
          // Once released, nobody would give back what is taken.
          if (released || !makeRoom(bytes, arrival)) throw new Problem('overloaded')
          used += bytes
          arrival.held += bytes
        },
        async * arriving (source) {
          const pieces = source[Symbol.asyncIterator]()
          arrivals.add(arrival)
          try {
            for (;;) {
              const next = await new Promise<IteratorResult<Buffer, unknown>>((resolve, reject) => {
                interrupt = reject
                pieces.next().then(resolve, reject)
              })
              if (released) throw new Problem('overloaded')
              if (next.done === true) return
              yield next.value
            }
          } finally {
            arrivals.delete(arrival)
            interrupt = undefined
          }
        },
        release
      }
    },
    get used () { return used }
  }
}
