/** The sample workload: a clinic's records. Plain HTTP, and not a word about encryption in it. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

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
