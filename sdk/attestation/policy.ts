/**
 * Appraisal policies (RFC 9334, section 8.5): what a client accepts. Plain JSON, documented in docs/attestation.md.
 * Hashes are lower-case hexadecimal. A list holds alternatives, so that an upgrade can roll; a list that is left out
 * accepts anything, and then the verdict says so.
 */

export interface GooglePolicy {
  /** The audience that the proxy asks for; `POLARIS_CONTAINER_ATTESTATION_AUDIENCE`. */
  readonly audience: string
  /** `sha256:` and 64 hexadecimal digits each. */
  readonly imageDigests?: readonly string[]
  readonly projectIds?: readonly string[]
  readonly serviceAccounts?: readonly string[]
  /** `hwmodel`, e.g. GCP_AMD_SEV, GCP_INTEL_TDX. */
  readonly hardwareModels?: readonly string[]
  /** Environment variables that the operator may override, each with the values accepted for it. Others fail. */
  readonly environment?: Readonly<Record<string, readonly string[]>>
  /** The command line that the operator set instead of the image's. Left out: none may be set. */
  readonly command?: readonly string[]
  /** Accepts images of Confidential Space that allow debugging. */
  readonly allowDebug?: boolean
}

export interface AzureMaaPolicy {
  /** https URLs of the attestation providers, as in `iss`. */
  readonly issuers: readonly string[]
  /** SHA-256 of the confidential computing enforcement policy, which names the containers. */
  readonly hostData?: readonly string[]
  readonly measurements?: readonly string[]
  readonly minimumGuestSvn?: number
  readonly allowDebug?: boolean
}

/** Parts of an SEV-SNP TCB version, each at least. */
export interface SnpTcb {
  readonly fmc?: number
  readonly bootloader?: number
  readonly tee?: number
  readonly snp?: number
  readonly microcode?: number
}

export interface SnpPolicy {
  readonly measurements?: readonly string[]
  readonly hostData?: readonly string[]
  readonly minimumTcb?: SnpTcb
  readonly minimumGuestSvn?: number
  /** The least privileged level accepted; 0 where left out. */
  readonly maximumVmpl?: number
  readonly products?: ReadonlyArray<'Milan' | 'Genoa' | 'Turin'>
  readonly allowDebug?: boolean
  readonly allowMigration?: boolean
}

/** One accepted state of a trust domain. What is left out is not compared. */
export interface TdxMeasurement {
  readonly mrtd: string
  readonly rtmr0?: string
  readonly rtmr1?: string
  readonly rtmr2?: string
  readonly rtmr3?: string
}

export interface TdxPolicy {
  readonly measurements?: readonly TdxMeasurement[]
  /** Left out: UpToDate alone. */
  readonly tcbStatuses?: readonly string[]
}

export interface SimulatedPolicy {
  /** RFC 7638 thumbprints of development roots. */
  readonly roots?: readonly string[]
}

export interface PlatformPolicies {
  readonly 'google-confidential-space'?: GooglePolicy
  readonly 'azure-maa'?: AzureMaaPolicy
  readonly 'sev-snp'?: SnpPolicy
  readonly tdx?: TdxPolicy
  readonly simulated?: SimulatedPolicy
}

export interface AttestationPolicy {
  readonly version: 1
  /** Platforms that are not named are refused. */
  readonly platforms: PlatformPolicies
  /** Of tokens, from `iat` on. 300 where left out. */
  readonly maximumAgeSeconds?: number
  /** How far clocks may differ. 60 where left out. */
  readonly clockToleranceSeconds?: number
  /** Accepts evidence that does not answer this client's nonce, as long as it is a token with a time of its own. */
  readonly allowCached?: boolean
  /** Accepts simulated evidence. Never for production. */
  readonly development?: boolean
  /** Accepts a platform section that pins no software: genuine hardware then runs anybody's program. */
  readonly insecure?: boolean
}

/** The policy is malformed or pins nothing. The message names the member at fault. */
export class AttestationPolicyError extends Error {
  override readonly name = 'AttestationPolicyError'
  readonly code = 'ERR_ATTESTATION_POLICY'
}

const HASH_256 = /^[\da-f]{64}$/
const HASH_384 = /^[\da-f]{96}$/

type Rule = (value: unknown, member: string) => void

/**
 * Checks a policy's form, member by member; an unknown member is refused, since a misspelt pin would pin nothing.
 *
 * @param policy JSON text, or what JSON.parse made of it
 * @throws {AttestationPolicyError}
 */
export function parseAttestationPolicy (policy: unknown): AttestationPolicy {
  const value = typeof policy === 'string' ? parseJson(policy) : policy
  object({
    version: required(exactly(1)),
    platforms: required(object({
      'google-confidential-space': object({
        audience: required(text),
        imageDigests: list(matching(/^sha256:[\da-f]{64}$/)),
        projectIds: list(text),
        serviceAccounts: list(text),
        hardwareModels: list(text),
        environment: record(list(anyText)),
        command: list(anyText),
        allowDebug: flag
      }),
      'azure-maa': object({
        issuers: required(list(issuer)),
        hostData: list(matching(HASH_256)),
        measurements: list(matching(HASH_384)),
        minimumGuestSvn: count,
        allowDebug: flag
      }),
      'sev-snp': object({
        measurements: list(matching(HASH_384)),
        hostData: list(matching(HASH_256)),
        minimumTcb: object({ fmc: count, bootloader: count, tee: count, snp: count, microcode: count }),
        minimumGuestSvn: count,
        // Reports that the host asked for itself say 2^32 - 1.
        maximumVmpl: must(value => [0, 1, 2, 3].some(level => level === value), 'must be from 0 to 3'),
        products: list(matching(/^(?:Milan|Genoa|Turin)$/)),
        allowDebug: flag,
        allowMigration: flag
      }),
      tdx: object({
        measurements: list(object({
          mrtd: required(matching(HASH_384)),
          rtmr0: matching(HASH_384),
          rtmr1: matching(HASH_384),
          rtmr2: matching(HASH_384),
          rtmr3: matching(HASH_384)
        })),
        tcbStatuses: list(text)
      }),
      simulated: object({ roots: list(matching(/^[\w-]{43}$/)) })
    })),
    maximumAgeSeconds: count,
    clockToleranceSeconds: count,
    allowCached: flag,
    development: flag,
    insecure: flag
  })(value, 'policy')
  const parsed = value as AttestationPolicy
  refuseEmptyPins(parsed)
  return parsed
}

/** Genuine hardware proves nothing about the program that runs on it: each section has to pin that program. */
function refuseEmptyPins (policy: AttestationPolicy) {
  const { platforms } = policy
  if (Object.keys(platforms).length === 0) throw new AttestationPolicyError('policy.platforms names no platform')
  if (platforms.simulated && !policy.development) {
    throw new AttestationPolicyError('policy.platforms.simulated needs "development": true')
  }
  if (policy.insecure) return
  const pins: Array<[section: keyof PlatformPolicies, member: string, pinned: readonly unknown[] | undefined]> = [
    ['google-confidential-space', 'imageDigests', platforms['google-confidential-space']?.imageDigests],
    ['azure-maa', 'hostData', platforms['azure-maa']?.hostData],
    ['sev-snp', 'measurements', platforms['sev-snp']?.measurements],
    // MRTD covers the firmware alone; the kernel and what it starts are in the run-time registers.
    ['tdx', 'measurements with mrtd and a rtmr', platforms.tdx?.measurements?.every(hasRuntimeRegister) ? platforms.tdx.measurements : []],
    ['simulated', 'roots', platforms.simulated?.roots]
  ]
  for (const [section, member, pinned] of pins) {
    if (platforms[section] && !pinned?.length) {
      throw new AttestationPolicyError(`policy.platforms.${section} pins no software: give ${member}, or say "insecure": true`)
    }
  }
}

function hasRuntimeRegister ({ rtmr0, rtmr1, rtmr2, rtmr3 }: TdxMeasurement): boolean {
  return [rtmr0, rtmr1, rtmr2, rtmr3].some(register => register !== undefined)
}

function parseJson (json: string): unknown {
  try {
    return JSON.parse(json)
  } catch (cause) {
    throw new AttestationPolicyError('The policy is not JSON', { cause })
  }
}

function object (rules: Record<string, Rule & { required?: true }>): Rule {
  return (value, member) => {
    const members = plainObject(value, member)
    for (const name of Object.keys(members)) {
      const rule = Object.hasOwn(rules, name) ? rules[name] : undefined
      if (!rule) throw new AttestationPolicyError(`${member}.${name} is not known`)
      if (members[name] !== undefined) rule(members[name], `${member}.${name}`)
    }
    for (const [name, rule] of Object.entries(rules)) {
      if (rule.required && members[name] === undefined) throw new AttestationPolicyError(`${member}.${name} is missing`)
    }
  }
}

function record (rule: Rule): Rule {
  return (value, member) => {
    for (const [name, item] of Object.entries(plainObject(value, member))) rule(item, `${member}.${name}`)
  }
}

function plainObject (value: unknown, member: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new AttestationPolicyError(`${member} must be an object`)
  return value as Record<string, unknown>
}

function required (rule: Rule): Rule & { required: true } {
  return Object.assign((value: unknown, member: string) => rule(value, member), { required: true as const })
}

function list (rule: Rule): Rule {
  return (value, member) => {
    if (!Array.isArray(value)) throw new AttestationPolicyError(`${member} must be a list`)
    value.forEach((item, index) => rule(item, `${member}[${index}]`))
  }
}

function exactly (expected: number): Rule {
  return must(value => value === expected, `must be ${expected}`)
}

function matching (pattern: RegExp): Rule {
  return must(value => typeof value === 'string' && pattern.test(value), `must match ${pattern.source}`)
}

function must (holds: (value: unknown) => boolean, rule: string): Rule {
  return (value, member) => {
    if (!holds(value)) throw new AttestationPolicyError(`${member} ${rule}`)
  }
}

const text = must(value => typeof value === 'string' && value !== '', 'must be text')
const anyText = must(value => typeof value === 'string', 'must be text')
const flag = must(value => typeof value === 'boolean', 'must be true or false')
const count = must(value => Number.isSafeInteger(value) && Number(value) >= 0, 'must be a whole number')
const issuer = must(value => typeof value === 'string' && /^https:\/\/[^/?#\s@]+$/.test(value), 'must be https://host')
