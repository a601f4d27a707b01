/** Settings that are fine each but not together. */
import type { KeyType, Requirement, When } from '../platforms/platform.ts'
import type { Registry } from '../platforms/registry.ts'
import { parseDuration } from './settings/formats.ts'
import type { SettingsTable } from './settings/setting.ts'
import { parseListenAddress } from './settings/listen-address.ts'
import { settings } from './settings.ts'
import type { SettingName } from './settings.ts'

/** The text of a setting, its default included, by its name in code: also of one whose value is not accepted. */
export type TextOf = (name: string) => string

/** With two KEMs, the active and the pending epoch included, well below 256 keys. */
const MAX_RETIRING_EPOCHS = 100

/** A sentence for each contradiction, with the variables to change. */
export function contradictions (text: TextOf, table: SettingsTable, { keyTypes, attesterTypes }: Registry): string[] {
  const keyType = keyTypes.find(({ name }) => name === text('keyType'))
  const attesterType = attesterTypes.find(({ name }) => name === text('attestationType'))
  return [
    ...headerProblems(text),
    ...bufferProblems(text),
    ...missing(keyType?.requires ?? [], `${env('keyType')} is ${text('keyType')}`, text, table),
    ...missing(attesterType?.requires ?? [], `${env('attestationType')} is ${text('attestationType')}`, text, table),
    ...keyType === undefined ? [] : seedProblems(keyType, text),
    ...epochProblems(text),
    ...replayProblems(text),
    ...dateProblems(text),
    ...adminProblems(text),
    ...deviceProblems(text),
    ...tlsProblems(text)
  ]
}

function env (name: SettingName): string {
  return settings[name].env
}

function headerProblems (text: TextOf): string[] {
  const names: SettingName[] = ['urlHeader', 'secureHeader', 'responsePublicKeyHeader']
  if (new Set(names.map(name => text(name).toLowerCase())).size === names.length) return []
  const [url, secure, key] = names.map(env)
  return [`${url}, ${secure} and ${key} must name three different headers`]
}

function bufferProblems (text: TextOf): string[] {
  const isTooSmall = Number(text('maxBufferedBytes')) < Number(text('maxBodyBytes'))
  return isTooSmall ? [`${env('maxBufferedBytes')} must not be smaller than ${env('maxBodyBytes')}`] : []
}

function missing (
  requirements: readonly Requirement<SettingsTable>[], why: string, text: TextOf, table: SettingsTable
): string[] {
  return requirements.flatMap(requirement => {
    const { setting, when = {} } = typeof requirement === 'object' ? requirement : { setting: requirement }
    if (!holds(when, text) || text(String(setting)).replaceAll(/[\s,]/g, '') !== '') return []
    const reasons = [why, ...Object.entries(when).map(([name, value]) => `${table[name]?.env} is ${value}`)]
    return [`${table[setting]?.env} is required if ${reasons.at(-1)}`]
  })
}

function holds (when: When<SettingsTable>, text: TextOf): boolean {
  return Object.entries(when).every(([name, value]) => text(name) === value)
}

function seedProblems (keyType: KeyType, text: TextOf): string[] {
  const chosen = text('hpkeSeed')
  if (chosen !== 'derived' && chosen !== 'sealed') return []
  const possible: readonly string[] = keyType.seeds.filter(({ when = {} }) => holds(when, text)).map(({ seed }) => seed)
  const problems = chosen === 'sealed' && text('hpkeSeedFile') === ''
    ? [`${env('hpkeSeedFile')} is required if ${env('hpkeSeed')} is sealed`]
    : []
  if (possible.length === 0) {
    problems.push(
      `${env('hpkeSeed')} can only be instance if ${env('keyType')} is ${keyType.name}: no other instance has that key`
    )
  } else if (!possible.includes(chosen)) {
    problems.push(`${env('hpkeSeed')} cannot be ${chosen} if the private key is not in memory; ${possible.join()} can`)
  }
  return problems
}

/**
 * Key ids have one byte, and those of replicas follow the epoch: of keys that live at one time, each must have its own.
 */
function epochProblems (text: TextOf): string[] {
  const rotation = parseDuration(text('hpkeRotation'))
  if (rotation === 0 || !(parseDuration(text('hpkeRetirement')) / rotation > MAX_RETIRING_EPOCHS)) return []
  return [`${env('hpkeRetirement')} must not be longer than ${MAX_RETIRING_EPOCHS} times ${env('hpkeRotation')}`]
}

/** Keys that outlive the process, or that others have, open requests that its memory does not hold. */
function replayProblems (text: TextOf): string[] {
  if (text('hpkeSeed') === 'instance' || text('replayStore') !== 'memory') return []
  if (text('enableOhttp') === 'false' && text('enableEhbp') !== 'true') return []
  return [
    `${env('replayStore')} must be a store that all replicas share if ${env('hpkeSeed')} is ${text('hpkeSeed')}: ` +
    'with memory, a recorded request could be sent again to another replica, or to this one after a restart'
  ]
}

/** Requests without a Date are remembered for as long as their key lives, which has to end. */
function dateProblems (text: TextOf): string[] {
  if (parseDuration(text('hpkeRotation')) !== 0) return []
  const undated = [
    ...text('ohttpDate') === 'optional' ? [`${env('ohttpDate')} cannot be optional`] : [],
    ...text('enableEhbp') === 'true' ? [`${env('enableEhbp')} cannot be true`] : []
  ]
  return undated.map(refused =>
    `${refused} if ${env('hpkeRotation')} is 0: requests would have to be remembered for ever`)
}

/** What is for operators is never on the public port. */
function adminProblems (text: TextOf): string[] {
  const address = parseListenAddress(text('adminAddress'))
  if (address === undefined || 'path' in address || address.port === 0) return []
  const others: SettingName[] = ['port', ...text('tls') === 'off' ? [] : ['tlsPort' as const]]
  return others.filter(name => String(address.port) === text(name))
    .map(name => `${env('adminAddress')} must not have the port of ${env(name)}`)
}

function tlsProblems (text: TextOf): string[] {
  const mode = text('tls')
  if (mode === 'off') {
    return text('port') === 'off' ? [`${env('port')} cannot be off if ${env('tls')} is: nothing would listen`] : []
  }
  const required: SettingName[] = mode === 'files'
    ? ['tlsCertFile', 'tlsKeyFile']
    : mode === 'acme' ? ['tlsAcmeDirectory'] : []
  const overlap = parseDuration(text('tlsOverlap'))
  return [
    ...required.filter(name => text(name) === '').map(name => `${env(name)} is required if ${env('tls')} is ${mode}`),
    ...text('tlsPort') !== '0' && text('tlsPort') === text('port')
      ? [`${env('tlsPort')} must not be the port of ${env('port')}`]
      : [],
    ...mode !== 'acme' && overlap >= parseDuration(text('tlsRotation'))
      ? [`${env('tlsOverlap')} must be shorter than ${env('tlsRotation')}`]
      : [],
    ...mode === 'acme' ? acmeProblems(text) : []
  ]
}

/** What an authority would not issue, or could not look at. */
function acmeProblems (text: TextOf): string[] {
  const names = text('tlsNames')
  const [id, file] = ['tlsAcmeEabKeyId', 'tlsAcmeEabKeyFile'] as const
  return [
    ...names === settings.tlsNames.default ? [`${env('tlsNames')} is required if ${env('tls')} is acme`] : [],
    ...names.includes('*')
      ? [`${env('tlsNames')} must be without wildcards if ${env('tls')} is acme: they take a proof by DNS`]
      : [],
    ...text('tlsAcmeChallenge') === 'http-01' && text('port') === 'off'
      ? [`${env('port')} cannot be off if ${env('tlsAcmeChallenge')} is http-01: the authority asks there`]
      : [],
    ...(text(id) === '') !== (text(file) === '') ? [`${env(id)} and ${env(file)} are set both, or neither`] : []
  ]
}

/** GPUs prove nothing by themselves: their evidence is bound into that of the platform. */
function deviceProblems (text: TextOf): string[] {
  if (text('attestationDevices') === '') {
    return text('attestationDevicesCount') === ''
      ? []
      : [`${env('attestationDevicesCount')} needs ${env('attestationDevices')}: nothing is asked for their evidence`]
  }
  return text('attestationType') === 'none'
    ? [`${env('attestationDevices')} needs a platform to bind the evidence to: ${env('attestationType')} is none`]
    : []
}
