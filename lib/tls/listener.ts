/**
 * The listener that ends TLS. It knows nothing of HTTP: each connection whose handshake is done is handed on, and by
 * then is a stream like any other.
 */
import { constants } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { createSecureContext, createServer } from 'node:tls'
import type { TLSSocket, TlsOptions } from 'node:tls'
import type { Config } from '../config/config.ts'
import { ACME_TLS } from './acme/protocol.ts'
import type { TlsKeys } from './keys.ts'
import { ticketKeyFor } from './ticket-keys.ts'
import type { TicketKeys } from './ticket-keys.ts'

export interface TlsListener {
  /** Where it listens, such as `[::]:8443`. */
  readonly address: string
  /** Takes no more connections, and ends those whose handshake is not done. Resolves once all are gone. */
  close (): Promise<void>
}

export interface TlsListenerOptions {
  readonly config: Pick<Config, 'tlsPort' | 'tlsMinVersion'>
  readonly host: string
  readonly keys: TlsKeys
  readonly tickets: TicketKeys
  /** Certificates of authorities that vouch for clients, PEM: no others are let in. */
  readonly clientCa: string | undefined
  /** Protocols to offer (RFC 7301), preferred first. */
  readonly protocols: readonly string[]
  readonly onConnection: (socket: TLSSocket) => void
}

/** What a client offers in its first message. */
interface Offer {
  /** False without one: Node's types leave that out. */
  readonly servername: string | false | undefined
  readonly protocols: readonly string[]
}

/** A client takes no longer for its part of the handshake. */
const HANDSHAKE_MS = 10_000
/** X25519MLKEM768 with every client that has it, also if it has to be asked for: a `/` begins what comes second. */
const GROUPS = 'X25519MLKEM768/X25519:P-256:P-384'
const CIPHERS_1_3 = ['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256']
/** Forward secrecy and authenticated encryption only. RSA for certificates from files. */
const CIPHERS_1_2 = ['AES256-GCM-SHA384', 'CHACHA20-POLY1305', 'AES128-GCM-SHA256']
  .flatMap(cipher => [`ECDHE-ECDSA-${cipher}`, `ECDHE-RSA-${cipher}`])

/** @throws the errors of `listen` */
export async function startTlsListener (options: TlsListenerOptions): Promise<TlsListener> {
  const { config, host, keys, tickets, clientCa, protocols, onConnection } = options
  const allows12 = config.tlsMinVersion === '1.2'
  const common: TlsOptions = {
    minVersion: allows12 ? 'TLSv1.2' : 'TLSv1.3',
    ciphers: [...CIPHERS_1_3, ...allows12 ? CIPHERS_1_2 : []].join(':'),
    ecdhCurve: GROUPS,
    honorCipherOrder: true,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    ...clientCa !== undefined && { ca: clientCa, requestCert: true, rejectUnauthorized: true }
  }
  const authority = keys.certificates
  const server = createServer({
    ...common,
    ...credentials(),
    ...authority === undefined ? { ALPNProtocols: [...protocols] } : { ALPNCallback: choose },
    handshakeTimeout: HANDSHAKE_MS
  })

  /** As with a list of protocols; an authority that validates, which offers one of its own, gets its answer. */
  function choose (this: TLSSocket, { servername, protocols: offered }: Offer): string | undefined {
    if (offered.length !== 1 || offered[0] !== ACME_TLS) return protocols.find(protocol => offered.includes(protocol))
    const answer = typeof servername === 'string' ? authority?.tlsAnswer(servername) : undefined
    if (answer === undefined) return undefined
    this.setKeyCert(createSecureContext({ cert: answer.cert, key: answer.key }))
    return ACME_TLS
  }

  /** What to prove with, and what tickets are encrypted with. */
  function credentials (): Pick<TlsOptions, 'cert' | 'key' | 'ticketKeys'> {
    const current = keys.current()
    if (current === undefined) return {}
    const { cert, key, pin } = current
    return { cert, key, ticketKeys: ticketKeyFor(tickets.current(), pin) }
  }
  const renew = () => server.setSecureContext({ ...common, ...credentials() })
  keys.onActive(renew)
  tickets.onChange(renew)

  /** By the client's address and port: what TLS makes of a connection is another object. */
  const shaking = new Map<string, Socket>()
  const nameOf = ({ remoteAddress, remotePort }: Socket) => `${remoteAddress} ${remotePort}`
  server.on('connection', (socket: Socket) => {
    const name = nameOf(socket)
    shaking.set(name, socket)
    socket.once('close', () => { if (shaking.get(name) === socket) shaking.delete(name) })
  })
  server.on('secureConnection', socket => {
    shaking.delete(nameOf(socket))
    // The authority has seen what it came for (RFC 8737, section 3).
    if (socket.alpnProtocol === ACME_TLS) return socket.destroySoon()
    // As HTTP/1.1 without TLS: its requests end it, and each side of a WebSocket may end before the other. Sessions of
    // HTTP/2 expect that it ends with what they read.
    if (socket.alpnProtocol !== 'h2') socket.allowHalfOpen = true
    onConnection(socket)
  })

  server.listen({ host, port: config.tlsPort })
  await once(server, 'listening')
  const { address, family, port } = server.address() as AddressInfo
  return {
    address: family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`,
    close () {
      const closed = new Promise<void>(resolve => server.close(() => resolve()))
      for (const socket of shaking.values()) socket.destroy()
      return closed
    }
  }
}
