/** The memories of requests that the settings name. */
import type { Config } from '../config/config.ts'
import type { KeyProvider } from '../keys/provider.ts'
import { describeError } from '../http/describe-error.ts'
import { createMemoryReplayStore } from './memory.ts'
import { createKeyMemory, createWindowMemory } from './message-memory.ts'
import type { MessageMemory } from './message-memory.ts'
import type { ReplayStore } from './store.ts'

interface Log {
  info (details: object, message: string): void
  error (details: object, message: string): void
}

/**
 * The memory of v1 messages; undefined if none are opened, or the operator does without.
 *
 * @param sharedStore for keys that others have too, if there is such a store
 */
export function messageMemoryFrom (
  config: Config, keys: KeyProvider, sharedStore: ReplayStore | undefined, log: Log
): MessageMemory | undefined {
  if (!remembersMessages(config)) return undefined
  const { v1ReplayWindow: remember, v1ReplayCapacity: capacity } = config
  if (keys.renew === undefined) {
    return createWindowMemory(sharedStore ?? createMemoryReplayStore({ remember, capacity }))
  }
  return createKeyMemory({
    keyIds: () => [...keys.publicKeys().map(({ keyId }) => keyId), ...keys.retiring?.() ?? []],
    capacity,
    onFilling () {
      keys.renew?.().then(
        () => log.info(
          { keyId: keys.publicKeys()[0]?.keyId },
          'many v1 messages were remembered for the RSA key; continuing with a new one'
        ),
        error => log.error({ err: describeError(error) }, 'could not make a new RSA key'))
    }
  })
}

/** Whether v1 messages are opened, and refused when they come again. */
export function remembersMessages ({ enableInputEncryption, enableV1, v1ReplayProtection }: Config): boolean {
  return enableInputEncryption && enableV1 && v1ReplayProtection
}
