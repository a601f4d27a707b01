/** polaris policy init URL */
import { writeFile } from 'node:fs/promises'
import { Command } from 'commander'
import type { Verdict } from '../../attestation/checks.ts'
import { parseAttestationPolicy } from '../../attestation/policy.ts'
import type { AttestationPolicy, PlatformPolicies } from '../../attestation/policy.ts'
import { AttestationPolicyError } from '../../attestation/policy-rules.ts'
import { provenanceForm } from '../../attestation/provenance/form.ts'
import type { ProvenancePolicy } from '../../attestation/provenance/policy.ts'
import type { SnpPolicy } from '../../attestation/snp/policy.ts'
import { verifyAttestation } from '../../attestation/verify.ts'
import { adviseOnSimulated, appraiseAnswer } from '../appraise.ts'
import { openNetwork, withNetworkOptions } from '../network/network.ts'
import type { NetworkOptions } from '../network/network.ts'
import { watchClock } from '../network/clock.ts'
import { readProvenance, withProvenanceOptions } from '../provenance.ts'
import type { ProvenanceOptions } from '../provenance.ts'
import { REFUSED, UsageError, VERIFIED } from '../status.ts'
import { json, renderVerdict } from '../terminal/render.ts'

interface InitOptions extends NetworkOptions, ProvenanceOptions {
  readonly development?: boolean
  readonly output?: string
  readonly repository?: string
  readonly workflow?: string
  readonly ref?: string
}

export function policyCommand (): Command {
  const command = new Command('init')
    .description(
      'Writes a policy that pins exactly what a deployment presents. Review it before you trust it: compare image ' +
      'digest or measurement with what you built. With --repository, it accepts what that repository releases, in ' +
      'place of digests.'
    )
    .argument('[url]', 'base URL of the proxy; with --repository, it may be left out for Google Confidential Space')
    .option('-o, --output <file>', 'write to this new file instead of standard output')
    .option('--repository <owner/name>', 'accept what a workflow of this GitHub repository built, by Sigstore')
    .option(
      '--workflow <path>', 'with --repository: this workflow, such as .github/workflows/release.yml; default: any'
    )
    .option('--ref <pattern>', 'with --repository: this git reference, such as refs/tags/v1.*; default: any tag')
    .option('--development', 'accept simulated evidence')
    .option('--json', 'as always: a policy is JSON')
  return new Command('policy')
    .description('Manage policies.')
    .addCommand(withNetworkOptions(withProvenanceOptions(command))
      .addHelpText('after', `
Examples:
  $ polaris policy init https://proxy.example.com --output policy.json
  $ polaris policy init https://proxy.example.com --repository owner/name --workflow .github/workflows/release.yml
  $ polaris policy init http://localhost:3000 --development
`)
      .action(init))
    .addHelpText('after', `
Examples:
  $ polaris policy init https://proxy.example.com --output policy.json
`)
}

async function init (url: string | undefined, options: InitOptions): Promise<void> {
  const { development = false, output } = options
  const provenance = provenanceOf(options)
  if (url === undefined) {
    if (!provenance) {
      throw new UsageError(
        'give the base URL of the proxy, or --repository owner/name for a policy of Confidential Space'
      )
    }
    await write(
      output, { version: 1, provenance, platforms: { 'google-confidential-space': { audience: DEFAULT_AUDIENCE } } }
    )
    process.stderr.write(
      'polaris: for Google Confidential Space; give the URL of a proxy for the pins of its platform as well\n'
    )
    process.exitCode = VERIFIED
    return
  }
  const clock = watchClock(await openNetwork(options))
  const { verdict, document, nonce, at } = await appraiseAnswer(url, { development }, clock)
  if (!verdict.verified) return refuse(verdict, adviseOnSimulated(verdict, { development }) + clock.advice(verdict))
  const simulated = verdict.tee === 'simulated'
  const platforms = provenance ? withoutSoftware(verdict.presented) : verdict.presented
  const policy: AttestationPolicy = {
    version: 1,
    ...simulated && { development: true },
    ...provenance && { provenance },
    platforms,
    ...verdict.weakenings && { acceptedWeakenings: verdict.weakenings }
  }
  if (provenance) {
    const sources = await readProvenance(options, policy, clock.fetch)
    const built = await verifyAttestation(document, policy, { nonce, now: at, fetch: clock.fetch, ...sources })
    const failed = built.checks.filter(({ outcome }) => outcome === 'failed')
    const onlyMissing = sources.provenance === undefined && failed.every(({ name }) => name === 'provenance-bundle')
    if (!built.verified && !onlyMissing) return refuse(built, '')
    if (onlyMissing && failed.length > 0) process.stderr.write(NO_BUNDLE)
  }
  await write(output, policy)
  process.stderr.write(missingIn(policy) + (simulated
    ? 'polaris: simulated evidence proves nothing: this policy is for development\n'
    : 'polaris: the evidence is genuine, the pins are what it presented: review them before you trust them\n'))
  process.exitCode = VERIFIED
}

const DEFAULT_AUDIENCE = 'polaris-secure-proxy'
const NO_BUNDLE = 'polaris: the proxy sends no Sigstore bundle, so nothing shows yet that the repository built what ' +
  'runs: have it send one (POLARIS_CONTAINER_ATTESTATION_ENDORSEMENTS), or give polaris verify one with --provenance\n'

/** Not every platform's evidence says what runs: then its user has to add that. Ends with a newline, or is empty. */
function missingIn (policy: AttestationPolicy): string {
  try {
    parseAttestationPolicy(policy)
    return ''
  } catch (error) {
    if (!(error instanceof AttestationPolicyError)) throw error
    return `polaris: the policy cannot be used yet: ${error.message}\n`
  }
}

function provenanceOf (
  { repository, workflow, ref, provenance, trustedRoot }: InitOptions
): ProvenancePolicy | undefined {
  if (repository === undefined) {
    if ([workflow, ref, provenance, trustedRoot].some(option => option !== undefined)) {
      throw new UsageError('--workflow, --ref, --provenance and --trusted-root need --repository owner/name')
    }
    return undefined
  }
  const section = { repository, ...workflow !== undefined && { workflow }, ...ref !== undefined && { ref } }
  provenanceForm(section, 'provenance')
  return section
}

/** What the subject or the predicate of a bundle says in their place. */
function withoutSoftware (presented: PlatformPolicies): PlatformPolicies {
  const { 'google-confidential-space': google, 'azure-maa': azure, 'sev-snp': snp, tdx, ...rest } = presented
  const { imageDigests: _, ...project } = google ?? {}
  const { hostData: __, ...provider } = azure ?? {}
  return {
    ...rest,
    ...google && { 'google-confidential-space': { ...project, audience: google.audience } },
    ...azure && { 'azure-maa': { ...provider, issuers: azure.issuers } },
    ...snp && { 'sev-snp': withoutProgram(snp) },
    // The firmware is the cloud's.
    ...tdx && {
      tdx: { ...tdx, measurements: (tdx.measurements ?? []).map(({ mrtd }) => ({ ...mrtd !== undefined && { mrtd } })) }
    }
  }
}

/** Host data that are not zero name the program, and the measurement is the cloud's. */
function withoutProgram ({ measurements, hostData = [], ...rest }: SnpPolicy): SnpPolicy {
  const named = hostData.some(value => /[^0]/.test(value))
  return { ...rest, ...named && measurements && { measurements } }
}

function refuse (verdict: Verdict, advice: string): void {
  process.stderr.write(renderVerdict(verdict, process.stderr) + advice)
  process.exitCode = REFUSED
}

async function write (output: string | undefined, policy: AttestationPolicy): Promise<void> {
  if (output === undefined || output === '-') process.stdout.write(json(policy))
  else await create(output, json(policy))
}

/** Never over a policy that has been reviewed. */
async function create (file: string, content: string): Promise<void> {
  try {
    await writeFile(file, content, { flag: 'wx' })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
    throw new UsageError(
      `cannot write ${file}: ${code}${code === 'EEXIST' ? ', there is such a file: remove it, or name another' : ''}`
    )
  }
}
