/** polaris verify URL */
import { Command } from 'commander'
import { adviseOnSimulated, appraise } from '../appraise.ts'
import type { AppraiseOptions } from '../appraise.ts'
import { watchClock } from '../network/clock.ts'
import { openNetwork, withNetworkOptions } from '../network/network.ts'
import type { NetworkOptions } from '../network/network.ts'
import { withProvenanceOptions } from '../provenance.ts'
import { REFUSED, VERIFIED } from '../status.ts'
import { NO_POLICY, json, plainVerdict, renderVerdict } from '../terminal/render.ts'

export function verifyCommand (): Command {
  return withNetworkOptions(withProvenanceOptions(new Command('verify')
    .description('Prints the verdict about a proxy, check by check.')
    .argument('<url>', 'base URL of the proxy')
    .option('-p, --policy <file>', 'what to accept; without it, genuine hardware with any software')
    .option('--development', 'without a policy: accept simulated evidence')
    .option('--json', 'print the verdict as JSON')))
    .addHelpText('after', `
Examples:
  $ polaris verify https://proxy.example.com --policy policy.json
  $ polaris verify https://proxy.example.com --policy policy.json --provenance image.sigstore.json
  $ polaris verify https://proxy.example.com --policy policy.json --json | jq '.checks[] | select(.outcome == "failed")'
`)
    .action(async (url: string, options: AppraiseOptions & NetworkOptions & { json?: boolean }) => {
      const clock = watchClock(await openNetwork(options))
      const verdict = await appraise(url, options, clock)
      const { verified } = verdict
      process.stdout.write(options.json ? json(plainVerdict(verdict)) : renderVerdict(verdict, process.stdout))
      if (verified && options.policy === undefined) process.stderr.write(NO_POLICY)
      process.stderr.write(adviseOnSimulated(verdict, options) + clock.advice(verdict))
      process.exitCode = verified ? VERIFIED : REFUSED
    })
}
