/**
 * What happens while it runs, on standard error: a line for each exchange and for each change of the keys' state. Never
 * a path, a header or anything of a body.
 */
import { AttestationError } from '../attestation/attest-keys.ts'
import type { Verdict } from '../attestation/checks.ts'

export const LOG_FORMATS = ['json', 'text', 'off'] as const

/** One request and how it ended. */
export interface Ending {
  readonly method: string
  /** Of the answer; undefined if there was none. */
  readonly status: number | undefined
  /** Bytes of the request's and the answer's body. */
  readonly received: number
  readonly sent: number
  /**
   * `complete`; `aborted` by the client; `incomplete`: the answer broke off; or the code of a problem of this proxy.
   */
  readonly outcome: string
  readonly milliseconds: number
}

/** A connection that was tunnelled, and how it ended: as an exchange does. */
export interface TunnelEnding extends Omit<Ending, 'method' | 'status'> {
  readonly protocol: 'websocket' | 'h2'
}

export interface Log {
  exchange (ending: Ending): void
  tunnel (ending: TunnelEnding): void
  /** Keys were proven that were not before; without a verdict, they were taken as they are. */
  keys (
    proven: { readonly verdict: Verdict | undefined, readonly keysHash: string, readonly postQuantum: boolean }
  ): void
  /** The keys could not be proven again. */
  unproven (error: unknown): void
  /** Something else that the user should know. */
  warn (message: string): void
}

type Level = 'info' | 'warn' | 'error'

export function createLog (format: typeof LOG_FORMATS[number], write: (line: string) => void): Log {
  function say (
    level: Level, message: string, members: Readonly<Record<string, string | number | boolean | undefined>> = {}
  ): void {
    const time = new Date().toISOString()
    if (format === 'json') return write(JSON.stringify({ time, level, message, ...members }) + '\n')
    const said =
      Object.entries(members).filter(([, value]) => value !== undefined).map(([name, value]) => `${name}=${value}`)
    if (format === 'text') write([time, level, message, ...said].join(' ') + '\n')
  }

  return {
    exchange ({ method, status, received, sent, outcome, milliseconds }) {
      say(
        outcome === 'complete' ? 'info' : 'warn', 'exchange',
        { method, status, received, sent, outcome, milliseconds: Math.round(milliseconds) }
      )
    },
    tunnel ({ protocol, received, sent, outcome, milliseconds }) {
      say(
        outcome === 'complete' ? 'info' : 'warn', 'tunnel',
        { protocol, received, sent, outcome, milliseconds: Math.round(milliseconds) }
      )
    },
    keys ({ verdict, keysHash, postQuantum }) {
      say(
        'info', verdict === undefined ? 'keys taken without proof' : 'keys proven',
        { tee: verdict?.tee, keys: `sha256:${keysHash}`, postQuantum }
      )
    },
    unproven (error) {
      say('error', 'keys not proven; nothing is sent', error instanceof AttestationError
        ? {
            failed: error.verdict.checks.filter(({ outcome }) => outcome === 'failed').map(({ name }) => name).join(',')
          }
        : { error: error instanceof Error ? error.message : 'unknown error' })
    },
    warn: message => say('warn', message)
  }
}
