/**
 * OHTTP requests, made beforehand; each is unique, as a replayed one would be refused. By node:crypto: with the
 * client's Web Crypto, making them would take longer than what is measured.
 */
import { createPublicKey, encapsulate } from 'node:crypto'
import { createAead } from '../lib/hpke/aead.ts'
import { expand, extract } from '../lib/hpke/hmac.ts'
import { createLabeled } from '../lib/hpke/labeled.ts'
import { encodeRequest } from '../lib/protocols/bhttp/writer.ts'
import { ByteQueue } from '../lib/protocols/byte-queue.ts'
import { EMPTY, ascii, concat, uint16 } from '../lib/protocols/bytes.ts'
import { Deframer, chunkAad, chunkPrefix, chunksOf } from '../lib/protocols/ohttp/chunks.ts'
import { KEYS_MEDIA_TYPE, decodeKeyConfigs } from '../lib/protocols/ohttp/key-config.ts'
import type { KeyConfig } from '../lib/protocols/ohttp/key-config.ts'
import { computeNonce } from '../lib/protocols/ohttp/nonce.ts'
import {
  CHUNKED_LABELS, CHUNKED_REQUEST_MEDIA_TYPE, LABELS, REQUEST_MEDIA_TYPE, RESPONSE_KEY_LABEL, RESPONSE_NONCE_LABEL,
  encodeHeader, requestInfo, responseSizes
} from '../lib/protocols/ohttp/ohttp.ts'
import { KEM_X25519, aeadSizes, isSupported } from '../lib/protocols/ohttp/suites.ts'
import { prepareRequest } from './load.ts'
import type { PreparedRequest } from './load.ts'

export const GATEWAY = '/.well-known/ohttp-gateway'
export const CHUNKED_HEADERS = { 'content-type': CHUNKED_REQUEST_MEDIA_TYPE }

interface InnerRequest {
  readonly method: string
  readonly path: string
  readonly body?: Uint8Array
}

interface Encapsulated {
  readonly message: Uint8Array
  /** Of a chunked response: what is in the chunks that these bytes complete, but for the final one. */
  createOpener (): (bytes: Uint8Array) => Buffer[]
}

/** The client's side of OHTTP, for one key of the proxy's. */
export interface OhttpSender {
  encapsulate (request: InnerRequest): Encapsulated
}

export async function createOhttpSender (proxyUrl: string, chunked: boolean): Promise<OhttpSender> {
  const response = await fetch(proxyUrl + GATEWAY, { headers: { accept: KEYS_MEDIA_TYPE } })
  const keys = decodeKeyConfigs(new Uint8Array(await response.arrayBuffer()))
  const key = keys.find(({ kemId }) => kemId === KEM_X25519)
  if (key === undefined) throw new Error('There is no X25519 key')
  return senderTo(key, chunked)
}

/** Requests of 1 KiB or more take some 0.1 ms each to make. */
export async function prepareOhttp (
  proxyUrl: string, body: Uint8Array, count: number, chunked: boolean
): Promise<PreparedRequest[]> {
  const sender = await createOhttpSender(proxyUrl, chunked)
  const headers = { 'content-type': chunked ? CHUNKED_REQUEST_MEDIA_TYPE : REQUEST_MEDIA_TYPE }
  return Array.from({ length: count }, () => {
    const { message } = sender.encapsulate({ method: 'POST', path: '/echo?q=1', body })
    return prepareRequest(GATEWAY, headers, message)
  })
}

/** The sender of HPKE, base mode (RFC 9180, section 5.1), with the constant part of its key schedule made once. */
function senderTo ({ keyId, kemId, publicKey, suites }: KeyConfig, chunked: boolean): OhttpSender {
  const suite = suites.find(isSupported)
  const sizes = suite && aeadSizes(suite.aeadId)
  if (!suite || !sizes) throw new Error('There is no suite of ours')
  const { aeadId } = suite
  const header = { keyId, kemId, ...suite }
  const labels = chunked ? CHUNKED_LABELS : LABELS
  const recipient = createPublicKey({ key: Buffer.from(publicKey), format: 'raw-public', asymmetricKeyType: 'x25519' })
  const labeled = createLabeled(concat(ascii('HPKE'), uint16(kemId, suite.kdfId, aeadId)))
  const context = concat(
    Uint8Array.of(0), labeled.extract(EMPTY, ascii('psk_id_hash'), EMPTY),
    labeled.extract(EMPTY, ascii('info_hash'), requestInfo(header, labels))
  )
  return {
    encapsulate (inner) {
      const { sharedKey, ciphertext: enc } = encapsulate(recipient)
      const secret = labeled.extract(sharedKey, ascii('secret'), EMPTY)
      const aead = createAead(aeadId, labeled.expand(secret, ascii('key'), context, sizes.Nk))
      const baseNonce = labeled.expand(secret, ascii('base_nonce'), context, sizes.Nn)
      const exporter = labeled.expand(secret, ascii('exp'), context, 32)
      const request = requestOf(inner)
      const start = [encodeHeader(header), enc]
      const message = chunked
        ? concat(...start, ...chunksOf(request, true).flatMap(({ bytes, final }, i) => {
          const [ciphertext, tag] = aead.seal(computeNonce(baseNonce, i), bytes, chunkAad(final))
          return [chunkPrefix(ciphertext.length + tag.length, final), ciphertext, tag]
        }))
        : concat(...start, ...aead.seal(baseNonce, request, EMPTY))
      return {
        message,
        createOpener: () => responseOpener(aeadId, enc,
          labeled.expand(exporter, ascii('sec'), labels.response, responseSizes(aeadId).nonceLength))
      }
    }
  }
}

let made = { second: 0, date: '' }

function requestOf ({ method, path, body = EMPTY }: InnerRequest): Uint8Array {
  const second = Math.floor(Date.now() / 1000)
  if (second !== made.second) made = { second, date: new Date().toUTCString() }
  const headers: [string, string][] = [['date', made.date], ['content-type', 'application/octet-stream']]
  return encodeRequest({ method, scheme: 'https', authority: 'workload.example', path, headers }, { content: body })
}

/** RFC 9458, section 4.4. */
function responseOpener (aeadId: number, enc: Uint8Array, exported: Uint8Array): (bytes: Uint8Array) => Buffer[] {
  const { Nk, Nn, nonceLength } = responseSizes(aeadId)
  const queue = new ByteQueue()
  const deframer = new Deframer()
  let sequence = 0
  let open: ((ciphertext: Uint8Array) => Buffer) | undefined
  return bytes => {
    queue.push(bytes)
    if (open === undefined) {
      const nonce = queue.take(nonceLength)
      if (nonce === undefined) return []
      const prk = extract(concat(enc, nonce), exported)
      const aead = createAead(aeadId, expand(prk, Nk, RESPONSE_KEY_LABEL))
      const baseNonce = expand(prk, Nn, RESPONSE_NONCE_LABEL)
      open = ciphertext => aead.open(computeNonce(baseNonce, sequence++), ciphertext, EMPTY)
    }
    const opened = deframer.push(queue.take(queue.length) ?? EMPTY).map(({ ciphertext }) => open!(ciphertext))
    deframer.settle()
    return opened
  }
}
