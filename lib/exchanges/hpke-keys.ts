/** What key resources say of the keys of an HPKE ring, whichever protocol has them. */
import type { HpkeKeyInfo, HpkeRing } from '../keys/hpke/ring.ts'
import { kemName } from '../protocols/ohttp/suites.ts'
import type { ProtocolName } from './names.ts'
import type { ListedKey } from './protocol.ts'

export function listedKey (
  protocol: ProtocolName, { keyId, kemId, state, notBefore, notAfter, publicKey }: HpkeKeyInfo
): ListedKey {
  return {
    protocol,
    keyId: String(keyId),
    algorithm: kemName(kemId),
    state,
    ...(Number.isFinite(notBefore) && { notBefore: new Date(notBefore).toISOString() }),
    ...(Number.isFinite(notAfter) && { notAfter: new Date(notAfter).toISOString() }),
    publicKey: Buffer.from(publicKey).toString('base64url')
  }
}

/** As `onChange` of a key resource. */
export function onRingChange (ring: HpkeRing, listener: () => void): void {
  // That there will be no keys is for readiness to say.
  ring.ready.then(listener, () => undefined)
  ring.onRotation(listener)
}
