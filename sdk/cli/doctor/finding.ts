/** What the doctor finds. */
import { withoutTrailingSlashes } from '../../../lib/protocols/trailing-slashes.ts'

export type Outcome = 'ok' | 'warning' | 'problem' | 'skipped'

export interface Finding {
  /** Stable, kebab-case. */
  readonly name: string
  readonly outcome: Outcome
  readonly detail: string
  /** What to do about it. */
  readonly advice?: string
}

/** Makes findings of one name. */
export function findings (name: string) {
  return {
    ok: (detail: string): Finding => ({ name, outcome: 'ok', detail }),
    skipped: (detail: string): Finding => ({ name, outcome: 'skipped', detail }),
    warning: (detail: string, advice: string): Finding => ({ name, outcome: 'warning', detail, advice }),
    problem: (detail: string, advice: string): Finding => ({ name, outcome: 'problem', detail, advice })
  }
}

/** What the checks are made with. */
export interface Patient {
  /** Where the proxy is mounted; no slash at the end of its path. */
  readonly url: URL
  readonly network: import('../network/network.ts').Network
  readonly timeout: number
}

export function below ({ url }: Patient, path: string): string {
  return `${url.origin}${withoutTrailingSlashes(url.pathname)}${path}`
}
