/**
 * EHBP, which encrypts bodies and nothing else: how it is recognised, what it is made with, and the key to encrypt to.
 */
import { Problem } from '../../http/problems.ts'
import type { HpkeRing } from '../../keys/hpke/ring.ts'
import { EHBP_KEYS_PATH, EHBP_SUITE, ENC_HEADER, NONCE_HEADER, encodeEhbpKey } from '../../protocols/ehbp.ts'
import { KEYS_MEDIA_TYPE } from '../../protocols/ohttp/key-config.ts'
import { rememberFor } from '../../replay/remember.ts'
import { listedKey, onRingChange } from '../hpke-keys.ts'
import type { KeyResource, ProtocolDefinition } from '../protocol.ts'
import { createEhbpOpener } from './open.ts'

/** While it is off, its headers and its path are the workload's: that may speak EHBP itself. */
export const ehbp: ProtocolDefinition = {
  headers: ({ enableEhbp }) => enableEhbp ? [ENC_HEADER, NONCE_HEADER] : [],
  create ({ config, hpke, replay, budget, ownHeaders }) {
    if (!config.enableEhbp) return []
    const open = createEhbpOpener(hpke, replay, budget, {
      contextRoot: config.contextRoot,
      own: ownHeaders,
      // Larger frames would never find room.
      maxFrameBytes: Math.min(config.ohttpMaxBodyBytes, config.maxBufferedBytes),
      remember: rememberFor(config)
    })
    return [{
      name: 'ehbp',
      // Without a body there is nothing to encrypt to, nor with: such a request is a plain one, and so is its response.
      recognises: ({ headers }) => headers[ENC_HEADER] !== undefined,
      open,
      offered: true,
      keyResources: [createKeyResource(hpke, config.enableOhttp)]
    }]
  }
}

function createKeyResource (ring: HpkeRing, alsoOhttp: boolean): KeyResource {
  const x25519 = () => ring.keys().filter(({ kemId }) => kemId === EHBP_SUITE.kemId)
  return {
    path: EHBP_KEYS_PATH,
    mediaType: KEYS_MEDIA_TYPE,
    publication () {
      const active = ring.isReady ? x25519().find(({ state }) => state === 'active') : undefined
      if (active === undefined) throw new Problem('not-ready')
      return { bytes: encodeEhbpKey(active.publicKey), maxAge: ring.publication().maxAge }
    },
    // The key is one of OHTTP's, which are attested as a list.
    attested: () => alsoOhttp || !ring.isReady
      ? []
      : [{ kind: 'ohttp-keys', value: Uint8Array.from(ring.publication().octets) }],
    keys: () => x25519().map(key => listedKey('ehbp', { ...key, keyId: 0 })),
    onChange: listener => onRingChange(ring, listener)
  }
}
