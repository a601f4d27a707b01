/**
 * The contract of a protocol: one way of encrypting HTTP, as the server sees it. Each is a folder beside this file, and
 * one line in `registry.ts`; no other code knows any of them by name.
 *
 * The life of a request, as far as a protocol takes part in it:
 *
 * 1. The outer head has arrived; nothing of the body was read. `recognises` is asked of each protocol in turn, and the
 *    first that says yes has the request.
 * 2. `open` is called, once. From here on the body is the protocol's to read, as far as it wants to. It never closes
 *    the body, since closing a server's request would cut off the answer: the server closes what is left unread. What
 *    `open` throws is answered unencrypted, as no client has been identified yet that may read it.
 * 3. The exchange that it returns is forwarded, and `exchange.body` is read to its end, or destroyed, by the forwarding
 *    side. A Problem that it ends with is the answer to the request, if none was sent yet; the workload sees its body
 *    break off.
 * 4. The workload's response, or the problem that the proxy answers with instead, goes through `exchange.seal`, where
 *    there is one, and out.
 * 5. `exchange.release` is called, once: when the response was sent, or the client is gone. That may be while `seal` is
 *    still at work, or in the middle of `exchange.body`.
 */
import type { Config } from '../config/config.ts'
import type { IncomingRequest, OuterHead } from '../http/incoming.ts'
import type { HpkeRing } from '../keys/hpke/ring.ts'
import type { KeyProvider } from '../keys/provider.ts'
import type { MinuteCounts } from '../limits/minute-counts.ts'
import type { AttestedKey } from '../protocols/attestation.ts'
import type { MessageMemory } from '../replay/message-memory.ts'
import type { ReplayStore } from '../replay/store.ts'
import type { ByteBudget } from '../streams/budget.ts'
import type { Exchange } from './exchange.ts'
import type { ProtocolName } from './names.ts'

export interface Protocol {
  /** Lower-case letters, digits and hyphens. */
  readonly name: ProtocolName
  /** Whether a request is of this protocol: true or false by its outer head alone. Never throws. */
  recognises (head: OuterHead): boolean
  /**
   * Opens what it recognised: there is no way to say "not mine" any more.
   *
   * It returns as soon as the request can be forwarded. A protocol that streams then still holds a part of the body,
   * and reports what is wrong with the rest by an error of `exchange.body`.
   *
   * @throws {Problem} the answer, unencrypted. One code and one text for everything that cannot be opened, whatever the
   * reason. What was held is given back before it throws: there is no exchange to release.
   */
  open (request: IncomingRequest): Exchange | Promise<Exchange>
  /**
   * Paths for POSTs of this protocol, where others would be a mistake: what no protocol of the path recognises gets
   * 415.
   */
  readonly endpoints?: readonly string[]
  /** True for a way of encrypting that clients may choose: `/polaris-container/about` names it. */
  readonly offered?: boolean
  /** What clients fetch before they can encrypt. */
  readonly keyResources?: readonly KeyResource[]
}

/**
 * Public keys at a path, as clients fetch them. They are served, listed and covered by attestation evidence from here.
 */
export interface KeyResource {
  /** Served at this path, and below the context root. */
  readonly path: string
  readonly mediaType: string
  /**
   * What a GET is answered with at this moment. `maxAge`, in seconds, is how long it may be kept: no longer than the
   * keys can be used. Absent: not at all.
   *
   * @throws {Problem} not-ready
   */
  publication (): { readonly bytes: Uint8Array, readonly maxAge?: number }
  /** What attestation evidence has to cover at this moment, the key to encrypt to first; empty while there is none. */
  attested (): readonly AttestedKey[]
  /** For people and tools: all keys that open requests, or are about to. */
  keys (): readonly ListedKey[]
  /** Calls the listener when there are keys for the first time, and after each change that the resource hears of. */
  onChange (listener: () => void): void
}

export interface ListedKey {
  /** The protocol that it is for. */
  readonly protocol: string
  readonly keyId: string
  readonly algorithm: string | undefined
  readonly state: 'pending' | 'active' | 'retiring'
  /** RFC 3339; absent where there is no such time. */
  readonly notBefore?: string
  readonly notAfter?: string
  readonly publicKey: string
}

/** What a protocol is made with. */
export interface ProtocolServices {
  readonly config: Config
  readonly keys: KeyProvider
  readonly hpke: HpkeRing
  readonly replay: ReplayStore
  /** Of Polaris v1; undefined if none are remembered. */
  readonly messages: MessageMemory | undefined
  /** Shared by all protocols: whatever a request or a response has buffered is taken from it. */
  readonly budget: ByteBudget
  /** Of requests that could not be opened, by client. */
  readonly failedUnwraps: MinuteCounts
  /** Lower-case names of headers that no workload is ever sent: those of all protocols. */
  readonly ownHeaders: ReadonlySet<string>
}

/** What the registry has a line of: a protocol, or its forms that share keys and settings. */
export interface ProtocolDefinition {
  /**
   * Lower-case names of request headers that are the protocol's own. No workload sees them, whichever protocol a
   * request came by and whether this one is on or off.
   */
  readonly headers?: (config: Config) => readonly string[]
  /** Paths that are never forwarded. They answer 404 where no protocol serves them, such as when this one is off. */
  readonly paths?: readonly string[]
  /** Once, at start; none where the settings turn it off. They are asked in this order. */
  create (services: ProtocolServices): readonly Protocol[]
}
