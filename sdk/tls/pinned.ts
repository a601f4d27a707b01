/** Connections to one proxy, none of which is used before the proxy has proven that the TEE holds its key. */
import type { TLSSocket } from 'node:tls'
import { Agent } from 'undici'
import { PolarisFetchError, TlsKeyError } from '../fetch/errors.ts'
import { fetchOver, openTls, peerPin, pinOf } from './connection.ts'
import type { Application, TlsConnectOptions } from './connection.ts'

export interface Proof {
  /** The TLS keys that the TEE holds: SubjectPublicKeyInfo, DER. */
  readonly keys: readonly Uint8Array[]
  /** For how long it counts, in seconds. */
  readonly maxAge: number
}

/** Asks for evidence with this fetch, and verifies it. What it throws, the requests fail with. */
export type Prove = (fetch: typeof globalThis.fetch, socket: TLSSocket) => Promise<Proof>

export interface Pinned {
  /** Of connections whose keys are proven at present. */
  readonly dispatcher: Agent
  /** Has the key proven, unless a proof still counts. @param fresh also then */
  verify (fresh: boolean): Promise<void>
  /**
   * A connection of its own, for bytes of the caller's. Either side may end before the other.
   *
   * @throws {TlsKeyError} the connection has a key that the TEE has not proven
   * @throws {PolarisFetchError} the proxy does not speak this there
   */
  connect (application: Application): Promise<TLSSocket>
  close (): Promise<void>
}

/** Replicas that may answer in turn before one with the wanted key does. */
const MAX_REPLICAS = 16

export function pinnedConnections (url: URL, prove: Prove, options: TlsConnectOptions = {}): Pinned {
  /** Until when the proof of a key counts. */
  const pins = new Map<string, number>()
  let agent = newAgent()
  /** No connection of this agent has a proof that ends before. */
  let until = Infinity
  let last: Promise<void> = Promise.resolve()

  function newAgent (): Agent {
    return new Agent({
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: (_options, callback) => { open().then(socket => callback(null, socket), error => callback(error, null)) }
    })
  }

  async function open (): Promise<TLSSocket> {
    const socket = await openTls(url, options)
    try {
      // One after another: connections that are made at once share a proof.
      const turn = last.then(() => proveKey(socket))
      last = turn.catch(() => undefined)
      await turn
      return socket
    } catch (error) {
      socket.destroy()
      throw error
    }
  }

  async function proveKey (socket: TLSSocket): Promise<void> {
    const pin = peerPin(socket)
    if (!isProven(pin)) {
      const asked = Date.now()
      // On this connection: behind a load balancer, each may lead to another replica, with keys of its own.
      const { keys, maxAge } = await prove(fetchOver(socket), socket)
      for (const [known, end] of pins) if (end <= asked) pins.delete(known)
      for (const key of keys) pins.set(pinOf(key), asked + maxAge * 1000)
      if (!keys.some(key => pinOf(key) === pin)) throw new TlsKeyError(url.host, pin, keys.map(pinOf))
    }
    until = Math.min(until, pins.get(pin) ?? 0)
  }

  /**
   * Evidence is asked for over HTTP/1.1, which leaves a connection as it was. HTTP/2 does not. So a connection for it
   * has a key that was proven on another one: behind a load balancer, perhaps not on the first.
   */
  async function openHttp2 (): Promise<TLSSocket> {
    const socket = await openTls(url, options, 'h2')
    try {
      if (socket.alpnProtocol !== 'h2') {
        throw new PolarisFetchError(
          'ERR_POLARIS_CONNECTION', `${url.host} does not speak HTTP/2 on its TLS port. Nothing was sent`
        )
      }
      const pin = peerPin(socket)
      for (let tries = 0; tries < MAX_REPLICAS && !isProven(pin); tries++) (await open()).destroy()
      const known = [...pins].filter(([, end]) => end > Date.now()).map(([key]) => key)
      if (!known.includes(pin)) throw new TlsKeyError(url.host, pin, known)
      return socket
    } catch (error) {
      socket.destroy()
      throw error
    }
  }

  const isProven = (pin: string) => (pins.get(pin) ?? 0) > Date.now()

  /** Connections go on to serve what they serve, and nothing else. */
  function renew (): void {
    const old = agent
    agent = newAgent()
    until = Infinity
    old.close().catch(() => undefined)
  }

  return {
    get dispatcher () {
      if (until <= Date.now()) renew()
      return agent
    },
    async verify (fresh) {
      if (fresh) {
        pins.clear()
        renew()
      }
      const now = Date.now()
      if ([...pins.values()].some(end => end > now)) return
      ;(await open()).destroy()
    },
    connect: application => application === 'h2' ? openHttp2() : open(),
    close: () => agent.close()
  }
}
