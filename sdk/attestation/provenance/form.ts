/** The form of a policy's section `provenance`. */
import { count, list, matching, must, object, required, text } from '../policy-rules.ts'
import type { Rule } from '../policy-rules.ts'
import { MAX_BUNDLES } from './sources.ts'

const MAX_LOGS = 16
const isObject = (value: unknown) => typeof value === 'object' && value !== null && !Array.isArray(value)
const parsed = must(isObject, 'must be an object')

const form = object({
  repository: required(matching(/^[\w.-]+\/[\w.-]+$/)),
  issuer: matching(/^https:\/\/[^?#\s@]+$/),
  workflow: matching(/^[\w./-]+\.ya?ml$/),
  ref: matching(/^refs\/[^\s*]*(?:\*[^\s*]*)?$/),
  refPrefix: matching(/^refs\/\S*$/),
  predicateTypes: list(text),
  statementTypes: list(text),
  payloadType: text,
  notBefore: must(value => typeof value === 'string' && isTime(value), 'must be a time as in RFC 3339'),
  minimumLogEntries: count(MAX_LOGS),
  maximumLogEntries: count(MAX_LOGS),
  minimumCertificateTimestamps: count(MAX_LOGS),
  minimumTimestamps: count(MAX_LOGS),
  bundles: list(parsed),
  trustedRoot: parsed
})

export const provenanceForm: Rule = (value, member) => {
  form(value, member)
  const { ref, refPrefix, bundles } = value as { ref?: string, refPrefix?: string, bundles?: unknown[] }
  must(() => ref === undefined || refPrefix === undefined, 'has ref and refPrefix: give one of them')(value, member)
  must(() => (bundles?.length ?? 0) <= MAX_BUNDLES, `has more than ${MAX_BUNDLES}`)(bundles, `${member}.bundles`)
}

function isTime (text: string): boolean {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/.test(text) &&
    !Number.isNaN(Date.parse(text))
}
