/** polaris appraise nvidia */
import { Command } from 'commander'
import { isVerified } from '../../../attestation/verify.ts'
import { appraiseNvidia } from '../../../attestation/nvidia/index.ts'
import { UsageError } from '../../status.ts'
import { hexOption, readJson, report, timeOf, withCommonOptions } from './common.ts'
import type { CommonOptions } from './common.ts'
import { deviceSection } from './sections.ts'

const NONCE_BYTES = 32

interface NvidiaOptions extends CommonOptions {
  readonly evidence: string
  readonly answer?: string
  readonly keys?: string
  readonly nonce?: string
}

export function nvidiaCommand (): Command {
  const command = new Command('nvidia')
    .description('The evidence of NVIDIA GPUs, with or without the answer of NVIDIA\'s Remote Attestation Service.')
    .requiredOption('--evidence <file>', 'what the service takes: JSON with nonce and evidence_list')
    .option('--answer <file>', 'what the service answered: JSON')
    .option('--keys <file>', 'the service\'s keys of that time, a JWK set; needed with --answer')
    .option(
      '--nonce <hex>', 'what the GPUs had to answer; without it, the nonce in the file, which proves no freshness'
    )
  return withCommonOptions(command)
    .addHelpText('after', `
Examples:
  $ polaris appraise nvidia --evidence request.json --answer answer.json --keys jwks.json --at 2026-06-10T01:48:16Z
`)
    .action(run)
}

async function run (options: NvidiaOptions): Promise<void> {
  if (options.answer !== undefined && options.keys === undefined) {
    throw new UsageError('--answer needs --keys: the keys that signed it')
  }
  const request = await readJson(options.evidence)
  const nonce = options.nonce === undefined
    ? nonceIn(request)
    : hexOption('--nonce', options.nonce, NONCE_BYTES).toString('hex')
  const { checks } = await appraiseNvidia(request, {
    nonce,
    policy: (await deviceSection(options)).nvidia ?? {},
    now: timeOf(options),
    ...options.answer !== undefined && { answer: await readJson(options.answer) },
    ...options.keys !== undefined && { keySet: await readJson(options.keys) }
  })
  report({ verified: isVerified(checks), tee: 'nvidia', checks, keys: [], presented: {} }, options)
}

/** The appraisal says what is wrong with a file that has none. */
function nonceIn (request: unknown): string {
  const nonce = typeof request === 'object' && request !== null && 'nonce' in request ? request.nonce : undefined
  return typeof nonce === 'string' ? nonce : ''
}
