/**
 * Preloaded into a server under measurement. Answers, over IPC, 'reset' by starting afresh and 'read' with the longest
 * event-loop stall since, in milliseconds, and the peak of its memory, in octets.
 */
import cluster from 'node:cluster'
import { readFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'

const delay = monitorEventLoopDelay({ resolution: 1 })

process.on('message', message => {
  if (message === 'reset') {
    delay.enable()
    delay.reset()
    process.send?.('ready')
  } else if (message === 'read') {
    const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'
    process.send?.({ stall: delay.max / 1e6, peakRss: Number(peak) * 1024 })
    delay.disable()
  }
})
// A worker of a server waits for its primary on that channel.
if (cluster.isPrimary) process.channel?.unref()

/** What 'read' answers. */
export interface ProcessUsage { stall: number, peakRss: number }
