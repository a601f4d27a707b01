/**
 * Unwraps the keys and IVs of one request's messages. Messages do not say which key version they were made for: the
 * first one of a request finds out, trying newest first; the others follow it.
 */
import { UnwrapError } from '../../keys/provider.ts'
import type { KeyProvider } from '../../keys/provider.ts'
import { checkIV, checkKey, parseMessageHeader } from '../../protocols/polaris-v1.ts'
import { messageDigest } from '../../replay/message-memory.ts'

/** The AES key and IV of one message, unwrapped. */
export interface MessageSecrets { readonly key: Uint8Array, readonly iv: Uint8Array }
/** Takes the header of a message. @throws {MessageError}, {UnwrapError}, {KeysBusyError} */
export type UnwrapSecrets = (header: Uint8Array) => Promise<{ secrets: MessageSecrets, authTag: Uint8Array }>

export interface SecretsOpener {
  readonly unwrap: UnwrapSecrets
  /** Which key opened the messages so far, and their digests; without key while there are none. */
  opened (): { readonly keyId: string | undefined, readonly digests: readonly Buffer[] }
}

export function createSecretsOpener (keys: KeyProvider): SecretsOpener {
  const keyIds = [...keys.publicKeys().map(({ keyId }) => keyId), ...keys.retiring?.() ?? []]
  const digests: Buffer[] = []
  let usedKeyId: string | undefined
  let choosing: Promise<{ keyId: string, key: Uint8Array }> | undefined

  async function choose (wrapped: Uint8Array): Promise<{ keyId: string, key: Uint8Array }> {
    for (const keyId of keyIds) {
      try {
        return { keyId, key: await keys.unwrap(keyId, wrapped) }
      } catch (error) {
        if (!(error instanceof UnwrapError)) throw error
      }
    }
    throw new UnwrapError()
  }

  async function unwrapBoth (wrappedKey: Uint8Array, wrappedIV: Uint8Array) {
    const [only] = keyIds
    if (only !== undefined && keyIds.length === 1) {
      const [key, iv] = await Promise.all([keys.unwrap(only, wrappedKey), keys.unwrap(only, wrappedIV)])
      return { keyId: only, key, iv }
    }
    if (choosing === undefined) {
      choosing = choose(wrappedKey)
      const { keyId, key } = await choosing
      return { keyId, key, iv: await keys.unwrap(keyId, wrappedIV) }
    }
    const { keyId } = await choosing
    const [key, iv] = await Promise.all([keys.unwrap(keyId, wrappedKey), keys.unwrap(keyId, wrappedIV)])
    return { keyId, key, iv }
  }

  return {
    async unwrap (header) {
      const { wrappedKey, wrappedIV, authTag } = parseMessageHeader(header)
      const { keyId, key, iv } = await unwrapBoth(wrappedKey, wrappedIV)
      checkKey(key)
      checkIV(iv)
      usedKeyId = keyId
      digests.push(messageDigest(keyId, wrappedKey, authTag))
      return { secrets: { key, iv }, authTag }
    },
    opened: () => ({ keyId: usedKeyId, digests })
  }
}
