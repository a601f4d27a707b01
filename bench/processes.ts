/** Starts servers as processes of their own, and reads what they used. */
import { fork } from 'node:child_process'
import type { ChildProcess, ForkOptions } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import type { ProcessUsage } from './probe.ts'

export interface Usage extends ProcessUsage {
  /** Microseconds since 'reset', of the process and of those that it started. */
  readonly cpu: number
}

export interface Server {
  readonly url: string
  readonly process: ChildProcess
  reset (): Promise<void>
  read (): Promise<Usage>
  stop (): Promise<void>
}

/** The core of everything whose CPU is compared: the last one that this process may use. */
const CORE = /^Cpus_allowed_list:.*?(\d+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'

/** As a server of its own, the proxy, and the flags that `npm start` gives it. */
export const PROXY = '../server.ts'
const { scripts } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { scripts: { start: string } }
const FLAGS = scripts.start.split(' ').slice(1, -1)

/** As fork, but the child and all of its threads stay on one core (taskset is part of util-linux). */
export function forkOnOneCore (file: string, { execArgv = [], ...options }: ForkOptions = {}): ChildProcess {
  return fork(new URL(file, import.meta.url), {
    ...options, execPath: 'taskset', execArgv: ['--cpu-list', CORE, process.execPath, ...execArgv]
  })
}

/** Starts `file` with PORT and `env`, on one core or all of them, and waits until `path` answers 200. */
export async function startServer (file: string, path: string, env: Record<string, string>, cores: 'one' | 'all'): Promise<Server> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const options: ForkOptions = {
    execArgv: [...file === PROXY ? FLAGS : [], '--import', new URL('probe.ts', import.meta.url).href],
    env: { ...process.env, POLARIS_CONTAINER_LOG_LEVEL: 'warn', HOST: '127.0.0.1', ...env, PORT: String(port) },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc']
  }
  const child = cores === 'one' ? forkOnOneCore(file, options) : fork(new URL(file, import.meta.url), options)
  const ask = async (message: string): Promise<unknown> => {
    const answer = once(child, 'message')
    child.send(message)
    return (await answer)[0]
  }
  for (let attempt = 0; !await answers(url + path); attempt++) {
    if (child.exitCode !== null || attempt === 200) throw new Error(`${file} did not start`)
    await setTimeout(50)
  }
  let before = 0
  return {
    url,
    process: child,
    async reset () {
      await ask('reset')
      before = cpuOf(child.pid)
    },
    async read () {
      const cpu = cpuOf(child.pid) - before
      return { cpu, ...await ask('read') as ProcessUsage }
    },
    async stop () {
      if (child.exitCode !== null) return
      const exit = once(child, 'exit')
      child.kill('SIGTERM')
      await exit
    }
  }
}

/** A tick of the clock that Linux counts CPU by, in microseconds. */
const TICK = 10_000

/** Microseconds of CPU that a process and its children have used; proc_pid_stat(5). */
function cpuOf (pid: number | undefined): number {
  // The name, the only field that may hold spaces, is in brackets.
  const [utime, stime] = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)!.split(' ').slice(11, 13)
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean)
  return children.reduce((sum, child) => sum + cpuOf(Number(child)), (Number(utime) + Number(stime)) * TICK)
}

/** Whether a GET of the URL is answered with success. */
export async function answers (url: string): Promise<boolean> {
  try {
    const response = await fetch(url)
    await response.arrayBuffer()
    return response.ok
  } catch (error) {
    if (error instanceof TypeError) return false
    throw error
  }
}

export async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
