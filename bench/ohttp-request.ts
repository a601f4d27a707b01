/** OHTTP requests, made beforehand; each is unique, as a replayed one would be refused. */
import { encodeRequest } from '../lib/protocols/bhttp/writer.ts'
import { KEYS_MEDIA_TYPE, decodeKeyConfigs } from '../lib/protocols/ohttp/key-config.ts'
import { selectKey } from '../sdk/ohttp/hpke-sender.ts'
import { encapsulateRequest, startChunkedExchange } from '../sdk/ohttp/client.ts'
import { CHUNKED_REQUEST_MEDIA_TYPE, REQUEST_MEDIA_TYPE } from '../lib/protocols/ohttp/ohttp.ts'
import { prepareRequest } from './load.ts'
import type { PreparedRequest } from './load.ts'

export async function prepareOhttp (
  proxyUrl: string, body: Uint8Array, count: number, chunked: boolean
): Promise<PreparedRequest[]> {
  const response = await fetch(`${proxyUrl}/.well-known/ohttp-gateway`, { headers: { accept: KEYS_MEDIA_TYPE } })
  const key = await selectKey(decodeKeyConfigs(new Uint8Array(await response.arrayBuffer())))
  if (key === undefined) throw new Error('There is no key')
  const request = encodeRequest({
    method: 'POST',
    scheme: 'https',
    authority: 'workload.example',
    path: '/echo?q=1',
    headers: [['date', new Date().toUTCString()], ['content-type', 'application/octet-stream']]
  }, { content: body })
  const headers = { 'content-type': chunked ? CHUNKED_REQUEST_MEDIA_TYPE : REQUEST_MEDIA_TYPE }
  const requests: PreparedRequest[] = []
  for (let i = 0; i < count; i++) {
    const message = chunked
      ? await (await startChunkedExchange(key)).seal(request)
      : (await encapsulateRequest(key, request)).message
    requests.push(prepareRequest('/.well-known/ohttp-gateway', headers, message))
  }
  return requests
}
