/**
 * Counts, in one process. Made for the path of every request: a caller gets a series once, and from then on an
 * addition is all there is to it. What is read now and then, such as ages, is read for a snapshot.
 */
import { definitions } from './catalogue.ts'
import type { LabelsOf, MetricName } from './catalogue.ts'

/** Labels, and the value; of a histogram, the counts of its buckets, the last of which has no bound, and the sum. */
export type Row = readonly [labels: readonly string[], values: readonly number[]]

/** All series of a process, or of several. Plain data: processes send it to each other. */
export type Snapshot = { readonly [Name in MetricName]?: readonly Row[] }

export interface Counter {
  add (count?: number): void
}

export interface Histogram {
  /** In seconds. */
  observe (seconds: number): void
}

/** Puts the present value of a gauge into a snapshot. */
export type Put = <Name extends MetricName>(name: Name, labels: LabelsOf<Name>, value: number) => void

export interface Meter {
  counter<Name extends MetricName> (name: Name, ...labels: LabelsOf<Name>): Counter
  histogram<Name extends MetricName> (name: Name, ...labels: LabelsOf<Name>): Histogram
  /** Called for each snapshot. */
  watch (read: (put: Put) => void): void
  snapshot (): Snapshot
}

/**
 * Sums are of durations rounded up to 0.1 ms: what a sum tells of a single request is not much more than its bucket.
 * Per second.
 */
const RESOLUTION = 10_000

export function createMeter (): Meter {
  const series = new Map<MetricName, Map<string, { readonly labels: readonly string[], readonly values: number[] }>>()
  const readers: ((put: Put) => void)[] = []

  function valuesOf (name: MetricName, labels: readonly string[], length: number): number[] {
    let all = series.get(name)
    if (all === undefined) series.set(name, all = new Map())
    const key = labels.join()
    let one = all.get(key)
    if (one === undefined) all.set(key, one = { labels, values: new Array<number>(length).fill(0) })
    return one.values
  }

  return {
    counter (name, ...labels) {
      const values = valuesOf(name, labels, 1)
      return { add (count = 1) { values[0]! += count } }
    },
    histogram (name, ...labels) {
      const { buckets = [] } = definitions[name]
      const sumAt = buckets.length + 1
      const values = valuesOf(name, labels, sumAt + 1)
      return {
        observe (seconds) {
          let i = 0
          while (i < buckets.length && seconds > buckets[i]!) i++
          values[i]!++
          values[sumAt]! += Math.ceil(seconds * RESOLUTION) / RESOLUTION
        }
      }
    },
    watch (read) { readers.push(read) },
    snapshot () {
      const rows = new Map<MetricName, Row[]>()
      const rowsOf = (name: MetricName) => {
        let found = rows.get(name)
        if (found === undefined) rows.set(name, found = [])
        return found
      }
      for (const [name, all] of series) {
        for (const { labels, values } of all.values()) rowsOf(name).push([labels, [...values]])
      }
      for (const read of readers) read((name, labels, value) => { rowsOf(name).push([labels, [value]]) })
      return Object.fromEntries(rows) as Snapshot
    }
  }
}

const combine = { sum: (a: number, b: number) => a + b, max: Math.max, min: Math.min }

/** Several processes as one. */
export function together (snapshots: readonly Snapshot[]): Snapshot {
  const names = new Set(snapshots.flatMap(snapshot => Object.keys(snapshot) as MetricName[]))
  return Object.fromEntries([...names].map(name => {
    const join = combine[definitions[name].together ?? 'sum']
    const merged = new Map<string, Row>()
    for (const [labels, values] of snapshots.flatMap(snapshot => snapshot[name] ?? [])) {
      const before = merged.get(labels.join())
      merged.set(
        labels.join(),
        before === undefined ? [labels, values] : [labels, values.map((value, i) => join(value, before[1][i] ?? 0))]
      )
    }
    return [name, [...merged.values()]]
  })) as Snapshot
}

/** What is left of a process that has ended: whatever only grows. */
export function lasting (snapshot: Snapshot): Snapshot {
  return Object.fromEntries(
    Object.entries(snapshot).filter(([name]) => definitions[name as MetricName].type !== 'gauge')
  )
}

/** The value of one series, or of all series of a metric added up; undefined if there is none. */
export function valueOf (snapshot: Snapshot, name: MetricName, labels?: readonly string[]): number | undefined {
  const rows = (snapshot[name] ?? []).filter(
    row => labels === undefined || labels.every((label, i) => row[0][i] === label)
  )
  return rows.length === 0 ? undefined : rows.reduce((sum, [, values]) => sum + (values[0] ?? 0), 0)
}
