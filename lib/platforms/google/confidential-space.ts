/**
 * Evidence from Google Confidential Space: the launcher beside the container answers on a Unix socket with a token
 * that Google's attestation service signed. The binding goes in as the one nonce.
 */
import { MEDIA_TYPES } from '../../protocols/attestation.ts'
import { encodeBase64url } from '../../protocols/base64url.ts'
import type { Attester } from '../../attestation/attester.ts'
import { LAUNCHER_SOCKET } from './settings.ts'
import { RemoteError } from '../../remote/error.ts'
import { postJson } from '../../remote/post-json.ts'
import { readToken } from '../../attestation/token.ts'

const SOURCE = 'The Confidential Space launcher'

export interface GoogleAttesterOptions {
  /** `aud` of the tokens; clients pin it. */
  readonly audience: string
  readonly socketPath?: string
  readonly timeoutMs?: number
}

/** @throws {TypeError} the audience is one under which Google itself would take the token for a credential */
export function googleConfidentialSpace (
  { audience, socketPath = LAUNCHER_SOCKET, timeoutMs = 15_000 }: GoogleAttesterOptions
): Attester {
  // These tokens are public: anybody may ask for one. With such an audience, anybody could then act as this workload.
  if (/googleapis\.com/i.test(audience)) {
    throw new TypeError('The audience of attestation tokens must not be one of Google\'s own')
  }
  const service = {
    name: SOURCE, url: new URL('http://localhost/v1/token'), socketPath, reach: 'inner', timeoutMs
  } as const
  return {
    type: 'google-confidential-space',
    async evidence ({ binding, signal }) {
      const nonce = encodeBase64url(binding)
      const { status, body } = await postJson(service, { audience, token_type: 'OIDC', nonces: [nonce] }, signal)
      // Errors are plain text, and so is success: text/html. Only the status tells.
      if (status !== 200) {
        const kind = status >= 500 || status === 429 ? 'transient' : 'refused'
        throw new RemoteError(kind, `${SOURCE} answered ${status}`, {
          providerCode: `HTTP_${status}`, advice: 'See the log of the launcher, on the serial console of the machine'
        })
      }
      const token = body.toString('latin1').trim()
      const { claims, expiresAt } = readToken(token, SOURCE)
      if (claims['eat_nonce'] !== nonce) {
        throw new RemoteError('transient', `${SOURCE} answered with a token for another nonce`, {
          providerCode: 'OTHER_NONCE', advice: 'If it lasts, check what listens at the socket of the launcher'
        })
      }
      return { tee: 'google-confidential-space', evidence: [[MEDIA_TYPES.eatJwt, token]], endorsements: [], expiresAt }
    }
  }
}
