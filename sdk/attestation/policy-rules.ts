/** Rules for the form of policies: small functions that throw an error which names the member at fault. */

/** The policy is malformed or pins nothing. The message names the member at fault. */
export class AttestationPolicyError extends Error {
  override readonly name = 'AttestationPolicyError'
  readonly code = 'ERR_ATTESTATION_POLICY'
}

/** @throws {AttestationPolicyError} */
export type Rule = (value: unknown, member: string) => void

/**
 * What a policy may say about one kind of evidence. Apart from the verifier, so that policies can be read without it.
 */
export interface PolicySection<Policy = unknown> {
  /** `tee` of the documents that it is about, and the name of the section. */
  readonly tee: string
  readonly form: Rule
  /** The evidence proves nothing: only policies that say `"development": true` may have the section. */
  readonly development?: true
  /**
   * What is missing in a section that would let anybody's program pass, as the end of "pins no software: give …".
   * Not asked if the policy says `"insecure": true`.
   *
   * @param built the policy demands provenance of what runs: the verifier's findings say what that is
   */
  unpinned (policy: Policy, built: boolean): string | undefined
}

/** An object with these members and no others: a misspelt pin would pin nothing. */
export function object (rules: Readonly<Record<string, Rule & { required?: true }>>): Rule {
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

/** As `object`, with at least one member: an empty one looks like a pin and is none. */
export function someOf (rules: Readonly<Record<string, Rule>>): Rule {
  const rule = object(rules)
  return (value, member) => {
    rule(value, member)
    const given = Object.values(plainObject(value, member)).filter(item => item !== undefined)
    if (given.length === 0) {
      throw new AttestationPolicyError(`${member} must have at least one of ${Object.keys(rules).join(', ')}`)
    }
  }
}

/** An object with any members, each by the same rule. */
export function record (rule: Rule): Rule {
  return (value, member) => {
    for (const [name, item] of Object.entries(plainObject(value, member))) rule(item, `${member}.${name}`)
  }
}

function plainObject (value: unknown, member: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new AttestationPolicyError(`${member} must be an object`)
  }
  return value as Record<string, unknown>
}

export function required (rule: Rule): Rule & { required: true } {
  return Object.assign((value: unknown, member: string) => rule(value, member), { required: true as const })
}

export function list (rule: Rule): Rule {
  return (value, member) => {
    if (!Array.isArray(value)) throw new AttestationPolicyError(`${member} must be a list`)
    value.forEach((item, index) => rule(item, `${member}[${index}]`))
  }
}

export function exactly (expected: number): Rule {
  return must(value => value === expected, `must be ${expected}`)
}

export function oneOf (...values: ReadonlyArray<string | number>): Rule {
  return must(value => values.some(item => item === value), `must be one of ${values.join(', ')}`)
}

export function matching (pattern: RegExp): Rule {
  return must(value => typeof value === 'string' && pattern.test(value), `must match ${pattern.source}`)
}

/** Lower-case hexadecimal of that many bytes. */
export function hex (bytes: number): Rule {
  return matching(new RegExp(`^[\\da-f]{${2 * bytes}}$`))
}

export function must (holds: (value: unknown) => boolean, rule: string): Rule {
  return (value, member) => {
    if (!holds(value)) throw new AttestationPolicyError(`${member} ${rule}`)
  }
}

export const text = must(value => typeof value === 'string' && value !== '', 'must be text')
export const anyText = must(value => typeof value === 'string', 'must be text')
export const flag = must(value => typeof value === 'boolean', 'must be true or false')

export function count (most = Number.MAX_SAFE_INTEGER): Rule {
  const holds = (value: unknown) => Number.isSafeInteger(value) && Number(value) >= 0 && Number(value) <= most
  return must(
    holds,
    most === Number.MAX_SAFE_INTEGER ? 'must be a whole number' : `must be a whole number, at most ${most}`
  )
}
