/** What proves to an authority that a name leads here: tls-alpn-01 (RFC 8737) and http-01 (RFC 8555, section 8.3). */
import { createHash, generateKeyPairSync } from 'node:crypto'
import { selfSignedCertificate } from '../certificate.ts'
import { serverNameOf } from './client/identifiers.ts'
import type { Identifier } from './client/identifiers.ts'
import type { Challenge } from './state.ts'

/** A validation takes seconds, and clocks may be off. */
const VALID_MS = 86_400_000

/** @param thumbprint of the account's key */
export function challengeFor (
  type: Challenge['type'], identifier: Identifier, token: string, thumbprint: string
): Challenge {
  const answer = `${token}.${thumbprint}`
  if (type === 'http-01') return { type, token, answer }
  // A key of its own: no evidence covers it, and no one but the authority gets to see it.
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    type,
    serverName: serverNameOf(identifier),
    cert: selfSignedCertificate({
      key: privateKey,
      names: [identifier.value],
      notBefore: new Date(Date.now() - VALID_MS),
      notAfter: new Date(Date.now() + VALID_MS),
      acmeIdentifier: createHash('sha256').update(answer).digest()
    }),
    key: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
  }
}

/** The certificate and key for an authority that asks for this server name. */
export function tlsAnswer (
  challenges: readonly Challenge[], serverName: string
): { readonly cert: string, readonly key: string } | undefined {
  for (const challenge of challenges) {
    if (challenge.type === 'tls-alpn-01' && challenge.serverName === serverName.toLowerCase()) return challenge
  }
  return undefined
}

/** What an authority that asks for this token gets. */
export function httpAnswer (challenges: readonly Challenge[], token: string): string | undefined {
  for (const challenge of challenges) {
    if (challenge.type === 'http-01' && challenge.token === token) return challenge.answer
  }
  return undefined
}
