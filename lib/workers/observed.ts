/**
 * The primary's part in telling operators how the workers are: it asks them, and has the listener that they do not
 * have.
 */
import type { Config } from '../config/config.ts'
import { versions } from '../config/version.ts'
import { watchStore } from '../metrics/gauges.ts'
import { createGroup } from '../metrics/group.ts'
import type { Group } from '../metrics/group.ts'
import { createMeter } from '../metrics/meter.ts'
import type { Meter } from '../metrics/meter.ts'
import { watchProcess } from '../metrics/process.ts'
import type { MessageMemory } from '../replay/message-memory.ts'
import type { ReplayStore } from '../replay/store.ts'

export interface Observed {
  readonly meter: Meter
  readonly isOn: boolean
  readonly group: Group
  /** Begins to listen, if the settings say so. @throws {ConfigError} */
  listen (log: { info (details: object, message: string): void }): Promise<void>
  close (): Promise<void>
}

/** What a worker has counted since it was last asked is lost with it, if it crashes. */
const ASK_MS = 5000

export function observeWorkers (config: Config): Observed {
  const { adminAddress } = config
  const meter = createMeter()
  const isOn = adminAddress !== undefined
  const group = createGroup(() => meter.snapshot())
  const watched = watchProcess(meter, 'primary', isOn)
  meter.watch(put => put('build', [versions.version, versions.node], 1))
  const closing: (() => Promise<void>)[] = []
  return {
    meter,
    isOn,
    group,
    async listen (log) {
      if (adminAddress === undefined) return
      const { startAdmin } = await import('../admin/server.ts')
      const { address, close } = await startAdmin(adminAddress, () => group.report())
      const asker = setInterval(() => { group.report().catch(() => undefined) }, ASK_MS)
      log.info({ address }, 'admin endpoints')
      closing.push(async () => clearInterval(asker), close)
    },
    async close () {
      watched.close()
      await Promise.all(closing.map(close => close()))
    }
  }
}

/** What is remembered for all workers. */
export function watchMemories ({ meter }: Observed, replays: ReplayStore, messages: MessageMemory | undefined): void {
  watchStore(meter, 'requests', replays)
  if (messages !== undefined) watchStore(meter, 'v1-messages', messages)
}
