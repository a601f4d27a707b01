/** What the process itself shows: event loop, memory, CPU, descriptors. */
import { readdirSync } from 'node:fs'
import { totalmem } from 'node:os'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { getHeapStatistics } from 'node:v8'
import type { Meter } from './meter.ts'

/** Delays are those of the last one to two of these. */
const WINDOW_MS = 10_000
const RESOLUTION_MS = 20
const NS = 1e9
const QUANTILES = [['0.5', 50], ['0.99', 99], ['1', 100]] as const

export interface ProcessMetrics {
  close (): void
}

/**
 * @param worker `primary`, or the number of the worker that this process is
 * @param timed whether the event loop is watched, too, which takes some CPU
 */
export function watchProcess (meter: Meter, worker: string, timed: boolean): ProcessMetrics {
  const delays = timed ? watchDelays() : undefined
  const limit = memoryLimit()

  meter.watch(put => {
    const { heap_size_limit: heapLimit, used_heap_size: heap } = getHeapStatistics()
    const { user, system } = process.cpuUsage()
    for (const [quantile, delay] of delays?.quantiles() ?? []) put('eventLoopDelay', [worker, quantile], delay)
    put('heap', [worker], heap)
    put('heapLimit', [worker], heapLimit)
    put('rss', [worker], process.memoryUsage.rss())
    put('cpu', [worker], (user + system) / 1e6)
    put('uptime', [worker], Math.round(process.uptime()))
    const descriptors = countDescriptors()
    if (descriptors !== undefined) put('descriptors', [worker], descriptors)
    put('memoryLimit', [], limit)
  })
  return { close () { delays?.close() } }
}

function watchDelays () {
  const start = () => {
    const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
    delay.enable()
    return delay
  }
  let older = start()
  let younger = start()
  const timer = setInterval(() => {
    older.disable()
    older = younger
    younger = start()
  }, WINDOW_MS).unref()
  return {
    /** In seconds. */
    quantiles: () => QUANTILES.map(([quantile, percentile]): [string, number] => {
      const ns = percentile === 100 ? older.max : older.percentile(percentile)
      // It measures the time between two of its own timers.
      return [quantile, Math.max(0, ns / NS - RESOLUTION_MS / 1000)]
    }),
    close () {
      clearInterval(timer)
      older.disable()
      younger.disable()
    }
  }
}

/** Of the control group, or that of the machine. */
function memoryLimit (): number {
  const constrained = process.constrainedMemory()
  return constrained > 0 && constrained < totalmem() ? constrained : totalmem()
}

function countDescriptors (): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    // Not on Linux: then nothing counts them.
    return undefined
  }
}
