/** Bounds the memory that buffered bodies hold together. */

export interface ByteBudget {
  /** False, and nothing taken, where the budget would be exceeded. */
  take (bytes: number): boolean
  give (bytes: number): void
  readonly used: number
}

export function createByteBudget (limit: number): ByteBudget {
  let used = 0
  return {
    take (bytes) {
      if (used + bytes > limit) return false
      used += bytes
      return true
    },
    give (bytes) { used -= bytes },
    get used () { return used }
  }
}
