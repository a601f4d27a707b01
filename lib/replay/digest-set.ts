/**
 * A bounded set of 16-byte digests: a few hash tables, open addressing, each twice as large as the one before. No
 * rehashing, and no objects per entry. A million entries take about 35 MB.
 */
import { DIGEST_BYTES } from './store.ts'

export interface DigestSet {
  has (digest: Uint8Array): boolean
  /** Adds a digest that is not in the set. There must be room. */
  add (digest: Uint8Array): void
  readonly size: number
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

// Where a digest stands depends on secret factors, so that a client cannot choose digests that crowd one place.
const [
  factorA = 1, factorB = 1, factorC = 1, factorD = 1
] = crypto.getRandomValues(new Uint32Array(WORDS)).map(word => word | 1)
const digestWords = new Uint32Array(WORDS)

function createTable (entries: number): Table {
  const bits = Math.ceil(Math.log2(entries * 2))
  return { words: new Uint32Array(2 ** bits * WORDS), mask: 2 ** bits - 1, shift: 32 - bits, room: entries }
}

/** The same memory, to write to. */
const digestBytes = new Uint8Array(digestWords.buffer)

/** Puts the digest into `digestWords`. All zeros marks a free slot. */
function read (digest: Uint8Array): void {
  for (let i = 0; i < DIGEST_BYTES; i++) digestBytes[i] = digest[i]!
  if (digestWords[0] === 0 && digestWords[1] === 0 && digestWords[2] === 0 && digestWords[3] === 0) digestWords[0] = 1
}

/** The word offset of the digest that was read, or of the free slot where it would stand (as -1 - offset). */
function find ({ words, mask, shift }: Table): number {
  const [a = 0, b = 0, c = 0, d = 0] = digestWords
  const hash = Math.imul(a, factorA) + Math.imul(b, factorB) + Math.imul(c, factorC) + Math.imul(d, factorD)
  for (let slot = hash >>> shift; ; slot = slot + 1 & mask) {
    const at = slot * WORDS
    if (words[at] === 0 && words[at + 1] === 0 && words[at + 2] === 0 && words[at + 3] === 0) return -1 - at
    if (words[at] === a && words[at + 1] === b && words[at + 2] === c && words[at + 3] === d) return at
  }
}

export function createDigestSet (): DigestSet {
  const tables: Table[] = []
  let size = 0
  return {
    has (digest) {
      read(digest)
      return tables.some(table => find(table) >= 0)
    },
    add (digest) {
      read(digest)
      let table = tables.at(-1)
      if (table === undefined || table.room === 0) {
        table = createTable(table === undefined ? FIRST_ENTRIES : table.mask + 1)
        tables.push(table)
      }
      table.words.set(digestWords, -1 - find(table))
      table.room--
      size++
    },
    get size () { return size }
  }
}
