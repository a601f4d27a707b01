/**
 * Evidence for development, where there is no trusted execution environment. It is signed by a root of this process's
 * own, so that it proves nothing, and it says so: `tee: "simulated"`, a media type of its own, a claim. Verifiers
 * accept it under development policies only.
 */
import { SignJWT, calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose'
import { MEDIA_TYPES } from '../../protocols/attestation.ts'
import { encodeBase64url } from '../../protocols/base64url.ts'
import type { Attester } from '../../attestation/attester.ts'

export interface SimulatedAttester extends Attester {
  /** RFC 7638 thumbprint of the development root, for policies. */
  readonly root: string
}

const LIFETIME_SECONDS = 3600

export async function simulated (): Promise<SimulatedAttester> {
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const jwk = await exportJWK(publicKey)
  return {
    type: 'simulated',
    root: await calculateJwkThumbprint(jwk),
    async evidence ({ binding }) {
      const now = Math.floor(Date.now() / 1000)
      const token = await new SignJWT({ eat_nonce: encodeBase64url(binding), simulated: true })
        .setProtectedHeader({ alg: 'ES256', typ: 'polaris-simulated+jwt', jwk })
        .setIssuer('polaris-simulated')
        .setIssuedAt(now)
        .setExpirationTime(now + LIFETIME_SECONDS)
        .sign(privateKey)
      return {
        tee: 'simulated',
        evidence: [[MEDIA_TYPES.simulated, token]],
        endorsements: [],
        expiresAt: new Date((now + LIFETIME_SECONDS) * 1000)
      }
    }
  }
}
