/** Oblivious HTTP, in both forms: how they are recognised, what they are made with, and the keys that they share. */
import { Problem } from '../../http/problems.ts'
import type { OuterHead } from '../../http/incoming.ts'
import type { HpkeRing } from '../../keys/hpke/ring.ts'
import { KEYS_MEDIA_TYPE } from '../../protocols/ohttp/key-config.ts'
import { CHUNKED_REQUEST_MEDIA_TYPE, REQUEST_MEDIA_TYPE } from '../../protocols/ohttp/ohttp.ts'
import { listedKey, onRingChange } from '../hpke-keys.ts'
import type { KeyResource, Protocol, ProtocolDefinition } from '../protocol.ts'
import { createOhttpGateway } from './open.ts'
import type { OhttpForm } from './open.ts'

/** RFC 9540: the resource hands out the keys, and takes requests. So does any other path. */
const GATEWAY_PATH = '/.well-known/ohttp-gateway'

export const ohttp: ProtocolDefinition = {
  paths: [GATEWAY_PATH],
  create ({ config, hpke, replay, budget, ownHeaders }) {
    if (!config.enableOhttp) return []
    const gateway = createOhttpGateway(hpke, replay, budget, {
      ...config,
      // Larger messages would never find room.
      ohttpMaxBodyBytes: Math.min(config.ohttpMaxBodyBytes, config.maxBufferedBytes),
      own: ownHeaders,
      allowedAuthorities: new Set(config.ohttpAllowedAuthorities?.toLowerCase().split(',').map(part => part.trim())),
      padding: config.responsePadding === 'off' ? 0 : Number(config.responsePadding)
    })
    const protocol = (name: OhttpForm): Protocol => ({
      name,
      recognises: head => ohttpForm(head) === name,
      open (request) {
        if (!hpke.isReady) throw new Problem('not-ready')
        return gateway.open(request, name)
      },
      endpoints: [GATEWAY_PATH]
    })
    return [{ ...protocol('ohttp'), offered: true, keyResources: [createKeyResource(hpke)] }, protocol('ohttp-chunked')]
  }
}

const forms = new Map<string, OhttpForm>([[REQUEST_MEDIA_TYPE, 'ohttp'], [CHUNKED_REQUEST_MEDIA_TYPE, 'ohttp-chunked']])

/** Which of the two a request is, by its media type. */
export function ohttpForm ({ method, headers }: OuterHead): OhttpForm | undefined {
  const type = headers['content-type']
  if (method !== 'POST' || type === undefined) return undefined
  return forms.get(type) ?? (/ohttp/i.test(type) ? forms.get(type.split(';', 1)[0]!.trim().toLowerCase()) : undefined)
}

function createKeyResource (ring: HpkeRing): KeyResource {
  return {
    path: GATEWAY_PATH,
    mediaType: KEYS_MEDIA_TYPE,
    publication () {
      if (!ring.isReady) throw new Problem('not-ready')
      const { octets, maxAge } = ring.publication()
      return { bytes: octets, maxAge }
    },
    attested: () => ring.isReady ? [{ kind: 'ohttp-keys', value: Uint8Array.from(ring.publication().octets) }] : [],
    keys: () => ring.keys().map(key => listedKey('ohttp', key)),
    onChange: listener => onRingChange(ring, listener)
  }
}
