/**
 * The numbers of workers as one, in the process that started them. What a worker has counted stays when it ends: of a
 * sum that fell, Prometheus would take the rest for new.
 */
import { lasting, together } from './meter.ts'
import type { Snapshot } from './meter.ts'
import type { Report } from './report.ts'

export interface Group {
  /** A worker began. @param ask sends it the question with this id */
  join (worker: string, ask: (id: number) => void): void
  /** A worker answered a question. */
  answered (worker: string, id: number, report: Report): void
  /** A worker ended. */
  leave (worker: string): void
  /**
   * That of all together. A worker that does not answer in time counts as it was when it last did, and as not ready.
   */
  report (): Promise<Report>
}

interface Worker {
  readonly ask: (id: number) => void
  last: Snapshot | undefined
  readonly waiting: Map<number, (report: Report | undefined) => void>
}

/** How long a worker has to answer, in milliseconds. */
const PATIENCE = 1000

/** @param own the numbers of this process */
export function createGroup (own: () => Snapshot, patience = PATIENCE): Group {
  const workers = new Map<string, Worker>()
  let departed: Snapshot = {}
  let nextId = 0
  let asking: Promise<Report> | undefined

  function ask (worker: Worker): Promise<Report | undefined> {
    const id = nextId++
    return new Promise(resolve => {
      const timer = setTimeout(() => {
        // Its numbers stay as they were, but it cannot work.
        worker.last = worker.last && {
          ...worker.last, ready: worker.last.ready?.map(([labels]) => [labels, [0]]) ?? []
        }
        settle(undefined)
      }, patience)
      function settle (report: Report | undefined): void {
        clearTimeout(timer)
        worker.waiting.delete(id)
        resolve(report)
      }
      worker.waiting.set(id, settle)
      worker.ask(id)
    })
  }

  async function askAll (): Promise<Report> {
    const asked = [...workers]
    const reports = await Promise.all(asked.map(async ([name, worker]) => ({ name, report: await ask(worker) })))
    const isReady = reports.some(({ report }) => report?.reasons.length === 0)
    const reasons = reports.flatMap(({ name, report }) => report?.reasons ?? [`worker ${name}: does not answer`])
    return {
      snapshot: together([own(), departed, ...[...workers.values()].flatMap(({ last }) => last ?? [])]),
      reasons: isReady ? [] : reasons.length === 0 ? ['no worker serves'] : [...new Set(reasons)]
    }
  }

  return {
    join (worker, ask) { workers.set(worker, { ask, last: undefined, waiting: new Map() }) },
    answered (name, id, report) {
      const worker = workers.get(name)
      if (worker === undefined) return
      worker.last = report.snapshot
      worker.waiting.get(id)?.(report)
    },
    leave (name) {
      const worker = workers.get(name)
      if (worker === undefined) return
      workers.delete(name)
      if (worker.last !== undefined) departed = together([departed, lasting(worker.last)])
      for (const settle of worker.waiting.values()) settle(undefined)
    },
    report () {
      asking ??= askAll().finally(() => { asking = undefined })
      return asking
    }
  }
}
