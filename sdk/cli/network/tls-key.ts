/** Which TLS key a proxy's connection has, and whether the TEE holds it: seen on the connection of the evidence. */
import { ATTESTATION_PATH, fetchAttestation } from '../../attestation/attest-keys.ts'
import type { Verdict } from '../../attestation/checks.ts'
import { fetchOver, openTls, peerPin, pinOf } from '../../tls/connection.ts'
import type { Network, NetworkOptions } from './network.ts'

export interface SeenKey {
  /** SHA-256 of SubjectPublicKeyInfo, in base64. */
  readonly pin: string
  /** The evidence is accepted, and covers this key: TLS ends in the TEE. */
  readonly attested: boolean
}

export interface WatchedTls extends Pick<Network, 'fetch'> {
  /**
   * The key, if evidence came over TLS without a forward proxy.
   *
   * @throws {AttestationFetchError} no authority that is trusted vouches for the certificate, and there are no attested
   * TLS keys that could do in place of it
   */
  seen (verdict: Verdict): Promise<SeenKey | undefined>
  /** Whether anything vouches for this key: evidence, or a certificate authority. */
  isTrusted (seen: SeenKey | undefined): boolean
}

/**
 * The network's fetch, but for evidence: that proves itself, so that it may come over a connection whose certificate
 * no authority vouches for. A certificate that is made in the TEE signs itself.
 */
export function watchTls (url: string, network: Network, { connectTimeout }: NetworkOptions): WatchedTls {
  let found: { pin: string, isAuthorized: boolean } | undefined

  function isEvidence (asked: URL): boolean {
    return asked.protocol === 'https:' && asked.origin === URL.parse(url)?.origin &&
      asked.pathname.endsWith(ATTESTATION_PATH) && network.forwardProxy(asked) === undefined
  }

  return {
    async fetch (input, init) {
      const asked = new URL(input instanceof Request ? input.url : input)
      if (!isEvidence(asked)) return network.fetch(input, init)
      const socket = await openTls(asked, {
        ca: network.ca, ...connectTimeout !== undefined && { timeout: connectTimeout }
      })
      found = { pin: peerPin(socket), isAuthorized: socket.authorized }
      try {
        return await fetchOver(socket)(asked, init)
      } finally {
        socket.destroy()
      }
    },
    async seen ({ verified, keys }) {
      if (found === undefined) return undefined
      const { pin, isAuthorized } = found
      const pins = keys.filter(({ kind }) => kind === 'tls-spki').map(({ value }) => pinOf(value))
      // Fails as anything else does that is asked of this proxy, and says why.
      if (!isAuthorized && pins.length === 0) await fetchAttestation(url, network.fetch)
      return { pin, attested: verified && pins.includes(pin) }
    },
    isTrusted: seen => seen === undefined || seen.attested || found?.isAuthorized === true
  }
}

/** What it means, in one line. */
export function tlsSentence ({ pin, attested }: SeenKey): string {
  return `TLS key sha256//${pin}: ` + (attested
    ? 'attested, so TLS ends in the TEE'
    : 'not attested, so TLS ends outside of the TEE; what is encrypted inside of it passes through')
}

export const UNTRUSTED_KEY = 'polaris: no authority vouches for the certificate, and its key is none that the TEE ' +
  'has proven: the connection ends somewhere else\n'
