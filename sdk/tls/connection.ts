/** One TLS connection: the key that its other side holds, and an exchange on it before it is used for anything else. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { Agent, request as httpRequest } from 'node:http'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { connect } from 'node:tls'
import type { TLSSocket } from 'node:tls'
import { MAX_DOCUMENT_BYTES } from '../../lib/protocols/attestation.ts'
import { PolarisFetchError } from '../fetch/errors.ts'
import type { PostQuantum } from '../fetch/keys/published.ts'

export interface TlsConnectOptions {
  /** In milliseconds; 30 seconds if left out. */
  readonly timeout?: number
  readonly ca?: readonly string[] | undefined
  /** Whether to agree on keys by X25519MLKEM768. By default, if both sides have it. */
  readonly postQuantum?: PostQuantum
}

/** What is spoken on a connection: the protocol of ALPN. */
export type Application = 'http/1.1' | 'h2'

const POST_QUANTUM_GROUP = 'X25519MLKEM768'
const OTHER_GROUPS = 'X25519:P-256:P-384:P-521'

/**
 * Connects with whatever certificate the other side has: its key is for the caller to judge, before anything is sent.
 * `authorized` says what certificate authorities make of it.
 *
 * @throws {Error} Node's, of the network or of TLS
 * @throws {PolarisFetchError} key agreement has to be post-quantum, and is not
 */
export async function openTls (
  { hostname, port }: URL, options: TlsConnectOptions = {}, application: Application = 'http/1.1'
): Promise<TLSSocket> {
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  const socket = connect({
    host,
    port: Number(port) || 443,
    ...isIP(host) === 0 && { servername: host },
    ...options.ca && { ca: [...options.ca] },
    ...options.postQuantum === 'never' && { ecdhCurve: OTHER_GROUPS },
    ALPNProtocols: [application],
    rejectUnauthorized: false
  })
  const timer = setTimeout(() => socket.destroy(Object.assign(
    new Error('no TLS connection in time'), { code: 'ETIMEDOUT' }
  )), options.timeout ?? 30_000)
  try {
    await once(socket, 'secureConnect')
  } finally {
    clearTimeout(timer)
  }
  if (options.postQuantum === 'require' && !isPostQuantum(socket)) {
    socket.destroy()
    throw new PolarisFetchError(
      'ERR_POLARIS_NO_USABLE_KEY', `This connection is not post-quantum: ${POST_QUANTUM_GROUP} needs TLS 1.3 at the ` +
      'proxy, and OpenSSL 3.5 here, as of Node 24. Nothing was sent'
    )
  }
  return socket.setNoDelay(true)
}

/** Whether the keys of a connection were agreed on by X25519 with ML-KEM-768. */
export function isPostQuantum (socket: TLSSocket): boolean {
  return (socket.getEphemeralKeyInfo() as { name?: string } | null)?.name === POST_QUANTUM_GROUP
}

/** As curl's `--pinnedpubkey` and `/polaris-container/keys` name keys: SHA-256 of SubjectPublicKeyInfo, in base64. */
export function pinOf (spki: Uint8Array): string {
  return createHash('sha256').update(spki).digest('base64')
}

/** The key that the other side has shown that it holds. */
export function peerPin (socket: TLSSocket): string {
  const spki = socket.getPeerX509Certificate()?.publicKey.export({ format: 'der', type: 'spki' })
  return spki === undefined ? '' : pinOf(spki)
}

/** A fetch of GETs on this connection, which is free for others after each. */
export function fetchOver (socket: TLSSocket): typeof globalThis.fetch {
  return async (input, init) => {
    const { host, pathname, search } = new URL(input instanceof Request ? input.url : input)
    // Node's own takes a connection that it gets back for its own, and guards it.
    const agent = Object.assign(new Agent({ keepAlive: true }), {
      addRequest: (request: ClientRequest) => { request.onSocket(socket) }
    })
    const sent = httpRequest({
      agent, path: pathname + search, headers: { host, accept: '*/*' }, ...init?.signal && { signal: init.signal }
    }).end()
    const [answer] = await once(sent, 'response') as [IncomingMessage]
    const body: Buffer[] = []
    let length = 0
    for await (const piece of answer as AsyncIterable<Buffer>) {
      body.push(piece)
      if ((length += piece.length) > MAX_DOCUMENT_BYTES) throw new Error('the answer is too large')
    }
    // Node lets go of it a tick after the response has ended.
    await new Promise(resolve => setImmediate(resolve))
    const headers = new Headers()
    for (const [name, value] of Object.entries(answer.headers)) {
      if (value !== undefined) headers.set(name, String(value))
    }
    return new Response(Buffer.concat(body), { status: answer.statusCode ?? 502, headers })
  }
}
