/** polaris verify URL */
import { Command } from 'commander'
import type { Verdict } from '../../attestation/checks.ts'
import { parseAttestationPolicy } from '../../attestation/policy.ts'
import { adviseOnSimulated, appraiseAnswer, readPolicy } from '../appraise.ts'
import type { AppraiseOptions } from '../appraise.ts'
import { watchClock } from '../network/clock.ts'
import { openNetwork, withNetworkOptions } from '../network/network.ts'
import type { NetworkOptions } from '../network/network.ts'
import { UNTRUSTED_KEY, tlsSentence, watchTls } from '../network/tls-key.ts'
import type { SeenKey } from '../network/tls-key.ts'
import { withProvenanceOptions } from '../provenance.ts'
import { createRecorder } from '../saved/recorder.ts'
import { replay, save } from '../saved/saved.ts'
import { REFUSED, UsageError, VERIFIED } from '../status.ts'
import { NO_POLICY, json, plainVerdict, renderVerdict } from '../terminal/render.ts'

interface VerifyOptions extends AppraiseOptions, NetworkOptions {
  readonly json?: boolean
  readonly save?: string
  readonly from?: string
}

export function verifyCommand (): Command {
  return withNetworkOptions(withProvenanceOptions(new Command('verify')
    .description('Prints the verdict about a proxy, check by check.')
    .argument('[url]', 'base URL of the proxy')
    .option('-p, --policy <file>', 'what to accept; without it, genuine hardware with any software')
    .option('--development', 'without a policy: accept simulated evidence')
    .option('--save <folder>', 'write all that was seen to this new folder')
    .option('--from <folder>', 'instead of a URL: repeat a verification that was saved, offline and as of its time')
    .option('--json', 'print the verdict as JSON')))
    .addHelpText('after', `
Examples:
  $ polaris verify https://proxy.example.com --policy policy.json
  $ polaris verify https://proxy.example.com --policy policy.json --provenance image.sigstore.json
  $ polaris verify https://proxy.example.com --policy policy.json --json | jq '.checks[] | select(.outcome == "failed")'
  $ polaris verify https://proxy.example.com --policy policy.json --save 2026-06-10
  $ polaris verify --from 2026-06-10
`)
    .action((url: string | undefined, options: VerifyOptions) => options.from === undefined
      ? verify(url, options)
      : repeat(url, options.from, options))
}

async function verify (url: string | undefined, options: VerifyOptions): Promise<void> {
  if (url === undefined) {
    throw new UsageError('give the base URL of the proxy, or --from with a folder that --save wrote')
  }
  const tls = watchTls(url, await openNetwork(options), options)
  const clock = watchClock(tls)
  const recorder = createRecorder(clock.fetch)
  const appraisal = await appraiseAnswer(url, options, clock, recorder.fetch)
  const { verdict } = appraisal
  const seen = await tls.seen(verdict)
  if (options.save !== undefined) await save(options.save, url, appraisal, recorder)
  print(verdict, options, seen)
  if (verdict.verified && !tls.isTrusted(seen)) {
    process.stderr.write(UNTRUSTED_KEY)
    process.exitCode = REFUSED
  }
  if (verdict.verified && options.policy === undefined) process.stderr.write(NO_POLICY)
  process.stderr.write(adviseOnSimulated(verdict, options) + clock.advice(verdict))
}

async function repeat (url: string | undefined, folder: string, options: VerifyOptions): Promise<void> {
  const { policy, save: target, development, provenance, trustedRoot } = options
  if ([url, target, development, provenance, trustedRoot].some(value => value !== undefined)) {
    throw new UsageError('--from repeats what was saved: it takes --policy and --json, and no URL or other option')
  }
  print(
    await replay(folder, policy === undefined ? undefined : parseAttestationPolicy(await readPolicy(policy))), options
  )
}

function print (verdict: Verdict, options: VerifyOptions, tls?: SeenKey): void {
  process.stdout.write(options.json
    ? json({ ...plainVerdict(verdict), ...tls && { tls } })
    : (tls ? `${tlsSentence(tls)}\n` : '') + renderVerdict(verdict, process.stdout))
  process.exitCode = verdict.verified ? VERIFIED : REFUSED
}
