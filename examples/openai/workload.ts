/**
 * The workload: a server with the interface of OpenAI's API, as inference servers have it. Its model says back, word by
 * word, what it was told. Plain HTTP, and not a word about encryption in it.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { setTimeout as wait } from 'node:timers/promises'

export interface Workload {
  readonly url: string
  close (): Promise<void>
}

export const MODEL = 'parrot-1'
export const API_KEY = 'sk-only-the-workload-sees-this'

interface ChatRequest {
  readonly model: string
  readonly stream?: boolean
  readonly messages: readonly { readonly role: string, readonly content: string }[]
}

/** @param pace how long the model thinks before each word */
export async function startWorkload (pace: () => Promise<unknown> = () => wait(20)): Promise<Workload> {
  const server = createServer((request, response) => {
    answer(request, response, pace).catch(() => response.destroy())
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

async function answer (
  request: IncomingMessage, response: ServerResponse, pace: () => Promise<unknown>
): Promise<void> {
  const { method, url, headers } = request
  if (headers.authorization !== `Bearer ${API_KEY}`) return refuse(response, 401, 'The API key is wrong')
  if (method === 'GET' && url === '/v1/models') {
    return send(response, { object: 'list', data: [{ id: MODEL, object: 'model', created: 0, owned_by: 'you' }] })
  }
  if (method === 'POST' && url === '/v1/files') return send(response, await receiveFile(request))
  if (method !== 'POST' || url !== '/v1/chat/completions') return refuse(response, 404, 'There is no such resource')

  const { model, stream, messages } = await json(request) as ChatRequest
  if (model !== MODEL) return refuse(response, 404, 'There is no such model')
  const words = (messages.at(-1)?.content ?? '').split(/(?<= )/)
  const common = { id: 'chatcmpl-1', created: Math.floor(Date.now() / 1000), model }
  if (stream !== true) {
    const message = { role: 'assistant', content: words.join('') }
    return send(
      response, { ...common, object: 'chat.completion', choices: [{ index: 0, message, finish_reason: 'stop' }] }
    )
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  const event = (delta: object, reason: string | null) => response.write(`data: ${JSON.stringify(
    { ...common, object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: reason }] }
  )}\n\n`)
  event({ role: 'assistant', content: '' }, null)
  for (const content of words) {
    await pace()
    event({ content }, null)
  }
  event({}, 'stop')
  response.end('data: [DONE]\n\n')
}

/** Counts what arrives, and keeps none of it. */
async function receiveFile (request: IncomingMessage): Promise<object> {
  let bytes = 0
  for await (const piece of request) bytes += (piece as Buffer).length
  return {
    id: 'file-1', object: 'file', bytes, filename: 'upload', purpose: 'assistants', created_at: 0, status: 'processed'
  }
}

function send (response: ServerResponse, value: object): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}

function refuse (response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(
    JSON.stringify({ error: { message, type: 'invalid_request_error' } })
  )
}
