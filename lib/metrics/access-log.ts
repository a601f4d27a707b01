/** One line in the log for each exchange: an observer of passages, for operators who ask for it. */
import { sharesOf } from './passage.ts'
import type { Observer } from './passage.ts'

interface Log {
  info (details: object, message: string): void
}

/** Sizes are told in multiples of this, rounded up. */
const SIZE_STEP = 1024

export function createAccessLog (log: Log): Observer {
  return {
    end (passage, { ended, statusClass, received, sent }) {
      const { requestId, protocol, begun, responded, opened } = passage
      // The proxy's own endpoints, and what was refused before it was known to be of a protocol.
      if (protocol === 'none') return
      const shares = opened === 0 ? undefined : sharesOf(passage, ended)
      const exchange = {
        protocol,
        status: statusClass === 0 ? 'none' : `${statusClass}xx`,
        received: stepped(received),
        sent: stepped(sent),
        duration: Math.ceil(ended - begun),
        ...responded > 0 && { firstByte: Math.ceil(responded - begun) },
        ...shares !== undefined && { proxy: Math.ceil(shares.proxy), workload: Math.ceil(shares.workload) }
      }
      log.info({ reqId: requestId, exchange }, 'exchange')
    }
  }
}

function stepped (bytes: number): number {
  return Math.ceil(bytes / SIZE_STEP) * SIZE_STEP
}
