/** Gives processes a share of the CPU, by control groups of Linux, version 1 or 2; for root. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'

/** Microseconds. Short, so that no process waits for long. */
const PERIOD = 10_000

export interface CpuShare {
  /** Once its processes have ended. */
  remove (): void
}

/**
 * The process, those that it started, and all of their threads get as much together as `cores` of the machine's cores.
 */
export function shareCpu (name: string, pid: number | undefined, cores: number): CpuShare {
  const version1 = existsSync('/sys/fs/cgroup/cpu/cpu.cfs_quota_us')
  const group = `/sys/fs/cgroup/${version1 ? 'cpu/' : ''}polaris-bench-${process.pid}-${name}`
  const quota = String(Math.round(PERIOD * cores))
  mkdirSync(group)
  if (version1) {
    writeFileSync(`${group}/cpu.cfs_period_us`, String(PERIOD))
    writeFileSync(`${group}/cpu.cfs_quota_us`, quota)
  } else {
    writeFileSync(`${group}/cpu.max`, `${quota} ${PERIOD}`)
  }
  for (const member of withChildren(pid)) writeFileSync(`${group}/cgroup.procs`, String(member))
  return { remove: () => rmdirSync(group) }
}

function withChildren (pid: number | undefined): number[] {
  if (pid === undefined) return []
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean)
  return [pid, ...children.flatMap(child => withChildren(Number(child)))]
}
