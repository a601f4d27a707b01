/**
 * A replay store in memory, in two generations: each takes what comes during one span of time, and is forgotten when
 * the next one after it begins; so everything is remembered for at least one span, and at most two. A generation is a
 * few hash tables of 16-octet digests, open addressing, each twice as large as the one before: no rehashing, and no
 * objects per entry. It is bounded: when full it refuses, and forgets nothing early.
 */
import { DIGEST_BYTES, ReplayStoreError } from './store.ts'
import type { ReplayStore } from './store.ts'

export interface MemoryReplayOptions {
  /** How long to remember at least, in milliseconds. */
  readonly remember: number
  /** Most digests of one generation. */
  readonly capacity: number
  readonly now?: () => number
}

const FIRST_ENTRIES = 4096
const WORDS = DIGEST_BYTES / 4

interface Table {
  readonly words: Uint32Array
  /** Slots minus one; slots are a power of two, twice the entries. */
  readonly mask: number
  /** Which bits of a hash make a slot: the uppermost ones. */
  readonly shift: number
  room: number
}

function createTable (entries: number): Table {
  const bits = Math.ceil(Math.log2(entries * 2))
  return { words: new Uint32Array(2 ** bits * WORDS), mask: 2 ** bits - 1, shift: 32 - bits, room: entries }
}

export function createMemoryReplayStore ({ remember, capacity, now = Date.now }: MemoryReplayOptions): ReplayStore {
  let previous: Table[] = []
  let current: Table[] = []
  let left = capacity
  let turnAt = now() + remember
  // Where a digest stands depends on secret factors, so that nobody can choose encapsulated keys that crowd one place.
  const [factorA = 1, factorB = 1, factorC = 1, factorD = 1] = crypto.getRandomValues(new Uint32Array(WORDS)).map(word => word | 1)
  const digestWords = new Uint32Array(WORDS)

  function turn (): void {
    const time = now()
    if (time < turnAt) return
    const late = time >= turnAt + remember
    previous = late ? [] : current
    current = []
    left = capacity
    turnAt = (late ? time : turnAt) + remember
  }

  /** The word offset of the digest, or of the free slot where it would stand (as -1 - offset). */
  function find ({ words, mask, shift }: Table): number {
    const [a = 0, b = 0, c = 0, d = 0] = digestWords
    const hash = Math.imul(a, factorA) + Math.imul(b, factorB) + Math.imul(c, factorC) + Math.imul(d, factorD)
    for (let slot = hash >>> shift; ; slot = slot + 1 & mask) {
      const at = slot * WORDS
      if (words[at] === 0 && words[at + 1] === 0 && words[at + 2] === 0 && words[at + 3] === 0) return -1 - at
      if (words[at] === a && words[at + 1] === b && words[at + 2] === c && words[at + 3] === d) return at
    }
  }

  return {
    admit (digest) {
      turn()
      for (let i = 0; i < WORDS; i++) digestWords[i] = digest.readUInt32LE(i * 4)
      // All zeros marks a free slot.
      if (digestWords.every(word => word === 0)) digestWords[0] = 1
      for (const table of previous) if (find(table) >= 0) return false
      for (const table of current) if (find(table) >= 0) return false
      if (left === 0) throw new ReplayStoreError('The replay store is full')
      let table = current.at(-1)
      if (table === undefined || table.room === 0) {
        table = createTable(table === undefined ? FIRST_ENTRIES : (table.mask + 1))
        current.push(table)
      }
      table.words.set(digestWords, -1 - find(table))
      table.room--
      left--
      return true
    },
    problem () {
      turn()
      return left === 0 ? 'full; it empties by itself' : undefined
    },
    async close () {
      previous = current = []
    }
  }
}
