/** Starts servers as processes of their own, and reads what they used. */
import { execFileSync, fork, spawn } from 'node:child_process'
import type { ChildProcess, ForkOptions, SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
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

/** A server of its own, relative to a checkout. */
export const PROXY = 'server.ts'
const HERE = new URL('../', import.meta.url)

/**
 * Which of the cores that this process may use: `one`, the last, of everything whose CPU is compared; `others`, where
 * there are any, for the load and the workload; or `all`.
 */
export type Cores = 'one' | 'others' | 'all'
const ALLOWED = coresOf(/^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0')
const LISTS: Record<Cores, string> = {
  one: String(ALLOWED.at(-1)),
  others: (ALLOWED.length > 1 ? ALLOWED.slice(0, -1) : ALLOWED).join(),
  all: ALLOWED.join()
}

/** @param list such as `0-2,5` */
function coresOf (list: string): number[] {
  return list.split(',').flatMap(range => {
    const [first = 0, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, i) => first + i)
  })
}

/** Keeps this process, which makes the load, off the core of what is measured. */
export function leaveTheCore (): void {
  execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', LISTS.others, String(process.pid)])
}

/** As fork, but the child and all of its threads stay on those cores (taskset is part of util-linux). */
export function forkOn (cores: Cores, file: URL, { execArgv = [], ...options }: ForkOptions = {}): ChildProcess {
  return fork(
    file, { ...options, execPath: 'taskset', execArgv: ['--cpu-list', LISTS[cores], process.execPath, ...execArgv] }
  )
}

/** As spawn, likewise. */
export function spawnOn (cores: Cores, command: readonly string[], options: SpawnOptions): ChildProcess {
  return spawn('taskset', ['--cpu-list', LISTS[cores], ...command], options)
}

/** The flags that `npm start` gives the proxy. */
export function startFlags (checkout = HERE): string[] {
  const { scripts } = JSON.parse(
    readFileSync(new URL('package.json', checkout), 'utf8')
  ) as { scripts: { start: string } }
  return scripts.start.split(' ').slice(1, -1)
}

export interface ServerOptions {
  /** Flags of Node. Default: those of `npm start` for the proxy, none for others. */
  readonly flags?: readonly string[]
  /** The directory of another checkout, ending with a slash. Default: this one. */
  readonly checkout?: URL
}

/** Starts a file of the checkout with PORT and `env`, and waits until `path` answers 200. */
export async function startServer (
  file: string, path: string, env: Record<string, string>, cores: Cores,
  { checkout = HERE, flags = file === PROXY ? startFlags(checkout) : [] }: ServerOptions = {}
): Promise<Server> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const child = forkOn(cores, new URL(file, checkout), {
    execArgv: [...flags, '--import', new URL('probe.ts', import.meta.url).href],
    env: { ...process.env, POLARIS_CONTAINER_LOG_LEVEL: 'warn', HOST: '127.0.0.1', ...env, PORT: String(port) },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc']
  })
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
      if (child.exitCode !== null || child.signalCode !== null) return
      const exit = once(child, 'exit')
      child.kill('SIGTERM')
      await exit
    }
  }
}

/** A tick of the clock that Linux counts CPU by, in microseconds. */
const TICK = 10_000

/** Microseconds of CPU that a process and its children have used; proc_pid_stat(5). */
export function cpuOf (pid: number | undefined): number {
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

/** Whether a server listens at a port of this machine. */
export async function accepts (port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') return false
    throw error
  } finally {
    socket.destroy()
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
