/** polaris keys URL */
import { Command } from 'commander'
import { adviseOnSimulated, appraise } from '../appraise.ts'
import type { AppraiseOptions } from '../appraise.ts'
import { watchClock } from '../network/clock.ts'
import { openNetwork, withNetworkOptions } from '../network/network.ts'
import type { NetworkOptions } from '../network/network.ts'
import { REFUSED, VERIFIED } from '../status.ts'
import { NO_POLICY, json, plainKeys, renderVerdict } from '../terminal/render.ts'

export function keysCommand (): Command {
  return withNetworkOptions(new Command('keys')
    .description('Prints the keys that a proxy proves, if the evidence is accepted.')
    .argument('<url>', 'base URL of the proxy')
    .option('-p, --policy <file>', 'what to accept; without it, genuine hardware with any software')
    .option('--development', 'without a policy: accept simulated evidence')
    .option('--json', 'print the keys as JSON, with their values'))
    .addHelpText('after', `
Examples:
  $ polaris keys https://proxy.example.com --policy policy.json
  $ polaris keys https://proxy.example.com --policy policy.json --json | jq -r '.[0].value'
`)
    .action(async (url: string, options: AppraiseOptions & NetworkOptions & { json?: boolean }) => {
      const clock = watchClock(await openNetwork(options))
      const verdict = await appraise(url, options, clock)
      if (!verdict.verified) {
        process.stderr.write(renderVerdict(verdict, process.stderr) + adviseOnSimulated(verdict, options) + clock.advice(verdict))
        process.exitCode = REFUSED
        return
      }
      if (options.policy === undefined) process.stderr.write(NO_POLICY)
      const keys = plainKeys(verdict.keys)
      process.stdout.write(options.json ? json(keys) : keys.map(({ kind, sha256 }) => `${kind} sha256:${sha256}\n`).join(''))
      process.exitCode = VERIFIED
    })
}
