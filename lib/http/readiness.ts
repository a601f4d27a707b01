/** Whether the proxy can do its work, and if not, why: named reasons, fit for `/readyz`. */

/** Says why not, or undefined where all is well. */
export type ReadinessCheck = () => string | undefined | Promise<string | undefined>

export interface Readiness {
  /** Adds a check. Its name stands in front of its reason. */
  add (name: string, check: ReadinessCheck): void
  /** Empty where ready. */
  reasons (): Promise<readonly string[]>
  /** From now on the proxy is not ready, because it is stopping. */
  stop (): void
  readonly stopping: boolean
}

export function createReadiness (): Readiness {
  const checks = new Map<string, ReadinessCheck>()
  let stopping = false
  return {
    add (name, check) { checks.set(name, check) },
    async reasons () {
      const found = await Promise.all([...checks].map(async ([name, check]) => {
        const reason = await check()
        return reason === undefined ? [] : [`${name}: ${reason}`]
      }))
      return [...stopping ? ['stopping'] : [], ...found.flat()]
    },
    stop () { stopping = true },
    get stopping () { return stopping }
  }
}
