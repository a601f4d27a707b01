/**
 * The workload: a model that repeats what it is told, word by word. Plain HTTP, and not a word about encryption in it.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { setTimeout as wait } from 'node:timers/promises'

export interface Workload {
  readonly url: string
  /** Prompts that reached it. */
  readonly prompts: string[]
  close (): Promise<void>
}

/** @param pace how long it takes from one word to the next */
export async function startWorkload (pace: () => Promise<unknown> = () => wait(80)): Promise<Workload> {
  const prompts: string[] = []
  const server = createServer(async (request, response) => {
    if (request.method !== 'POST' || request.url !== '/chat') return response.writeHead(404).end()
    const message = await json(request).catch(() => undefined) as { prompt?: unknown } | null | undefined
    const prompt = message?.prompt
    if (typeof prompt !== 'string') return response.writeHead(400).end()
    prompts.push(prompt)
    response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' })
    for (const word of `You said: ${prompt}`.split(/(?<= )/)) {
      response.write(word)
      await pace()
    }
    response.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    prompts,
    async close () {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    }
  }
}
