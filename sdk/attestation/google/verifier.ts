/**
 * Appraises a token of Google Confidential Space: Google's verifier looked at the virtual machine, and its claims name
 * the container image, the project and what the operator may override.
 */
import { MEDIA_TYPES } from '../../../lib/protocols/attestation.ts'
import { check, oneOfCheck, show, skipped } from '../checks.ts'
import type { Check, Findings } from '../checks.ts'
import type { Machine } from '../verdict/subject.ts'
import type { Verifier, VerifierContext } from '../context.ts'
import { AttestationFetchError, fetchJson } from '../http.ts'
import { bindingCheck, claim, issueTime, readToken, signatureCheck, strings, timeChecks } from '../tokens/token.ts'
import { CONFIDENTIAL_MODELS, googleSection } from './policy.ts'
import type { GooglePolicy } from './policy.ts'

export const GOOGLE_ISSUER = 'https://confidentialcomputing.googleapis.com'

export const google: Verifier<GooglePolicy> = { ...googleSection, verify: verifyGoogle }

async function verifyGoogle (context: VerifierContext, policy: GooglePolicy): Promise<Findings> {
  const read = readToken(context, MEDIA_TYPES.eatJwt)
  if (!read) {
    return { checks: [check('evidence', false, 'The evidence is not one token of Confidential Space')], presented: {} }
  }
  const { token, claims } = read
  const signature = await signatureCheck(context, token, GOOGLE_ISSUER, () => keySetUrl(context))
  if (signature.outcome === 'failed') {
    return { checks: [signature, skipped('claims', 'Not checked without a signature')], presented: {} }
  }

  const container = (name: string) => claim(claims, 'submods', 'container', name)
  const imageDigest = container('image_digest')
  const project = claim(claims, 'submods', 'gce', 'project_id')
  const accounts = strings(claim(claims, 'google_service_accounts'))
  const debugStatus = claim(claims, 'dbgstat')
  const support = strings(claim(claims, 'submods', 'confidential_space', 'support_attributes'))
  const debuggable = debugStatus !== 'disabled-since-boot'
  return {
    checks: [
      signature,
      check('issuer', claims.iss === GOOGLE_ISSUER, `The issuer is ${show(claims.iss)}`),
      check(
        'audience',
        claims.aud === policy.audience,
        `The token is for ${show(claims.aud)}, the policy expects ${show(policy.audience)}`
      ),
      ...timeChecks(context, claims),
      // One nonce was asked for; a token with more was made for another purpose as well.
      bindingCheck(context, claim(claims, 'eat_nonce'), "The token's nonce"),
      check(
        'software',
        claim(claims, 'swname') === 'CONFIDENTIAL_SPACE',
        `The machine runs ${show(claim(claims, 'swname'))}`
      ),
      check('secure-boot', claim(claims, 'secboot') === true, `Secure boot is ${show(claim(claims, 'secboot'))}`),
      check('debug', !debuggable || policy.allowDebug === true, `The debug status is ${show(debugStatus)}`),
      supportCheck(support, policy),
      oneOfCheck('hardware', 'The hardware', policy.hardwareModels ?? CONFIDENTIAL_MODELS, claim(claims, 'hwmodel')),
      oneOfCheck('image', 'The image digest', policy.imageDigests, imageDigest),
      oneOfCheck('project', 'The project', policy.projectIds, project),
      accountCheck(accounts, policy.serviceAccounts),
      environmentCheck(container('env_override'), policy.environment ?? {}),
      commandCheck(container('cmd_override'), policy.command)
    ],
    issuedAt: issueTime(claims),
    machine: machineOf(claim(claims, 'hwmodel'), debuggable),
    running: { digest: digestOf(imageDigest) },
    presented: {
      'google-confidential-space': {
        audience: policy.audience,
        ...(typeof imageDigest === 'string' && { imageDigests: [imageDigest] }),
        ...(typeof project === 'string' && { projectIds: [project] }),
        ...(accounts.length > 0 && { serviceAccounts: accounts }),
        ...(typeof claim(claims, 'hwmodel') === 'string' && { hardwareModels: strings(claim(claims, 'hwmodel')) }),
        ...(Object.keys(overrides(container('env_override')) ?? {}).length > 0 && {
          environment: Object.fromEntries(
            Object.entries(overrides(container('env_override')) ?? {}).map(([name, value]) => [name, [value]])
          )
        }),
        ...(strings(container('cmd_override')).length > 0 && { command: strings(container('cmd_override')) }),
        ...(debuggable && { allowDebug: true })
      }
    }
  }
}

const NAMES: Readonly<Record<string, string>> = {
  GCP_AMD_SEV: 'AMD SEV virtual machine',
  GCP_AMD_SEV_ES: 'AMD SEV-ES virtual machine',
  GCP_INTEL_TDX: 'Intel TDX virtual machine'
}

function machineOf (model: unknown, debuggable: boolean): Machine {
  const known = typeof model === 'string' && Object.hasOwn(NAMES, model) ? NAMES[model] : undefined
  return {
    name: known ?? `virtual machine of the kind ${show(model)}`,
    vouchedBy: 'Google',
    exposed: known === undefined
      ? 'may keep nothing from its host'
      : debuggable ? 'its operator can log in to' : undefined
  }
}

function digestOf (imageDigest: unknown): string | undefined {
  return typeof imageDigest === 'string' ? /^sha256:([\da-f]{64})$/.exec(imageDigest)?.[1] : undefined
}

async function keySetUrl (context: VerifierContext): Promise<string> {
  const url = claim(await fetchJson(context.fetch, `${GOOGLE_ISSUER}/.well-known/openid-configuration`), 'jwks_uri')
  if (typeof url !== 'string' || !url.startsWith('https://')) {
    throw new AttestationFetchError('the issuer names no key set')
  }
  return url
}

/** Debug images of Confidential Space carry no support attributes at all. */
function supportCheck (attributes: string[], policy: GooglePolicy): Check {
  if (policy.allowDebug) {
    return skipped('support', `The image of Confidential Space is ${show(attributes)}; the policy accepts debug images`)
  }
  return check(
    'support',
    attributes.includes('STABLE'),
    `The image of Confidential Space is ${show(attributes)}, STABLE is expected`
  )
}

function accountCheck (presented: string[], accepted: readonly string[] | undefined): Check {
  if (!accepted) {
    return skipped('service-account', `The service accounts are ${show(presented)}; the policy accepts any`)
  }
  return check(
    'service-account',
    presented.some(account => accepted.includes(account)),
    `The service accounts are ${show(presented)}`
  )
}

/** undefined where the claim is there but is not an object of strings. */
function overrides (value: unknown): Record<string, string> | undefined {
  if (value === undefined || value === null) return {}
  if (typeof value !== 'object' || Array.isArray(value)) return undefined
  return Object.values(value).every(item => typeof item === 'string') ? (value as Record<string, string>) : undefined
}

/** The genuine image with another environment is another program: it could send what it opened anywhere. */
function environmentCheck (presented: unknown, accepted: Readonly<Record<string, readonly string[]>>): Check {
  const set = overrides(presented)
  if (!set) return check('environment', false, 'The overridden environment cannot be read')
  const refused = Object.entries(set)
    .filter(([name, value]) => !(Object.hasOwn(accepted, name) && accepted[name]?.includes(value)))
    .map(([name]) => name)
  return check(
    'environment',
    refused.length === 0,
    refused.length === 0
      ? `The operator overrides ${show(Object.keys(set))}, as the policy accepts`
      : `The operator overrides ${show(refused)} in a way that the policy does not accept`
  )
}

function commandCheck (presented: unknown, accepted: readonly string[] = []): Check {
  const same = JSON.stringify(presented ?? []) === JSON.stringify(accepted)
  return check(
    'command',
    same,
    same
      ? `The operator's command line is ${show(accepted)}`
      : `The operator's command line is ${show(presented)}, not ${show(accepted)}`
  )
}
