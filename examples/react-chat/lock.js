/** What the lock shows: the SDK's own record of what the proxy has proven, as a store that React follows. */
import { createPolarisFetch } from '../../sdk/index.ts'

/** How long before a proof runs out the next is asked for, so that nobody has to wait for it. */
const AHEAD_MS = 5000

/**
 * @returns the fetch to send prompts with, and the lock: `subscribe` and `snapshot` are for useSyncExternalStore
 */
export function createLock ({ baseURL, policy, maxAge = 600 }) {
  const listeners = new Set()
  let current = { state: 'waiting', verdict: undefined, error: undefined }

  const polarisFetch = createPolarisFetch({
    baseURL,
    attestation: { policy, maxAge, onRenewalFailure: error => set({ state: 'open', error }) }
  })
  const { attestation } = polarisFetch

  return {
    polarisFetch,
    subscribe (listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    snapshot: () => current,
    /** Has the proxy prove itself, now and before each proof runs out. Returns what ends it. */
    keep () {
      let ended = false
      let timer
      renew()
      return () => {
        ended = true
        clearTimeout(timer)
      }

      async function renew () {
        try {
          await attestation.verify({ fresh: true })
          set({ state: 'locked', error: undefined })
        } catch (error) {
          set({ state: 'open', error })
        }
        const left = attestation.until === undefined ? 0 : attestation.until - Date.now()
        if (!ended) timer = setTimeout(renew, Math.max(1000, left - AHEAD_MS))
      }
    }
  }

  function set (change) {
    current = { ...change, verdict: attestation.verdict }
    for (const listener of listeners) listener()
  }
}
