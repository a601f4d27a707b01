/**
 * Bounds the memory that buffered messages hold together. Each message has an account. When the budget is spent, the
 * message that arrives most slowly gives way: it is not yet known to be authentic, and senders who take their time
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
/** … of which the last so many count, lest a fast beginning pay for a slow rest … */
const SPAN = 5000
/** … at less than so many bytes per millisecond. */
const LEAST_RATE = 64

interface Arrival {
  /** Bytes per millisecond; undefined as long as that is too early to say. */
  rate (time: number): number | undefined
  held: number
  giveWay (): void
}

/** @param now a clock, in milliseconds */
export function createByteBudget (limit: number, now: () => number = () => performance.now()): ByteBudget {
  let used = 0
  const arrivals = new Set<Arrival>()

  function makeRoom (bytes: number, wanted: Arrival): boolean {
    const time = now()
    const fits = () => used + bytes <= limit
    while (!fits()) {
      const slow = [...arrivals].map(arrival => ({ arrival, rate: arrival.rate(time) ?? Infinity }))
        .filter(({ arrival, rate }) => arrival.held > 0 && rate < LEAST_RATE)
      const slowest = slow.sort((a, b) => a.rate - b.rate)[0]?.arrival
      if (slowest === undefined || slowest === wanted) return false
      slowest.giveWay()
    }
    return true
  }

  return {
    open () {
      const meter = createMeter(now())
      const arrival: Arrival = { rate: meter.rate, held: 0, giveWay }
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
          // Once released, nothing would give back what is taken.
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
              meter.count(next.value.length, now())
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

/** Measures a rate over the span under way, or the one before while that has just begun. */
function createMeter (begun: number) {
  let bytes = 0
  let last: number | undefined

  function turn (time: number): void {
    if (time - begun < SPAN) return
    last = bytes / (time - begun)
    begun = time
    bytes = 0
  }

  return {
    count (more: number, time: number): void {
      turn(time)
      bytes += more
    },
    rate (time: number): number | undefined {
      turn(time)
      return time - begun >= PATIENCE ? bytes / (time - begun) : last
    }
  }
}
