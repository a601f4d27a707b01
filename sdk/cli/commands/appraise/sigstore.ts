/** polaris appraise sigstore */
import { Command } from 'commander'
import { appraiseProvenance } from '../../../attestation/provenance/index.ts'
import { isVerified } from '../../../attestation/verify.ts'
import { UsageError } from '../../status.ts'
import { json, renderVerdict } from '../../terminal/render.ts'
import { REFUSED, VERIFIED } from '../../status.ts'
import { read, readJson, timeOf } from './common.ts'
import { provenanceSection } from './sections.ts'

interface SigstoreOptions {
  readonly bundle: string
  readonly digest: string
  readonly repository?: string
  readonly policy?: string
  readonly issuer?: string
  readonly workflow?: string
  readonly refPrefix?: string
  readonly predicateType?: string[]
  readonly statementType?: string[]
  readonly payloadType?: string
  readonly notBefore?: string
  readonly trustedRoot?: string
  readonly at?: string
  readonly json?: boolean
}

export function sigstoreCommand (): Command {
  return new Command('sigstore')
    .description('A Sigstore bundle: that a repository\'s own workflow built what has this digest.')
    .requiredOption('--bundle <file>', 'the bundle, of version 0.3')
    .requiredOption('--digest <sha256:hex>', 'SHA-256 of what runs')
    .option('--repository <owner/name>', 'the repository that must have built it; needed without --policy')
    .option(
      '-p, --policy <file>',
      'take what to accept from the provenance section of this policy; options here take precedence'
    )
    .option('--issuer <url>', 'who vouched for the workflow; default: GitHub')
    .option(
      '--workflow <path>', 'the workflow\'s file, such as .github/workflows/release.yml; default: any of the repository'
    )
    .option('--ref-prefix <prefix>', 'what the git reference begins with; default: refs/tags/')
    .option('--predicate-type <uri>', 'a type of predicate to accept; several times for several; default: any', collect)
    .option(
      '--statement-type <uri>', 'a type of in-toto statement to accept; several times for several; default: any',
      collect
    )
    .option('--payload-type <type>', 'the type of what was signed; default: in-toto\'s')
    .option('--not-before <time>', 'the oldest time in the log to accept (RFC 3339)')
    .option(
      '--trusted-root <file>', 'Sigstore\'s trusted root; default: the one of the public instance that is shipped'
    )
    .option('--at <time>', 'appraise as at this time (RFC 3339), for recordings; default: now')
    .option('--json', 'print the verdict as JSON')
    .addHelpText('after', `
Examples:
  $ polaris appraise sigstore --bundle image.sigstore.json --digest sha256:5ed9… --repository owner/name --ref-prefix refs/tags/v
`)
    .action(run)
}

function collect (value: string, before: string[] = []): string[] {
  return [...before, value]
}

async function run (options: SigstoreOptions): Promise<void> {
  const {
    digest, repository, issuer, workflow, refPrefix, predicateType, statementType, payloadType, notBefore
  } = options
  if (!/^(?:sha256:)?[\da-fA-F]{64}$/.test(digest)) {
    throw new UsageError('--digest takes sha256: and 64 hexadecimal digits')
  }
  if (repository !== undefined && !/^[\w.-]+\/[\w.-]+$/.test(repository)) {
    throw new UsageError('--repository takes owner/name')
  }
  const section = await provenanceSection(options)
  const { ref, ...rest } = section ?? {}
  const source = repository ?? section?.repository
  if (source === undefined) throw new UsageError('give --repository owner/name, or a --policy with provenance')
  const { checks } = await appraiseProvenance((await read(options.bundle)).toString('utf8'), {
    running: { digest: digest.replace(/^sha256:/, '') },
    now: timeOf(options),
    policy: {
      ...rest,
      ...refPrefix === undefined && ref !== undefined && { ref },
      repository: source,
      ...issuer !== undefined && { issuer },
      ...workflow !== undefined && { workflow },
      ...refPrefix !== undefined && { refPrefix },
      ...predicateType !== undefined && { predicateTypes: predicateType },
      ...statementType !== undefined && { statementTypes: statementType },
      ...payloadType !== undefined && { payloadType },
      ...notBefore !== undefined && { notBefore: timeOf({ at: notBefore }).toISOString() }
    },
    ...options.trustedRoot !== undefined && { trustedRoot: await readJson(options.trustedRoot) }
  })
  const verified = isVerified(checks)
  const verdict = { verified, tee: 'sigstore', checks, keys: [], presented: {} }
  process.stdout.write(
    options.json ? json({ verified, tee: 'sigstore', checks }) : renderVerdict(verdict, process.stdout)
  )
  process.exitCode = verified ? VERIFIED : REFUSED
}
