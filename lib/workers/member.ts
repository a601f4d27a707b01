/** A worker's side: keys and replay protection that the primary has, as this process's own. */
import { createRatchet } from '../keys/hpke/epoch-secrets.ts'
import type { EpochSecrets } from '../keys/hpke/ring.ts'
import { KeysBusyError, UnwrapError } from '../keys/provider.ts'
import type { KeyProvider, KeyStatus, PublishedKey } from '../keys/provider.ts'
import type { ClientLimiter, Verdict } from '../limits/limiter.ts'
import type { GroupCounts, MinuteCount, MinuteCounts } from '../limits/minute-counts.ts'
import type { Report } from '../metrics/report.ts'
import type { MessageMemory } from '../replay/message-memory.ts'
import { ReplayStoreError } from '../replay/store.ts'
import type { ReplayStore } from '../replay/store.ts'
import type { AcmeSource, AcmeState } from '../tls/acme/state.ts'
import type { TicketKeys } from '../tls/ticket-keys.ts'
import { ADMITTED, SEEN } from './messages.ts'
import type { ToPrimary, ToWorker, Unwrapped } from './messages.ts'

export interface Member {
  readonly keyProvider: KeyProvider
  /** Absent where the settings derive the secrets from the RSA key. */
  readonly epochSecrets: EpochSecrets | undefined
  /** Likewise, of the TLS keys. */
  readonly tlsSecrets: EpochSecrets | undefined
  /** Undefined if TLS is off. */
  readonly ticketKeys: TicketKeys | undefined
  /** Undefined if no authority issues certificates. */
  readonly acme: AcmeSource | undefined
  readonly replayStore: ReplayStore
  readonly messageMemory: MessageMemory
  readonly limiter: { readonly limiter: ClientLimiter, readonly key: Uint8Array }
  readonly counts: GroupCounts
  /** What it is called in metrics. */
  readonly worker: string
  /** Has the primary's questions how this process is answered. */
  reportTo (report: () => Promise<Report>): void
}

/** What the primary will answer, in the order of asking, by id. */
type Waiting<T> = Map<number, (answer: T) => void>

type Start = Extract<ToWorker, { type: 'start' }>
type State = Extract<ToWorker, { type: 'state' }>

/**
 * Joins the primary that started this process. Should the primary be gone, Node ends this process at once.
 *
 * @param stop called when the primary wants this process to end with grace
 */
export async function joinPrimary (stop: () => void): Promise<Member> {
  let keys: readonly PublishedKey[] = []
  let retiring: readonly string[] = []
  let status: KeyStatus = { ready: false, reason: 'asking the primary' }
  let replayProblem: string | undefined
  let messagesProblem: string | undefined
  let report: (() => Promise<Report>) | undefined
  const renewalListeners: (() => void)[] = []
  let tickets: Uint8Array | undefined
  const ticketListeners: (() => void)[] = []
  let acme: AcmeState | undefined
  const acmeListeners: (() => void)[] = []
  let nextId = 0
  const unwraps: Waiting<Unwrapped> = new Map()
  const memories: Waiting<number> = new Map()
  const verdicts: Waiting<Verdict> = new Map()
  const counted: Waiting<MinuteCount> = new Map()
  const derivations: Waiting<Uint8Array | undefined> = new Map()
  const { promise: ready, resolve: becomeReady } = Promise.withResolvers<void>()
  const { promise: started, resolve: start } = Promise.withResolvers<Start>()
  const replay = createBatches((id, digests, dates) => ask({ type: 'admit', id, digests, dates }))

  process.on('message', (message: ToWorker) => {
    switch (message.type) {
      case 'start':
        return start(message)
      case 'state':
        return update(message)
      case 'tickets':
        tickets = Uint8Array.from(message.secret)
        return ticketListeners.forEach(listener => listener())
      case 'acme':
        acme = message.state
        return acmeListeners.forEach(listener => listener())
      case 'unwrapped':
        return settle(unwraps, message.id, message.result)
      case 'derived':
        return settle(derivations, message.id, message.secret)
      case 'admitted':
        return replay.answered(message.id, message.results)
      case 'remembered':
        return settle(memories, message.id, message.result)
      case 'taken':
        return settle(verdicts, message.id, message.verdict)
      case 'counted':
        return settle(counted, message.id, message.count)
      case 'report':
        // Until it can be told, and should it fail, the primary goes by what it knows.
        report?.().then(report => ask({ type: 'reported', id: message.id, report }), () => undefined)
        return
      case 'stop':
        return stop()
    }
  })
  ask({ type: 'hello' })
  const { worker, ratchet, tlsRatchet, remote, derives, limitKey } = await started

  const keyProvider: KeyProvider = {
    remote,
    ready,
    status: () => status,
    publicKeys: () => keys,
    retiring: () => retiring,
    async unwrap (keyId, wrapped) {
      const result = await answerTo(unwraps, id => ask({ type: 'unwrap', id, keyId, wrapped }))
      if ('key' in result) return Uint8Array.from(result.key)
      throw result.error === 'busy' ? new KeysBusyError(result.retryAfter) : new UnwrapError()
    },
    // The primary does it by itself.
    refresh: async () => undefined,
    onRenewal (listener) { renewalListeners.push(listener) },
    close: async () => { status = { ready: false, reason: 'closed' } },
    ...derives && {
      async deriveSecret (keyId: string, info: string, length: number) {
        const secret = await answerTo(derivations, id => ask({ type: 'derive', id, keyId, info, length }))
        if (secret === undefined) throw new Error('The primary could not derive the secret')
        return Uint8Array.from(secret)
      }
    }
  }
  const replayStore: ReplayStore = {
    admit: async (digest, date) => verdict(await replay.add(digest, date)),
    problem: () => replayProblem,
    close: async () => undefined
  }
  const messageMemory: MessageMemory = {
    admit: async (keyId, digests) =>
      verdict(await answerTo(memories, id => ask({ type: 'remember', id, keyId, digests: Buffer.concat(digests) }))),
    problem: () => messagesProblem,
    close: async () => undefined
  }
  return {
    keyProvider,
    epochSecrets: ratchet && createRatchet(ratchet),
    tlsSecrets: tlsRatchet && createRatchet(tlsRatchet),
    // It came before the start.
    ticketKeys: tickets && {
      current: () => tickets ?? new Uint8Array(),
      onChange (listener) { ticketListeners.push(listener) },
      close: () => undefined
    },
    acme: acme && {
      state: () => acme as AcmeState,
      onChange (listener) { acmeListeners.push(listener) },
      begin: () => ask({ type: 'reachable' }),
      close: () => undefined
    },
    replayStore,
    messageMemory,
    limiter: {
      key: Uint8Array.from(limitKey),
      limiter: {
        take: client => answerTo(verdicts, id => ask({ type: 'take', id, client })),
        end: (client, bytes) => ask({ type: 'end', client, bytes })
      }
    },
    counts: { evidence: countsOf('evidence'), failedUnwraps: countsOf('failedUnwraps') },
    worker,
    reportTo (answer) { report = answer }
  }

  function update (state: State): void {
    const newest = keys[0]?.keyId
    ;({ keys, retiring, status, replayProblem, messagesProblem } = state)
    if (status.ready) becomeReady()
    if (newest !== undefined && newest !== keys[0]?.keyId) for (const listener of renewalListeners) listener()
  }

  function countsOf (what: keyof GroupCounts): MinuteCounts {
    return { add: (client, by) => answerTo(counted, id => ask({ type: 'count', id, what, client, by })) }
  }

  function answerTo<T> (waiting: Waiting<T>, send: (id: number) => void): Promise<T> {
    const id = nextId++
    return new Promise(resolve => {
      waiting.set(id, resolve)
      send(id)
    })
  }
}

/** Tells the primary why this worker cannot serve. Resolves once that is sent. */
export function reportProblems (problems: readonly string[]): Promise<void> {
  return new Promise(resolve => {
    const message: ToPrimary = { type: 'refused', problems }
    if (process.send === undefined) resolve()
    else process.send(message, undefined, undefined, () => resolve())
  })
}

function ask (message: ToPrimary): void {
  process.send?.(message)
}

function settle<T> (waiting: Waiting<T>, id: number, answer: T): void {
  waiting.get(id)?.(answer)
  waiting.delete(id)
}

function verdict (result: number | undefined): boolean {
  if (result !== ADMITTED && result !== SEEN) throw new ReplayStoreError('The replay store is unavailable')
  return result === ADMITTED
}

interface Question {
  readonly digest: Buffer
  readonly date: number | undefined
  readonly resolve: (result: number | undefined) => void
}

/** Puts what is asked within one turn of the event loop into one message: a message costs more than what it asks. */
function createBatches (send: (id: number, digests: Buffer, dates: readonly (number | undefined)[]) => void) {
  const sent = new Map<number, readonly Question[]>()
  let batch: Question[] = []
  let nextId = 0

  function flush (): void {
    const id = nextId++
    sent.set(id, batch)
    send(id, Buffer.concat(batch.map(({ digest }) => digest)), batch.map(({ date }) => date))
    batch = []
  }

  return {
    add (digest: Buffer, date: number | undefined): Promise<number | undefined> {
      return new Promise(resolve => {
        if (batch.push({ digest, date, resolve }) === 1) setImmediate(flush)
      })
    },
    answered (id: number, results: Uint8Array): void {
      for (const [i, { resolve }] of (sent.get(id) ?? []).entries()) resolve(results[i])
      sent.delete(id)
    }
  }
}
