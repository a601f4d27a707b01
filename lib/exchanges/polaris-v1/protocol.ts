/** The legacy protocol, and what the proxy makes of its response sealing for requests that come unencrypted. */
import { createPublicKey } from 'node:crypto'
import { askingForIdentity } from '../../http/headers.ts'
import { Problem } from '../../http/problems.ts'
import type { IncomingRequest } from '../../http/incoming.ts'
import { createAdmission } from '../../keys/rsa/admission.ts'
import type { KeyProvider } from '../../keys/provider.ts'
import { MessageError } from '../../protocols/polaris-v1.ts'
import type { Exchange } from '../exchange.ts'
import { openPlain } from '../plain.ts'
import type { KeyResource, Protocol, ProtocolDefinition, ProtocolServices } from '../protocol.ts'
import { createFailedUnwraps } from './failed-unwraps.ts'
import { UNWRAPS_PER_REQUEST, isPolarisV1, openPolarisV1 } from './open.ts'
import { createSealer, parseResponseKey } from './seal.ts'
import type { Bytes } from '../../protocols/bytes.ts'

const PUBLIC_KEY_PATH = '/polaris-container/publicKey'

export const polarisV1: ProtocolDefinition = {
  headers: ({ urlHeader, secureHeader, responsePublicKeyHeader }) => [urlHeader, secureHeader, responsePublicKeyHeader],
  create: services => [createPolarisV1(services), ...createResponseSealing(services)]
}

/** Recognised only where encryption is required: elsewhere its headers are dropped, and the request is a plain one. */
function createPolarisV1 ({ config, keys, budget, messages, ownHeaders, failedUnwraps }: ProtocolServices): Protocol {
  const { enableV1, enableInputEncryption, keyRemoteFailedUnwraps, maxPendingUnwraps } = config
  const options = {
    ...config,
    own: ownHeaders,
    messages,
    // What is left of the queue is for the bodies of admitted requests.
    admit: createAdmission(Math.max(1, Math.floor(maxPendingUnwraps / UNWRAPS_PER_REQUEST)))
  }
  const failures = createFailedUnwraps(keyRemoteFailedUnwraps, failedUnwraps)

  /** Where an unwrap costs money, a client whose requests do not open is turned away for a while. */
  async function openCounted (request: IncomingRequest): Promise<Exchange> {
    const client = request.clientAddress()
    const retryAfter = await failures.retryAfter(client)
    if (retryAfter !== undefined) throw new Problem('too-many-requests', { retryAfter })
    try {
      return await openPolarisV1(request, keys, budget, options)
    } catch (error) {
      if (error instanceof Problem && error.code === 'cannot-open') await failures.failed(client)
      throw error
    }
  }

  return {
    name: 'polaris-v1',
    recognises: head => enableV1 && enableInputEncryption && isPolarisV1(head, options),
    async open (request) {
      if (!keys.status().ready) throw new Problem('not-ready')
      return keys.remote ? openCounted(request) : openPolarisV1(request, keys, budget, options)
    },
    offered: enableV1,
    keyResources: [createPublicKeyResource(keys, enableV1)]
  }
}

/**
 * The newest RSA key as JSON, as the original gives it: also while the protocol is off, and then neither attested nor
 * listed.
 */
function createPublicKeyResource (keys: KeyProvider, enabled: boolean): KeyResource {
  const published = () => enabled ? keys.publicKeys() : []
  return {
    path: PUBLIC_KEY_PATH,
    mediaType: 'application/json; charset=utf-8',
    publication () {
      const [newest] = keys.publicKeys()
      if (newest === undefined) throw new Problem('not-ready')
      return { bytes: Buffer.from(JSON.stringify({ publicKey: newest.pem })) }
    },
    attested: () => published().map(({ pem }) => ({ kind: 'polaris-v1-spki', value: spkiOf(pem) })),
    keys: () => published().map(({ keyId, algorithm, pem }, i) =>
      ({ protocol: 'polaris-v1', keyId, algorithm, state: i === 0 ? 'active' : 'retiring', publicKey: pem })),
    // That there will be no keys is for readiness to say.
    onChange (listener) {
      keys.ready.then(listener, () => undefined)
      keys.onRenewal?.(listener)
    }
  }
}

function spkiOf (pem: string): Bytes {
  return Uint8Array.from(createPublicKey(pem).export({ format: 'der', type: 'spki' }))
}

/**
 * With output encryption alone: every request is a plain one, and every response is sealed, to a key that came
 * unencrypted.
 */
function createResponseSealing ({ config, budget, ownHeaders }: ProtocolServices): Protocol[] {
  const { enableInputEncryption, enableOutputEncryption, contextRoot, maxBodyBytes, responsePublicKeyHeader } = config
  if (enableInputEncryption || !enableOutputEncryption) return []
  return [{
    name: 'polaris-v1-response',
    recognises: () => true,
    open (request) {
      const exchange = openPlain(request, { contextRoot, own: ownHeaders })
      const { [responsePublicKeyHeader]: header } = request.headers
      // TLS that ends here seals the response.
      if (header === undefined && request.caller.confidential === true) return exchange
      const sealer = createSealer(responseKey(header), budget, maxBodyBytes)
      return {
        ...exchange,
        protocol: 'polaris-v1-response',
        headers: askingForIdentity(exchange.headers),
        seal: sealer.seal,
        release: sealer.release
      }
    }
  }]
}

function responseKey (header: string | string[] | undefined): ReturnType<typeof parseResponseKey> {
  try {
    return parseResponseKey(header)
  } catch (error) {
    throw error instanceof MessageError ? new Problem('response-key-required', { cause: error }) : error
  }
}
