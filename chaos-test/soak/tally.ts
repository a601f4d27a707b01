/** What clients saw, and whether they may have seen it. */
import type { Outcome, Protocol } from '../fixtures/exchange.ts'
import type { Conduct } from '../fixtures/workload.ts'

export interface Counted {
  readonly protocol: Protocol
  readonly conduct: Conduct
  readonly outcome: Outcome
  /** Of a broken connection, for the report. */
  readonly failure?: string
  /** Whether the client meant to leave. */
  readonly isAborted?: boolean
  /** Whether Redis changed its primary while the exchange lasted, or just before. */
  readonly isFailingOver?: boolean
  /** Whether this process was so slow that its key or its date was too old: on a busy machine it may be held up. */
  readonly isLate?: boolean
}

export interface Tally {
  count (exchange: Counted): void
  /** What must not have been seen, with how often it was. */
  readonly wrong: ReadonlyMap<string, number>
  readonly outcomes: ReadonlyMap<Outcome, number>
  readonly total: number
}

const LATE = new Set(['422 ohttp-key', '422 key-config', '400 date', 'broken'])

/** What an exchange may come to, by what the workload does with it. */
function expected (protocol: Protocol, conduct: Conduct): Outcome {
  switch (conduct) {
    case 'reset': return '502 upstream-unreachable'
    case 'garbage': return '502 upstream-invalid'
    // What is buffered can still be an error; what is streamed breaks off.
    case 'cut': return protocol === 'ohttp' || protocol === 'polaris-v1' ? '502 upstream-unreachable' : 'broken'
    default: return 'answered'
  }
}

export function createTally (): Tally {
  const wrong = new Map<string, number>()
  const outcomes = new Map<Outcome, number>()
  let total = 0
  const add = (counts: Map<string, number>, name: string) => counts.set(name, (counts.get(name) ?? 0) + 1)
  return {
    wrong,
    outcomes,
    get total () { return total },
    count ({ protocol, conduct, outcome, failure = '', isAborted, isFailingOver, isLate }) {
      total++
      add(outcomes, outcome)
      const isFine = outcome === expected(protocol, conduct) || (isAborted === true && outcome === 'aborted') ||
        (isFailingOver === true && protocol !== 'plain' && outcome === '503 replay-store') ||
        (isLate === true && LATE.has(outcome))
      if (!isFine) add(wrong, `${protocol}, workload ${conduct}: ${outcome} ${failure}`.trim())
    }
  }
}
