/**
 * The verdict in one sentence, for people who will never read the checks: `polaris verify`, pages and logs share it.
 */
import { printable } from '../checks.ts'
import type { Verdict } from '../checks.ts'
import { reasonFor } from './reasons.ts'
import type { Devices, Machine, Software } from './subject.ts'

const MINUTE_MS = 60_000

/**
 * What the verdict means for a user who sends something confidential, or why nothing confidential should be sent.
 *
 * @param now when it is shown; a verdict that is older says how old it is
 *
 * @example
 * ```ts
 * import { attestKeys, verdictSentence } from '@polaris-secure-proxy/sdk/attestation'
 *
 * const policy = { version: 1, development: true, insecure: true, platforms: { simulated: {} } } as const
 * const { verdict } = await attestKeys({ baseURL: 'https://proxy.example', policy })
 * console.log(verdictSentence(verdict))
 * ```
 */
export function verdictSentence (verdict: Verdict, now: Date = new Date()): string {
  return printable(`${statement(verdict)}; ${whenOf(verdict, now)}.`)
}

function statement (verdict: Verdict): string {
  const { verified, tee, challenge, software, devices, weakenings = [] } = verdict
  if (!verified) return `Do not send anything confidential: ${refusal(verdict)}`
  if (tee === 'simulated') {
    return 'Your requests are not protected: the evidence is simulated, for development, and anybody can make it'
  }
  const { machine = { name: `trusted execution environment of the kind ${tee}` } } = verdict
  if (machine.exposed !== undefined) {
    return `Others may be able to read your requests: the policy accepts a machine that ${machine.exposed}`
  }
  const can = challenge === 'recording' ? 'Requests could then' : 'Your requests can'
  const where = machineText(machine) + devicesText(devices)
  const but = weakenings.length > 0 ? `; but its settings take back protections (${weakenings.join(', ')})` : ''
  return `${can} be read only by ${softwareText(software)}, ${where}${but}`
}

function refusal ({ tee, checks }: Verdict): string {
  if (tee === 'none') return 'this deployment does not run in a trusted execution environment'
  if (tee === 'simulated') return 'the evidence is simulated, which proves nothing'
  const failed = checks.filter(({ outcome }) => outcome === 'failed')
  const [first] = failed
  if (!first) return 'nothing was proven'
  const others = new Set(failed.map(reasonFor)).size - 1
  const more = others === 0 ? '' : others === 1 ? ', and for one more reason' : `, and for ${others} more reasons`
  return `nothing shows that only the expected software can read it, because ${reasonFor(first)}${more}`
}

function softwareText (software: Software | undefined): string {
  switch (software?.known) {
    case 'built': return `software built from ${software.repository} at ${refText(software.ref)}`
    case 'pinned': return 'the software that the policy pins'
    default: return 'software that the policy does not name, whatever it does with them'
  }
}

/** `refs/tags/v1.0.0` is the tag v1.0.0. */
function refText (ref: string): string {
  if (ref.startsWith('refs/tags/')) return ref.slice('refs/tags/'.length)
  return ref.startsWith('refs/heads/') ? `the branch ${ref.slice('refs/heads/'.length)}` : ref
}

function machineText ({ name, vouchedBy }: Machine): string {
  return `running${vouchedBy === undefined ? '' : `, as ${vouchedBy} attests,`} in a genuine ${name}`
}

function devicesText (devices: Devices | undefined): string {
  if (!devices) return ''
  const { count, vendor, kind, models } = devices
  return ` with ${count} genuine ${vendor} ${models.join(' and ')} ${kind}${count === 1 ? '' : 's'}`
}

function whenOf ({ at, challenge }: Verdict, now: Date): string {
  if (challenge === 'recording') return `from a recording, appraised as at ${at ? utc(at) : 'an unknown time'}`
  const cached = challenge === 'none' ? ', by evidence that was not made for you' : ''
  const age = at ? now.getTime() - at.getTime() : 0
  if (!at || Math.abs(age) < MINUTE_MS) return `checked just now${cached}`
  const minutes = Math.round(age / MINUTE_MS)
  if (minutes < 1 || minutes > 60) return `checked at ${utc(at)}${cached}`
  return `checked ${minutes === 1 ? 'a minute' : `${minutes} minutes`} ago${cached}`
}

function utc (time: Date): string {
  return `${time.toISOString().slice(0, 16).replace('T', ' ')} UTC`
}
