/** Chapter: Oblivious HTTP, with the SDK's fetch. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { createPolarisFetch } from '../../sdk/index.ts'
import type { Stage } from './stage.ts'
import { wireExcerpt } from './story.ts'
import type { Story } from './story.ts'
import { occursIn } from './wire.ts'
import { ADVICE } from './workload.ts'

const TARGET = '/records?patient=4711'
const TOKEN = 'Bearer demo-token-of-dr-lovelace'
const RECORD = JSON.stringify({ name: 'Charles Babbage', diagnosis: 'a broken difference engine' })

/** Whatever of these an observer finds was not protected. */
const SECRETS = [
  '/records', 'patient=4711', TOKEN, 'Charles Babbage', 'a broken difference engine', ADVICE, 'pulse', '/vitals'
]

export async function ohttp ({ workload, wire }: Stage, story: Story): Promise<void> {
  story.chapter('Oblivious HTTP: nothing in clear, and streams')

  // This line is all that an application changes.
  const fetch = createPolarisFetch({ baseURL: wire.url })

  story.part('What the client sent')
  story.quote([`POST ${TARGET}`, `authorization: ${TOKEN}`, '', RECORD])
  const response = await fetch(
    TARGET, { method: 'POST', headers: { authorization: TOKEN, 'content-type': 'application/json' }, body: RECORD }
  )
  const answer = await response.json() as { advice?: string }

  story.part('What an observer on the wire sees')
  const observed = wire.take()
  const request = observed.fromClient.subarray(Math.max(0, observed.fromClient.indexOf('POST ')))
  story.say('The request:')
  story.quote(wireExcerpt(request))
  story.say('The response:')
  story.quote(wireExcerpt(observed.fromProxy.subarray(observed.fromProxy.lastIndexOf('HTTP/1.1 '))))
  story.check(
    'No path, query, token, name, diagnosis or advice is in it', SECRETS.every(secret => !occursIn(secret, observed))
  )
  story.say('Method and status are inside, too. What it does not hide: lengths and times.')

  story.part('What the workload received')
  const [received] = workload.take()
  story.quote(
    [`${received?.method} ${received?.target}`, `authorization: ${received?.authorization}`, '', received?.body ?? '']
  )
  story.check('Method, path, query, token and body are the client\'s', received?.method === 'POST' &&
    received.target === TARGET && received.authorization === TOKEN && received.body === RECORD)

  story.part('What the client got back')
  story.quote([String(response.status), JSON.stringify(answer)])
  story.check('Status and body are the workload\'s', response.status === 201 && answer.advice === ADVICE)

  story.part('A stream')
  const pieces: string[] = []
  for await (const piece of (await fetch('/vitals')).body ?? []) pieces.push(Buffer.from(piece).toString().trim())
  story.quote(pieces)
  story.check(
    'It arrives piece by piece, as the workload sends it',
    pieces.length > 1 && pieces.at(-1)?.endsWith('data: pulse 63') === true
  )
  const streamed = wire.take()
  story.check('An observer finds none of it', SECRETS.every(secret => !occursIn(secret, streamed)))
  workload.take()

  story.part('Somebody on the way sends the first request again')
  const status = await resend(wire.url, request)
  story.quote([status])
  story.check(
    'The proxy refuses it, and the workload never sees it', status.includes(' 400 ') && workload.take().length === 0
  )
}

/** @returns the first line of what the proxy answers to the same octets */
async function resend (url: string, octets: Buffer): Promise<string> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.write(octets)
  const [answer] = await once(socket, 'data')
  socket.destroy()
  return String(answer).split('\r\n', 1)[0] ?? ''
}
