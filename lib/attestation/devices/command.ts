/**
 * Device evidence from a command: a child process without a shell, with an environment of two variables, in a process
 * group of its own. Whatever becomes of it, it is gone when the promise settles.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { constants } from 'node:os'
import { Readable } from 'node:stream'
import { RemoteError } from '../../remote/error.ts'
import { readBounded, TooLongError } from '../../remote/read-bounded.ts'
import { MAX_ANSWER_BYTES } from './read.ts'

const NAME = 'The command for device evidence'
const ADVICE = 'Run the command in POLARIS_CONTAINER_ATTESTATION_DEVICES by hand, in this container and as this ' +
  'user: it must print the evidence as JSON'

/** All that a command inherits: where programs are, and where the libraries of the driver are. */
const INHERITED = ['PATH', 'LD_LIBRARY_PATH'] as const

/**
 * What the command prints on standard output. Standard error is not read: it may hold anything.
 *
 * @throws {RemoteError}
 */
export async function commandOutput (
  file: string, args: readonly string[], timeoutMs: number, signal: AbortSignal
): Promise<string> {
  const environment = Object.fromEntries(
    INHERITED.flatMap(name => name in process.env ? [[name, process.env[name]]] : [])
  )
  const child = spawn(file, args, {
    cwd: '/', env: environment, shell: false, detached: true, stdio: ['ignore', 'pipe', 'ignore']
  })
  // Not there if this process has no descriptor left for it: then the child has an error.
  const stdout = (child.stdout as Readable | undefined) ?? Readable.from([])
  const deadline = AbortSignal.timeout(timeoutMs)
  const stop = AbortSignal.any([signal, deadline])
  const end = () => {
    killGroup(child)
    // What it started may have left its group and hold the pipe.
    stdout.destroy()
  }
  stop.addEventListener('abort', end, { once: true })
  if (stop.aborted) end()
  const printed = readBounded(stdout, MAX_ANSWER_BYTES)
  printed.catch(end)
  const [exit, output] = await Promise.allSettled([exitOf(child), printed])
  stop.removeEventListener('abort', end)
  end()
  if (exit.status === 'rejected') {
    throw failed('refused', codeOf(exit.reason), `cannot be run (${codeOf(exit.reason)})`, exit.reason)
  }
  if (deadline.aborted) throw failed('transient', 'TIMEOUT', 'did not end in time')
  if (signal.aborted) throw failed('transient', 'STOPPING', 'was ended: this proxy is stopping')
  if (output.status === 'rejected') {
    const { reason } = output
    throw reason instanceof TooLongError
      ? failed('refused', reason.code, 'printed too much', reason)
      : failed('transient', codeOf(reason), `cannot be read (${codeOf(reason)})`, reason)
  }
  if (exit.value !== 0) throw failed('refused', 'EXIT', `ended with ${describe(exit.value)}`)
  return output.value.toString('utf8')
}

/** Its exit status, or the name of the signal that ended it. @throws the error that kept it from starting */
function exitOf (child: ChildProcess): Promise<number | NodeJS.Signals | null> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (status, name) => resolve(status ?? name))
  })
}

function describe (exit: number | NodeJS.Signals | null): string {
  return typeof exit === 'number' ? `status ${exit}` : String(exit)
}

/** With everything that it started and that is still in its group. */
function killGroup ({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, constants.signals.SIGKILL)
  } catch (error) {
    // ESRCH: all of it has ended already. EPERM: what is left of it belongs to someone else.
    if (codeOf(error) !== 'ESRCH' && codeOf(error) !== 'EPERM') throw error
  }
}

function codeOf (error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
}

function failed (kind: 'refused' | 'transient', providerCode: string, what: string, cause?: unknown): RemoteError {
  return new RemoteError(kind, `${NAME} ${what}`, { cause, providerCode, advice: ADVICE })
}
