/**
 * Evidence of devices beside the CPU, such as GPUs. The proxy loads no vendor's library: it asks a program or an HTTP
 * service beside it, which the operator names, for evidence that answers a nonce. Whether the evidence is genuine is
 * for clients to verify; here it only has to be of the right form, about this nonce, and about as many devices as there
 * are.
 */
import type { TypedValue } from '../../protocols/attestation.ts'
import { commandOutput } from './command.ts'
import { readDeviceEvidence } from './read.ts'
import { serviceAnswer } from './service.ts'
import { deviceSource } from './source.ts'

export interface DeviceOptions {
  /** As the setting has it: a URL, or a command. */
  readonly source: string
  /** Milliseconds for one collection as a whole. */
  readonly timeoutMs: number
  /** How many devices there are. Evidence of another number is refused. */
  readonly count?: number | undefined
}

/**
 * What `createAttestationService` takes: evidence for a nonce of 32 bytes, as items of the document's `devices`.
 *
 * @throws {RemoteError} the returned function rejects with it, within bounded time
 */
export function deviceCollector ({ source, timeoutMs, count }: DeviceOptions) {
  return async (nonce: Uint8Array, signal: AbortSignal): Promise<readonly TypedValue[]> => {
    const hex = Buffer.from(nonce).toString('hex')
    const asked = deviceSource(source, hex)
    const text = 'url' in asked
      ? await serviceAnswer(asked.url, timeoutMs, signal)
      : await commandOutput(asked.file, asked.args, timeoutMs, signal)
    return readDeviceEvidence(text, hex, count)
  }
}
