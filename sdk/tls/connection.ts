/** One TLS connection: the key that its other side holds, and an exchange on it before it is used for anything else. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { Agent, request as httpRequest } from 'node:http'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { connect } from 'node:tls'
import type { TLSSocket } from 'node:tls'
import { MAX_DOCUMENT_BYTES } from '../../lib/protocols/attestation.ts'

export interface TlsConnectOptions {
  /** In milliseconds; 30 seconds if left out. */
  readonly timeout?: number
  readonly ca?: readonly string[] | undefined
}

/**
 * Connects with whatever certificate the other side has: its key is for the caller to judge, before anything is sent.
 * `authorized` says what certificate authorities make of it.
 *
 * @throws {Error} Node's, of the network or of TLS
 */
export async function openTls ({ hostname, port }: URL, options: TlsConnectOptions = {}): Promise<TLSSocket> {
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  const socket = connect({
    host,
    port: Number(port) || 443,
    ...isIP(host) === 0 && { servername: host },
    ...options.ca && { ca: [...options.ca] },
    ALPNProtocols: ['http/1.1'],
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
  return socket.setNoDelay(true)
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
