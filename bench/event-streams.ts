/** Listens to streams of the events of events-workload.ts through a server, and measures what they cost. */
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { timesIn } from './event.ts'
import { CHUNKED_HEADERS, GATEWAY, createOhttpSender } from './ohttp-request.ts'

export interface EventsRound {
  /** CPU of an event, in microseconds. */
  readonly cpu: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
}

/** Called with the times of the events as they arrive; resolves when the stream has ended. */
export type Listen = (target: string, arrived: (times: readonly bigint[]) => void) => Promise<void>

/** What is known of a server that is measured. */
export interface MeasuredServer {
  reset (): Promise<void>
  read (): Promise<{ readonly cpu: number }>
}

/** @param interval milliseconds between two events of a stream */
export async function measureEvents (
  server: MeasuredServer, listen: Listen, streams: number, count: number, interval: number
): Promise<EventsRound> {
  const latencies: number[] = []
  await server.reset()
  await Promise.all(Array.from({ length: streams }, () => listen(`/events?count=${count}&interval=${interval}`, times => {
    const now = process.hrtime.bigint()
    for (const time of times) latencies.push(Number(now - time) / 1e6)
  })))
  const { cpu } = await server.read()
  if (latencies.length !== streams * count) throw new Error(`${latencies.length} of ${streams * count} events arrived`)
  latencies.sort((a, b) => a - b)
  const at = (part: number) => latencies[Math.floor(latencies.length * part)]!
  return { cpu: cpu / latencies.length, p50: at(0.5), p99: at(0.99) }
}

export function createListen (url: string): Listen {
  return async (target, arrived) => {
    const [response] = await once(httpRequest(url + target).end(), 'response') as [IncomingMessage]
    response.setEncoding('latin1').on('data', (text: string) => arrived(timesIn(text)))
    await once(response, 'end')
  }
}

/** The same over chunked OHTTP. */
export async function createListenSealed (url: string): Promise<Listen> {
  const { encapsulate } = await createOhttpSender(url, true)
  return async (target, arrived) => {
    const { message, createOpener } = encapsulate({ method: 'GET', path: target })
    const request = httpRequest(url + GATEWAY, { method: 'POST', headers: CHUNKED_HEADERS }).end(message)
    const [response] = await once(request, 'response') as [IncomingMessage]
    const open = createOpener()
    response.on('data', (bytes: Buffer) => {
      for (const plaintext of open(bytes)) arrived(timesIn(plaintext.toString('latin1')))
    })
    await once(response, 'end')
  }
}
