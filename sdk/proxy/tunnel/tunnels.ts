/** Connections that programs have through this proxy: how many, for how long, and how they ended. */
import type { Socket } from 'node:net'
import type { Application } from '../../tls/connection.ts'
import { LocalProblem } from '../exchange/problems.ts'
import type { ProblemOf } from '../exchange/problems.ts'
import type { Log } from '../log.ts'

/** Each is a connection to the proxy, too. */
const MAX_TUNNELS = 1024
/** What a tunnel has to end in, once this proxy stops. */
const STOP_MS = 10_000

/** A connection to the proxy whose key is proven. */
export type Connect = (application: Application) => Promise<Socket>

export interface TunnelsOptions {
  /** Or why there can be none. */
  readonly connect: Connect | string
  readonly problemOf: ProblemOf
  readonly log: Log
}

/** How a program's connection is served. */
export interface TunnelService {
  readonly application: Application
  /** Resolves with the outcome, for the log. @throws what `problemOf` knows */
  serve (connect: () => Promise<Socket>): Promise<string>
  /** Tells the program, if it can be told. */
  refuse (problem: LocalProblem): void
}

export interface Tunnels {
  run (client: Socket, service: TunnelService): Promise<void>
  /** Gives those that are open a moment. */
  stop (): void
}

export function createTunnels ({ connect, problemOf, log }: TunnelsOptions): Tunnels {
  const open = new Set<Socket>()

  async function connectFor (client: Socket, application: Application): Promise<Socket> {
    if (typeof connect === 'string') throw new LocalProblem('no-tls', connect)
    if (open.size >= MAX_TUNNELS) {
      throw new LocalProblem('overloaded', `${MAX_TUNNELS} connections are open already. Close some`)
    }
    open.add(client)
    client.once('close', () => open.delete(client))
    return connect(application)
  }

  return {
    async run (client, { application, serve, refuse }) {
      const begin = performance.now()
      let outcome: string
      client.on('error', () => client.destroy())
      try {
        outcome = await serve(() => connectFor(client, application))
      } catch (error) {
        const problem = problemOf(error) ?? new LocalProblem('internal', 'This is a bug: please report it')
        outcome = client.destroyed ? 'aborted' : problem.code
        refuse(problem)
      }
      log.tunnel({
        protocol: application === 'h2' ? 'h2' : 'websocket',
        received: client.bytesRead,
        sent: client.bytesWritten,
        outcome,
        milliseconds: performance.now() - begin
      })
    },
    stop () {
      setTimeout(() => { for (const client of open) client.destroy() }, STOP_MS).unref()
    }
  }
}
