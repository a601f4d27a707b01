/** Requests of the legacy protocol, made beforehand. With replay protection off, one serves for a whole run. */
import { generateKeyPairSync } from 'node:crypto'
import { sealMessage } from '../lib/protocols/polaris-v1.ts'
import { prepareRequest } from './load.ts'
import type { PreparedRequest } from './load.ts'

const base64 = (octets: Uint8Array) => Buffer.from(octets).toString('base64')

export async function prepareV1 (proxyUrl: string, body: Uint8Array<ArrayBuffer>): Promise<PreparedRequest> {
  const { publicKey: pem } =
    await (await fetch(`${proxyUrl}/polaris-container/publicKey`)).json() as { publicKey: string }
  const spki = Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64')
  const proxyKey = await crypto.subtle.importKey(
    'spki', spki, { name: 'RSA-OAEP', hash: 'SHA-256' }, false, ['encrypt']
  )
  const { publicKey: clientPem } = generateKeyPairSync('rsa', {
    modulusLength: 4096,
    publicKeyEncoding: { format: 'pem', type: 'spki' },
    privateKeyEncoding: { format: 'pem', type: 'pkcs8' }
  })
  const text = (value: string) => new TextEncoder().encode(value)
  const url = base64(await sealMessage(text('/echo?q=1'), proxyKey))
  const responseKey = base64(text(clientPem))
  const headers = {
    'content-type': 'application/octet-stream', 'polaris-url': url, 'polaris-response-public-key': responseKey
  }
  return prepareRequest('/', {
    'content-type': 'application/octet-stream',
    'polaris-url': url,
    'polaris-response-public-key': responseKey,
    'polaris-secure': base64(await sealMessage(text(JSON.stringify(headers)), proxyKey))
  }, await sealMessage(body, proxyKey))
}
