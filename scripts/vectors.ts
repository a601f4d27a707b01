/**
 * Writes docs/vectors/: examples of every wire format for other implementations to check themselves against. Everything
 * that is random elsewhere is a hash of a name here, so that the files come out the same each time; a test compares.
 * `node scripts/vectors.ts`
 */
import { hash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import * as hpke from 'hpke'
import { deriveKemKeyPair, importKemKeyPair } from '../lib/hpke/kem.ts'
import type { KemKeyPair } from '../lib/hpke/kem.ts'
import { openChunkedRequest, openRequest } from '../lib/exchanges/ohttp/request.ts'
import {
  contentChunkPrefix, encodeEnd, encodeRequest, encodeRequestHead, encodeResponse, encodeResponseHead
} from '../lib/protocols/bhttp/writer.ts'
import type { Field } from '../lib/protocols/bhttp/bhttp.ts'
import { ascii, concat } from '../lib/protocols/bytes.ts'
import type { EncryptionKey, KemFactory } from '../sdk/ohttp/hpke-sender.ts'
import { KEM_MLKEM768_X25519, KEM_X25519 } from '../lib/protocols/ohttp/suites.ts'
import { encodeKeyConfig, encodeKeyConfigs } from '../lib/protocols/ohttp/key-config.ts'
import { encapsulateRequest, startChunkedExchange } from '../sdk/ohttp/client.ts'
import { responseSizes } from '../lib/protocols/ohttp/ohttp.ts'
import { MLKEM768_X25519_CHACHA20 } from '../test/fixtures/hpke-vectors.ts'
import { attestationVectors } from './attestation-vectors.ts'
import { ehbpVectors } from './ehbp-vectors.ts'

const REQUEST = {
  method: 'POST',
  scheme: 'https',
  authority: 'api.example',
  path: '/v1/things?limit=2',
  headers: [['content-type', 'text/plain'], ['date', 'Tue, 01 Jul 2025 10:00:00 GMT']] satisfies Field[]
}
const RESPONSE = { status: 201, headers: [['content-type', 'text/plain'], ['x-empty', '']] satisfies Field[] }
const EARLY = { status: 103, headers: [['link', '</style.css>; rel=preload']] satisfies Field[] }
const CONTENT = ascii('some content')
const TRAILERS: Field[] = [['digest', 'abc']]

function hex (bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function octets (name: string, length: number): Uint8Array {
  return hash('sha256', `polaris-secure-proxy vectors: ${name}`, 'buffer').subarray(0, length)
}

function bhttp (): object {
  const chunks = concat(
    contentChunkPrefix(4), CONTENT.subarray(0, 4), contentChunkPrefix(CONTENT.length - 4), CONTENT.subarray(4)
  )
  const request = { kind: 'request', ...REQUEST }
  const response = { kind: 'response', ...RESPONSE }
  const full = { content: hex(CONTENT), trailers: TRAILERS }
  const known = encodeRequest(REQUEST, { content: CONTENT, trailers: TRAILERS })
  const withField = (name: string, value: string) => {
    const line = concat(contentChunkPrefix(name.length), ascii(name), contentChunkPrefix(value.length), ascii(value))
    return concat(encodeRequest({ ...REQUEST, headers: [] }).subarray(0, -1), contentChunkPrefix(line.length), line)
  }
  return {
    format: 'Binary HTTP, RFC 9292',
    messages: [
      { name: 'known-length request', ...request, ...full, message: hex(known) },
      { name: 'known-length request, sections left out', ...request, message: hex(encodeRequest(REQUEST)) },
      {
        name: 'known-length request, padded',
        ...request,
        content: hex(CONTENT),
        message: hex(encodeRequest(REQUEST, { content: CONTENT, padTo: 160 }))
      },
      {
        name: 'indeterminate-length request',
        ...request,
        ...full,
        message: hex(concat(encodeRequestHead(REQUEST), chunks, encodeEnd(TRAILERS)))
      },
      { name: 'indeterminate-length request, sections left out', ...request, message: hex(encodeRequestHead(REQUEST)) },
      {
        name: 'known-length response',
        ...response,
        ...full,
        message: hex(encodeResponse(RESPONSE, { content: CONTENT, trailers: TRAILERS }))
      },
      {
        name: 'indeterminate-length response',
        ...response,
        informational: [EARLY],
        ...full,
        message: hex(concat(encodeResponseHead(RESPONSE, [EARLY]), chunks, encodeEnd(TRAILERS)))
      }
    ],
    refused: [
      { name: 'cut within the content', kind: 'request', message: hex(known.subarray(0, -20)) },
      {
        name: 'chunked content without its terminator',
        kind: 'request',
        message: hex(concat(encodeRequestHead(REQUEST), chunks))
      },
      { name: 'padding that is not zero', kind: 'request', message: hex(concat(known, Uint8Array.of(1))) },
      { name: 'pseudo-field', kind: 'request', message: hex(withField(':path', '/other')) },
      { name: 'upper-case field name', kind: 'request', message: hex(withField('Host', 'other')) },
      { name: 'line break in a field value', kind: 'request', message: hex(withField('a', 'b\r\nc: d')) },
      { name: 'status out of range', kind: 'response', message: '01425800' }
    ]
  }
}

interface Party {
  readonly name: string
  readonly keyPair: KemKeyPair
  readonly secret: { readonly ikmR?: string, readonly skR?: string }
  readonly enc: Uint8Array
  readonly aeadId: number
}

function parties (): Party[] {
  const ikm = octets('ikmR', 32)
  const ephemeral = importKemKeyPair(KEM_X25519, octets('skE', 32)).publicKey
  // Node cannot encapsulate to ML-KEM with chosen randomness, so the hybrid uses an encapsulated key that is published.
  const published = MLKEM768_X25519_CHACHA20
  return [
    ...[['AES-128-GCM', 1], ['AES-256-GCM', 2], ['ChaCha20-Poly1305', 3]].map(([name, aeadId]) => ({
      name: `X25519, ${name}`,
      keyPair: deriveKemKeyPair(KEM_X25519, ikm),
      secret: { ikmR: hex(ikm) },
      enc: ephemeral,
      aeadId: Number(aeadId)
    })),
    {
      name: 'MLKEM768-X25519, AES-256-GCM, with key and encapsulated key of draft-ietf-hpke-pq, appendix A.5',
      keyPair: importKemKeyPair(KEM_MLKEM768_X25519, Buffer.from(published.skRm, 'hex')),
      secret: { skR: published.skRm },
      enc: Buffer.from(published.enc.replace(/\s/g, ''), 'hex'),
      aeadId: 2
    }
  ]
}

/** A KEM that always sends the same encapsulated key; the shared secret comes from the other side. */
function fixedKem ({ keyPair, enc }: Party): KemFactory {
  const kem = keyPair.kemId === KEM_X25519 ? hpke.KEM_DHKEM_X25519_HKDF_SHA256() : hpke.KEM_MLKEM768_X25519()
  return () => ({ ...kem, Encap: async () => ({ enc, shared_secret: keyPair.decapsulate(enc) }) })
}

function encryptionKey ({ keyPair: { kemId, publicKey }, aeadId }: Party): EncryptionKey {
  const suite = { kdfId: 1, aeadId }
  return { config: { keyId: 7, kemId, publicKey, suites: [suite] }, suite }
}

function common (party: Party): object {
  const { config, suite } = encryptionKey(party)
  return {
    name: party.name,
    keyId: config.keyId,
    kemId: config.kemId,
    ...suite,
    ...party.secret,
    keyConfig: hex(encodeKeyConfig(config)),
    enc: hex(party.enc),
    sharedSecret: hex(party.keyPair.decapsulate(party.enc))
  }
}

async function oneShot (party: Party): Promise<object> {
  const request = encodeRequest(REQUEST, { content: CONTENT })
  const response = encodeResponse(RESPONSE, { content: CONTENT })
  const responseNonce = octets('response nonce', responseSizes(party.aeadId).nonceLength)
  const { message } = await encapsulateRequest(encryptionKey(party), request, fixedKem(party))
  const opened = await openRequest(message, (_, enc) => party.keyPair.decapsulate(enc))
  return {
    ...common(party),
    request: hex(request),
    encapsulatedRequest: hex(message),
    response: hex(response),
    responseNonce: hex(responseNonce),
    encapsulatedResponse: hex(concat(...await opened.sealResponse(response, responseNonce)))
  }
}

async function chunked (party: Party): Promise<object> {
  const requestChunks = [encodeRequestHead(REQUEST), concat(contentChunkPrefix(CONTENT.length), CONTENT), encodeEnd()]
  const responseChunks = [encodeResponseHead(RESPONSE), concat(contentChunkPrefix(CONTENT.length), CONTENT)]
  const responseNonce = octets('response nonce', responseSizes(party.aeadId).nonceLength)
  const client = await startChunkedExchange(encryptionKey(party), fixedKem(party))
  const parts: string[] = []
  const message: Uint8Array[] = []
  for await (const part of ReadableStream.from(requestChunks).pipeThrough(client.sealStream())) {
    parts.push(hex(part))
    message.push(part)
  }
  const opened = await openChunkedRequest(Readable.from(message), (_, enc) => party.keyPair.decapsulate(enc))
  const sealer = opened.createResponseSealer(responseNonce)
  return {
    ...common(party),
    requestChunks: [...requestChunks.map(hex), ''],
    encapsulatedRequest: parts,
    responseNonce: hex(responseNonce),
    responseChunks: [...responseChunks.map(hex), hex(encodeEnd())],
    encapsulatedResponse: [...responseChunks.map(chunk => hex(sealer.seal(chunk))), hex(sealer.final(encodeEnd()))]
  }
}

function ehbp (party: Party): Promise<object> {
  return ehbpVectors({
    ikmR: octets('ikmR', 32), keyPair: party.keyPair, kem: fixedKem(party), responseNonce: octets('response nonce', 32)
  })
}

/** File name to what it holds. */
export async function generateVectors (): Promise<Readonly<Record<string, object>>> {
  const all = parties()
  const suites = [2, 1, 3].map(aeadId => ({ kdfId: 1, aeadId }))
  const configs = [all.at(-1), all.at(0)].flatMap((party, i) => {
    return party === undefined ? [] : [{ ...encryptionKey(party).config, keyId: 2 - i, suites }]
  })
  return {
    'attestation.json': await attestationVectors(),
    'bhttp.json': bhttp(),
    'ehbp.json': await ehbp(all[0]!),
    'key-config.json': {
      format: 'application/ohttp-keys, RFC 9458, section 3',
      configs: configs.map(({ publicKey, ...config }) => ({ ...config, publicKey: hex(publicKey) })),
      list: hex(encodeKeyConfigs(configs))
    },
    'ohttp.json': { format: 'Oblivious HTTP, RFC 9458', exchanges: await Promise.all(all.map(oneShot)) },
    'ohttp-chunked.json': {
      format: 'Chunked Oblivious HTTP, draft-ietf-ohai-chunked-ohttp-08', exchanges: await Promise.all(all.map(chunked))
    }
  }
}

export const DIRECTORY = fileURLToPath(new URL('../docs/vectors/', import.meta.url))

/** What a file holds, to the octet. */
export function serialise (vectors: object): string {
  return `${JSON.stringify(vectors, undefined, 2)}\n`
}

if (import.meta.main) {
  mkdirSync(DIRECTORY, { recursive: true })
  for (const [name, vectors] of Object.entries(await generateVectors())) {
    writeFileSync(`${DIRECTORY}${name}`, serialise(vectors))
  }
}
