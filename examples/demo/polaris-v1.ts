/** Chapter: the legacy protocol, Polaris v1, with axios and the SDK's interceptors. */
import axios from 'axios'
import {
  EphemeralKeyHandler, PolarisSDK, createAxiosRequestInterceptor, createAxiosResponseInterceptor
} from '../../sdk/index.ts'
import type { Stage } from './stage.ts'
import { wireExcerpt } from './story.ts'
import type { Story } from './story.ts'
import { occursIn } from './wire.ts'
import { ADVICE } from './workload.ts'

const TARGET = '/records?patient=4711'
const TOKEN = 'Bearer demo-token-of-dr-lovelace'
const RECORD = { name: 'Charles Babbage', diagnosis: 'a broken difference engine' }

/** Whatever of these an observer finds was not protected. */
const SECRETS = ['/records', 'patient=4711', TOKEN, RECORD.name, RECORD.diagnosis, ADVICE]

export async function polarisV1 ({ workload, wire }: Stage, story: Story): Promise<void> {
  story.chapter('Polaris v1: the protocol of existing clients')

  // These four lines are all that an application changes.
  const polarisSDK = new PolarisSDK(new EphemeralKeyHandler())
  const client = axios.create({ baseURL: wire.url, timeout: 60_000 })
  client.interceptors.request.use(createAxiosRequestInterceptor({ polarisSDK }))
  client.interceptors.response.use(createAxiosResponseInterceptor({ polarisSDK }))

  story.part('What the client sent')
  story.quote([`POST ${TARGET}`, `authorization: ${TOKEN}`, '', JSON.stringify(RECORD)])
  const response = await client.post(TARGET, RECORD, { headers: { authorization: TOKEN } })

  story.part('What an observer on the wire sees')
  const observed = wire.take()
  const request = lastRequest(observed.fromClient)
  story.say('The request:')
  story.quote(wireExcerpt(request))
  story.say('The response:')
  story.quote(wireExcerpt(observed.fromProxy.subarray(observed.fromProxy.lastIndexOf('HTTP/1.1 '))))
  const found = SECRETS.filter(secret => occursIn(secret, observed))
  story.check('No path, query, token, name, diagnosis or advice is in it, nor in any base64 in it', found.length === 0)
  story.say('What v1 does not hide: method, lengths, times, and the status and headers of the response.')

  story.part('What the workload received')
  const [received] = workload.take()
  story.quote(
    [`${received?.method} ${received?.target}`, `authorization: ${received?.authorization}`, '', received?.body ?? '']
  )
  story.check('Method, path and query are the client\'s', received?.method === 'POST' && received.target === TARGET)
  story.check('The authorization header is the client\'s', received?.authorization === TOKEN)
  story.check('The body is the client\'s', received?.body === JSON.stringify(RECORD))

  story.part('What the client got back')
  story.quote([String(response.status), JSON.stringify(response.data)])
  story.check('Status and body are the workload\'s', response.status === 201 && response.data.advice === ADVICE)

  story.part('For comparison: the same request without encryption')
  const refused = await fetch(wire.url + TARGET, {
    method: 'POST',
    headers: { authorization: TOKEN, 'content-type': 'application/json', connection: 'close' },
    body: JSON.stringify(RECORD)
  })
  const { title } = await refused.json() as { title: string }
  const inClear = wire.take()
  story.quote([`${refused.status} ${title}`])
  story.check('An observer reads it', SECRETS.slice(0, -1).every(secret => occursIn(secret, inClear)))
  story.check(
    'The proxy refuses it, and the workload never sees it', refused.status === 400 && workload.take().length === 0
  )
}

/** Before its first request the client fetched the proxy's public key, which is no secret. */
function lastRequest (octets: Buffer): Buffer {
  return octets.subarray(Math.max(0, octets.lastIndexOf('POST / HTTP/1.1')))
}
