/** What a soak found. */

export interface Report {
  readonly exchanges: number
  readonly outcomes: Readonly<Record<string, number>>
  readonly wrong: Readonly<Record<string, number>>
  /** Requests that were forwarded more than once. */
  readonly repeated: readonly string[]
  /** Lines of crashes and of bugs. */
  readonly crashes: readonly string[]
  readonly failovers: number
  readonly replays: number
  readonly rotations: number
  readonly renewals: number
  readonly processes: readonly {
    readonly name: string
    /** MB. */
    readonly first: number
    readonly last: number
    /** MB in ten minutes after the warm-up; undefined if that is too short. */
    readonly growth: number | undefined
    /** Before the load, and after it. */
    readonly descriptors: readonly [number, number]
  }[]
}
