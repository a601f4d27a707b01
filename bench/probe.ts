/**
 * Preloaded into a server under measurement. Answers, over IPC, 'reset' by starting afresh and 'read' with what the
 * process used since: CPU in microseconds, the longest event-loop stall in milliseconds, peak memory in octets.
 */
import cluster from 'node:cluster'
import { readFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'

const delay = monitorEventLoopDelay({ resolution: 1 })
let since = process.cpuUsage()

process.on('message', (message) => {
  if (message === 'reset') {
    since = process.cpuUsage()
    delay.enable()
    delay.reset()
    process.send?.('ready')
  } else if (message === 'read') {
    const { user, system } = process.cpuUsage(since)
    const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'
    process.send?.({ cpu: user + system, stall: delay.max / 1e6, peakRss: Number(peak) * 1024 })
    delay.disable()
  }
})
// A worker of a server waits for its primary on that channel.
if (cluster.isPrimary) process.channel?.unref()

/** What 'read' answers. */
export interface Usage { cpu: number, stall: number, peakRss: number }
