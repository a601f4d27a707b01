/** The sample workload: a clinic's records. Plain HTTP, and not a word about encryption in it. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as wait } from 'node:timers/promises'

/** A request as the workload received it. */
export interface Received {
  readonly method: string
  readonly target: string
  readonly authorization: string | undefined
  readonly body: string
}

export interface Workload {
  readonly url: string
  /** The requests since the last call. */
  take (): Received[]
  close (): Promise<void>
}

/** What the workload answers: as secret as what it was asked. */
export const ADVICE = 'two weeks of poetry'

export async function startWorkload (onRequest: (received: Received) => void = () => {}): Promise<Workload> {
  let requests: Received[] = []
  const server = createServer(async (request, response) => {
    const { method = '', url: target = '', headers: { authorization } } = request
    const received = { method, target, authorization, body: await text(request) }
    requests.push(received)
    onRequest(received)
    if (target === '/vitals') return sendVitals(response)
    response.writeHead(201, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ stored: true, advice: ADVICE }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    take () {
      const taken = requests
      requests = []
      return taken
    },
    async close () {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    }
  }
}

/** A pulse at a time. */
async function sendVitals (response: ServerResponse): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  for (const pulse of [61, 62, 63]) {
    response.write(`data: pulse ${pulse}\n\n`)
    await wait(100)
  }
  response.end()
}
