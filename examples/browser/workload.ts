/** The workload: greets, counts, and takes uploads. Plain HTTP, and not a word about encryption or CORS in it. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer, text } from 'node:stream/consumers'
import { setTimeout as wait } from 'node:timers/promises'

export interface Workload {
  readonly url: string
  close (): Promise<void>
}

/** @param pace how long it takes to count from one number to the next */
export async function startWorkload (pace: () => Promise<unknown> = () => wait(200)): Promise<Workload> {
  const server = createServer(async (request, response) => {
    const { url, headers } = request
    if (url === '/count') {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      for (let i = 1; i <= 10; i++) {
        response.write(`data: ${i}\n\n`)
        await pace()
      }
      return response.end()
    }
    if (url === '/upload') {
      const body = await buffer(request)
      const form = await new Response(body, { headers: { 'content-type': headers['content-type'] ?? '' } }).formData()
      const file = form.get('file') as File
      return response.end(
        `${file.name} has ${file.size} octets; content-length was ${headers['content-length']} for ${body.length}`
      )
    }
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ received: await text(request), authorization: headers.authorization }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close () {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    }
  }
}
