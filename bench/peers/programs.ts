/** The programs that the proxy is compared with, built from this folder; and the proxy and the floor beside them. */
import { spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { MeasuredServer } from '../event-streams.ts'
import { accepts, answers, cpuOf, freePort, spawnOn, startFlags } from '../processes.ts'

const HERE = import.meta.dirname
const BUILT = join(HERE, '../../node_modules/.cache/polaris-bench-peers')
const POLL_MS = 1

export interface Program {
  readonly command: (listen: string, workload: string) => readonly string[]
  readonly env?: (listen: string, workload: string) => Readonly<Record<string, string>>
  /** What answers 200 once it is ready, if that is later than it listens. */
  readonly readyz?: string
}

export interface Running extends MeasuredServer {
  readonly url: string
  /** Milliseconds from the start of the process until it accepted a connection. */
  readonly listening: number
  stop (): Promise<void>
}

/** Of one run: the files that nginx wants. */
const folder = mkdtempSync(join(tmpdir(), 'polaris-bench-peers-'))
const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

const environment = (listen: string, workload: string): Record<string, string> => ({
  HOST: '127.0.0.1',
  PORT: new URL(`http://${listen}`).port,
  POLARIS_CONTAINER_LOG_LEVEL: 'warn',
  POLARIS_CONTAINER_WORKLOAD_BASE_URL: workload
})

/** With the flags of `npm start`, both. */
export const floor = node('../floor.ts')
export const proxy: Program = { ...node('../../server.ts'), readyz: '/polaris-container/readyz' }

function node (file: string): Program {
  const path = fileURLToPath(new URL(file, import.meta.url))
  return { command: () => [process.execPath, ...startFlags(), path], env: environment }
}

/** A program, or the sentence that says why it is left out. */
export type Built = Program | string

/** Where a certificate and its key are, PEM. */
export interface CertificateFiles {
  readonly cert: string
  readonly key: string
}

/** Debian's package or any other. With a certificate it speaks TLS. */
export function nginx (files?: CertificateFiles): Built {
  if (spawnSync('nginx', ['-v']).status !== 0) return 'nginx is not installed.'
  return {
    command: (listen, workload) => {
      const conf = join(folder, `nginx-${listen.split(':')[1]}.conf`)
      const tls = files && ` ssl; ssl_protocols TLSv1.3; ssl_certificate ${files.cert}; ssl_certificate_key ${files.key}`
      const values: Record<string, string> = { folder, listen: listen + (tls ?? ''), workload: new URL(workload).host }
      writeFileSync(conf, readFileSync(join(HERE, 'nginx.conf'), 'utf8').replace(
        /\{(\w+)\}/g, (_, name: string) => values[name] ?? ''
      ))
      return ['nginx', '-p', folder, '-c', conf, '-e', 'stderr']
    }
  }
}

/** @param name a folder of go/; the library has crypto/hpke since Go 1.26 */
export function go (name: 'reverse' | 'gateway'): Built {
  const path = join(BUILT, `go-${name}`)
  return build('go', ['-C', join(HERE, 'go'), 'build', '-trimpath', '-o', path, `./${name}`]) ??
    { command: (listen, workload) => [path, listen, workload] }
}

export function rust (): Built {
  const target = join(BUILT, 'rust')
  const args = ['build', '--quiet', '--release', '--locked', '--manifest-path', join(HERE, 'rust/Cargo.toml')]
  return build('cargo', [...args, '--target-dir', target]) ??
    { command: (listen, workload) => [join(target, 'release/polaris-bench-gateway'), listen, workload] }
}

/** Why there is no program, or undefined. */
function build (tool: string, args: readonly string[]): string | undefined {
  mkdirSync(BUILT, { recursive: true })
  const env = { ...process.env, CGO_ENABLED: '0' }
  const { error, status } = spawnSync(tool, args, { stdio: ['ignore', 'ignore', 'inherit'], env })
  if (error !== undefined) return `${tool} is not installed.`
  return status === 0 ? undefined : `${tool} could not build it: see above. Go 1.26 and Rust 1.86 are needed.`
}

/** Starts a program on the core of what is measured, and waits until it is ready. */
export async function start ({ command, env, readyz }: Program, workload: string): Promise<Running> {
  const port = await freePort()
  const listen = `127.0.0.1:${port}`
  const url = `http://${listen}`
  const commandLine = command(listen, workload)
  const begin = performance.now()
  const child = spawnOn('one', commandLine, {
    env: { ...process.env, ...env?.(listen, workload) }, stdio: ['ignore', 'ignore', 'inherit']
  })
  running.add(child)
  const exit = once(child, 'exit')
  const until = async (ready: () => Promise<boolean>): Promise<void> => {
    while (!await ready()) {
      if (child.exitCode !== null) throw new Error(`${commandLine[0]} did not start`)
      await setTimeout(POLL_MS)
    }
  }
  await until(() => accepts(port))
  const listening = performance.now() - begin
  if (readyz !== undefined) await until(() => answers(url + readyz))
  let before = 0
  return {
    url,
    listening,
    async reset () { before = cpuOf(child.pid) },
    async read () { return { cpu: cpuOf(child.pid) - before } },
    async stop () {
      child.kill('SIGKILL')
      await exit
      running.delete(child)
    }
  }
}
