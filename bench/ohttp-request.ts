/**
 * OHTTP requests, made beforehand; each is unique, as a replayed one would be refused. By node:crypto: with the
 * client's Web Crypto, making them would take longer than what is measured.
 */
import { createPublicKey, encapsulate } from 'node:crypto'
import { createAead } from '../lib/hpke/aead.ts'
import { createLabeled } from '../lib/hpke/labeled.ts'
import { encodeRequest } from '../lib/protocols/bhttp/writer.ts'
import { EMPTY, ascii, concat, uint16 } from '../lib/protocols/bytes.ts'
import { chunkAad, chunkPrefix, chunksOf } from '../lib/protocols/ohttp/chunks.ts'
import { KEYS_MEDIA_TYPE, decodeKeyConfigs } from '../lib/protocols/ohttp/key-config.ts'
import type { KeyConfig } from '../lib/protocols/ohttp/key-config.ts'
import { computeNonce } from '../lib/protocols/ohttp/nonce.ts'
import {
  CHUNKED_LABELS, CHUNKED_REQUEST_MEDIA_TYPE, LABELS, REQUEST_MEDIA_TYPE, encodeHeader, requestInfo
} from '../lib/protocols/ohttp/ohttp.ts'
import { KEM_X25519, aeadSizes, isSupported } from '../lib/protocols/ohttp/suites.ts'
import { prepareRequest } from './load.ts'
import type { PreparedRequest } from './load.ts'

const GATEWAY = '/.well-known/ohttp-gateway'

/** Encapsulates a Binary HTTP request, each time with a key of its own. */
type Encapsulate = (request: Uint8Array) => Uint8Array

export async function prepareOhttp (
  proxyUrl: string, body: Uint8Array, count: number, chunked: boolean, path = '/echo?q=1'
): Promise<PreparedRequest[]> {
  const response = await fetch(proxyUrl + GATEWAY, { headers: { accept: KEYS_MEDIA_TYPE } })
  const keys = decodeKeyConfigs(new Uint8Array(await response.arrayBuffer()))
  const key = keys.find(({ kemId }) => kemId === KEM_X25519)
  if (key === undefined) throw new Error('There is no X25519 key')
  const encapsulateTo = createEncapsulate(key, chunked)
  const request = encodeRequest({
    method: 'POST',
    scheme: 'https',
    authority: 'workload.example',
    path,
    headers: [['date', new Date().toUTCString()], ['content-type', 'application/octet-stream']]
  }, { content: body })
  const headers = { 'content-type': chunked ? CHUNKED_REQUEST_MEDIA_TYPE : REQUEST_MEDIA_TYPE }
  return Array.from({ length: count }, () => prepareRequest(GATEWAY, headers, encapsulateTo(request)))
}

/** The sender of HPKE, base mode (RFC 9180, section 5.1), with the key schedule's constant part made once. */
function createEncapsulate ({ keyId, kemId, publicKey, suites }: KeyConfig, chunked: boolean): Encapsulate {
  const suite = suites.find(isSupported)
  const sizes = suite && aeadSizes(suite.aeadId)
  if (!suite || !sizes) throw new Error('There is no suite of ours')
  const header = { keyId, kemId, ...suite }
  const recipient = createPublicKey(
    { key: Buffer.from(publicKey), format: 'raw-public', asymmetricKeyType: 'x25519' }
  )
  const labeled = createLabeled(concat(ascii('HPKE'), uint16(kemId, suite.kdfId, suite.aeadId)))
  const info = requestInfo(header, chunked ? CHUNKED_LABELS : LABELS)
  const context = concat(
    Uint8Array.of(0), labeled.extract(EMPTY, ascii('psk_id_hash'), EMPTY),
    labeled.extract(EMPTY, ascii('info_hash'), info)
  )
  return request => {
    const { sharedKey, ciphertext: enc } = encapsulate(recipient)
    const secret = labeled.extract(sharedKey, ascii('secret'), EMPTY)
    const aead = createAead(suite.aeadId, labeled.expand(secret, ascii('key'), context, sizes.Nk))
    const baseNonce = labeled.expand(secret, ascii('base_nonce'), context, sizes.Nn)
    const start = [encodeHeader(header), enc]
    if (!chunked) return concat(...start, ...aead.seal(baseNonce, request, EMPTY))
    const chunks = chunksOf(request, true).flatMap(({ bytes, final }, i) => {
      const [ciphertext, tag] = aead.seal(computeNonce(baseNonce, i), bytes, chunkAad(final))
      return [chunkPrefix(ciphertext.length + tag.length, final), ciphertext, tag]
    })
    return concat(...start, ...chunks)
  }
}
