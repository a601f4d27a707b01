/** The process that has the keys and starts the workers, which serve. Without Fastify, and without a port. */
import cluster from 'node:cluster'
import type { Worker } from 'node:cluster'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Config } from '../config/config.ts'
import { describeError } from '../http/describe-error.ts'
import type { Report } from '../metrics/report.ts'
import { meteredKeyService } from '../metrics/services.ts'
import { limitsByWorker } from '../limits/by-worker.ts'
import { limitsFrom } from '../limits/from-config.ts'
import { createMemoryLimiter } from '../limits/limiter.ts'
import { createGroupCounts } from '../limits/minute-counts.ts'
import { rememberFor } from '../replay/remember.ts'
import type { Ratchet } from '../keys/hpke/epoch-secrets.ts'
import { keyProviderFrom } from '../platforms/choose.ts'
import { instanceRatchet } from '../keys/hpke/from-config.ts'
import { epochAt } from '../keys/hpke/ring.ts'
import type { KeyLog } from '../keys/rsa/key-versions.ts'
import { KeysBusyError } from '../keys/provider.ts'
import type { KeyProvider } from '../keys/provider.ts'
import { messageMemoryFrom } from '../replay/from-config.ts'
import { createMemoryReplayStore } from '../replay/memory.ts'
import type { MessageMemory } from '../replay/message-memory.ts'
import { DIGEST_BYTES } from '../replay/store.ts'
import type { ReplayStore } from '../replay/store.ts'
import { ADMITTED, SEEN, UNKNOWN } from './messages.ts'
import type { ToPrimary, ToWorker, Unwrapped } from './messages.ts'
import { observeWorkers, watchMemories } from './observed.ts'
import { tlsForWorkers } from './tls.ts'

/** A worker that dies at once is not started again at once. */
const RESTART_MS = 1000
const STATUS_MS = 250

export interface Primary {
  /** How all of it is. */
  report (): Promise<Report>
  /** Ends the workers with grace, then the keys. */
  stop (): Promise<void>
}

/** @param onRefused told once, instead of a start, if the first workers cannot serve as things are configured */
export async function startPrimary (
  config: Config, count: number, log: KeyLog, onRefused: (problems: readonly string[]) => void
): Promise<Primary> {
  const observed = observeWorkers(config)
  const provider = await keyProviderFrom(config, log)
  const keys = observed.isOn ? meteredKeyService(observed.meter, provider) : provider
  const ratchet = config.hpkeSeed === 'instance' ? instanceRatchet(config) : undefined
  const replays = createMemoryReplayStore({ remember: rememberFor(config), capacity: config.replayCapacity })
  const messages = messageMemoryFrom(config, keys, undefined, log)
  watchMemories(observed, replays, messages)
  const limits = limitsByWorker(createMemoryLimiter(limitsFrom(config)))
  const counts = createGroupCounts()
  const limitKey = randomBytes(32)
  const tls = await tlsForWorkers(config, log)
  await observed.listen(log)
  /** By their names in metrics: numbers from 1 on, of which a new worker has the lowest that is free. */
  const names = new Map<string, Worker>()
  let stopping = false
  let served = false
  let refused: readonly string[] | undefined

  cluster.setupPrimary({ serialization: 'advanced' })
  // That a worker has just ended shows here before its exit does, which is where it is dealt with. Without a callback,
  // the error would be an event without a listener, and end this process.
  const tell = (worker: Worker, message: ToWorker) => {
    if (worker.isConnected()) worker.send(message, () => undefined)
  }
  const workers = () => Object.values(cluster.workers ?? {}).filter(worker => worker !== undefined)

  function start (): void {
    const worker = cluster.fork()
    const name = Array.from({ length: count }, (_, i) => String(i + 1)).find(name => !names.has(name)) ?? 'other'
    names.set(name, worker)
    observed.group.join(name, id => tell(worker, { type: 'report', id }))
    worker.on('message', (message: ToPrimary) => {
      // What is read after its exit counts for no one: what it had is given back, and the name may be another's.
      if (names.get(name) === worker) answer(worker, name, message).catch(failed)
    })
    // A message to one that is just ending; its exit says the rest.
    worker.on('error', failed)
    worker.once('listening', () => { served = true })
    worker.once('exit', (code, signal) => {
      names.delete(name)
      observed.group.leave(name)
      limits.leave(name)
      if (stopping) return
      // What keeps the first ones from serving, such as an address that is taken, will keep all that follow.
      if (!served && signal === null) {
        stopping = true
        for (const other of workers()) other.kill('SIGKILL')
        if (refused === undefined) throw new Error('No worker could start serving')
        onRefused(refused)
        return
      }
      observed.meter.counter('restarts', name).add()
      log.error({ worker: worker.process.pid, code, signal }, 'a worker exited; starting another')
      setTimeout(() => { if (!stopping) start() }, RESTART_MS)
    })
  }

  async function answer (worker: Worker, name: string, message: ToPrimary): Promise<void> {
    switch (message.type) {
      case 'hello':
        if (tls !== undefined) tell(worker, { type: 'tickets', secret: tls.tickets.current() })
        if (tls?.acme !== undefined) tell(worker, { type: 'acme', state: tls.acme.state() })
        tell(worker, {
          type: 'start',
          worker: name,
          ratchet: ratchet && stateFor(ratchet, config),
          tlsRatchet: tls?.state(),
          remote: keys.remote,
          derives: keys.deriveSecret !== undefined,
          limitKey
        })
        return tell(worker, state())
      case 'reachable':
        return tls?.acme?.begin()
      case 'take':
        return tell(worker, { type: 'taken', id: message.id, verdict: await limits.take(name, message.client) })
      case 'count':
        return tell(
          worker, { type: 'counted', id: message.id, count: await counts[message.what].add(message.client, message.by) }
        )
      case 'end':
        return limits.end(name, message.client, message.bytes)
      case 'reported':
        return observed.group.answered(name, message.id, message.report)
      case 'refused':
        refused = message.problems
        return
      case 'unwrap':
        return tell(
          worker, { type: 'unwrapped', id: message.id, result: await unwrap(keys, message.keyId, message.wrapped) }
        )
      case 'derive':
        return tell(
          worker,
          { type: 'derived', id: message.id, secret: await derive(keys, message.keyId, message.info, message.length) }
        )
      case 'admit':
        return tell(
          worker, { type: 'admitted', id: message.id, results: await admitAll(replays, message.digests, message.dates) }
        )
      case 'remember':
        return tell(
          worker,
          { type: 'remembered', id: message.id, result: await remember(messages, message.keyId, message.digests) }
        )
    }
  }

  function failed (error: unknown): void {
    log.error({ err: describeError(error) }, 'could not answer a worker')
  }

  function state (): ToWorker {
    return {
      type: 'state',
      keys: keys.publicKeys(),
      retiring: keys.retiring?.() ?? [],
      status: keys.status(),
      replayProblem: replays.problem(),
      messagesProblem: messages?.problem()
    }
  }

  keys.ready.catch(error => log.error({ err: describeError(error) }, 'keys failed'))

  // Providers do not say when their keys change: what is told is compared.
  let told = ''
  const teller = setInterval(() => {
    // Nor does the primary keep what would make keys again that are gone.
    if (ratchet !== undefined) stateFor(ratchet, config).seed.fill(0)
    tls?.state()?.seed.fill(0)
    const message = state()
    const now = JSON.stringify(message)
    if (now === told) return
    told = now
    for (const worker of workers()) tell(worker, message)
  }, STATUS_MS)

  tls?.tickets.onChange(() => {
    for (const worker of workers()) tell(worker, { type: 'tickets', secret: tls.tickets.current() })
  })

  const acme = tls?.acme
  acme?.onChange(() => {
    for (const worker of workers()) tell(worker, { type: 'acme', state: acme.state() })
  })

  const refresh = () => {
    keys.refresh().catch(
      error => log.warn({ err: describeError(error) }, 'could not refresh keys; continuing with the current ones')
    )
  }
  const refresher = config.keyRefreshInterval > 0 ? setInterval(refresh, config.keyRefreshInterval) : undefined
  process.on('SIGHUP', refresh)

  for (let i = 0; i < count; i++) start()

  return {
    report: () => observed.group.report(),
    async stop () {
      stopping = true
      clearInterval(teller)
      clearInterval(refresher)
      tls?.tickets.close()
      tls?.acme?.close()
      process.off('SIGHUP', refresh)
      await Promise.all(workers().map(async worker => {
        if (worker.isDead()) return
        const exit = once(worker, 'exit')
        tell(worker, { type: 'stop' })
        await exit
      }))
      await Promise.all([observed.close(), keys.close(), replays.close(), messages?.close()])
    }
  }
}

/** From the oldest epoch whose keys clients may still hold; older ones can no longer be made. */
function stateFor (ratchet: Ratchet, { hpkeRotation, hpkeRetirement }: Config) {
  return ratchet.stateAt(Math.max(ratchet.earliest ?? 0, epochAt(Date.now() - hpkeRetirement, hpkeRotation)))
}

async function unwrap (keys: KeyProvider, keyId: string, wrapped: Uint8Array): Promise<Unwrapped> {
  try {
    return { key: await keys.unwrap(keyId, wrapped) }
  } catch (error) {
    return error instanceof KeysBusyError ? { error: 'busy', retryAfter: error.retryAfter } : { error: 'unwrap' }
  }
}

async function derive (
  keys: KeyProvider, keyId: string, info: string, length: number
): Promise<Uint8Array | undefined> {
  try {
    return await keys.deriveSecret?.(keyId, info, length)
  } catch {
    // The worker learns that there is none, and asks again later.
    return undefined
  }
}

async function admitAll (
  replays: ReplayStore, digests: Uint8Array, dates: readonly (number | undefined)[]
): Promise<Uint8Array> {
  const results: number[] = []
  for (const [i, digest] of digestsOf(digests).entries()) {
    results.push(await answered(() => replays.admit(digest, dates[i])))
  }
  return Uint8Array.from(results)
}

function remember (messages: MessageMemory | undefined, keyId: string, digests: Uint8Array): Promise<number> {
  return answered(() => messages?.admit(keyId, digestsOf(digests)) ?? true)
}

/** What asking a store comes to, as workers are told it. */
async function answered (ask: () => boolean | Promise<boolean>): Promise<number> {
  try {
    return await ask() ? ADMITTED : SEEN
  } catch {
    return UNKNOWN
  }
}

function digestsOf ({ buffer, byteOffset, byteLength }: Uint8Array): Buffer[] {
  const all = Buffer.from(buffer, byteOffset, byteLength)
  return Array.from(
    { length: byteLength / DIGEST_BYTES }, (_, i) => all.subarray(i * DIGEST_BYTES, (i + 1) * DIGEST_BYTES)
  )
}
