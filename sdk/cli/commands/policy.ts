/** polaris policy init URL */
import { writeFile } from 'node:fs/promises'
import { Command } from 'commander'
import type { AttestationPolicy } from '../../attestation/policy.ts'
import { adviseOnSimulated, appraise } from '../appraise.ts'
import { openNetwork, withNetworkOptions } from '../network/network.ts'
import type { NetworkOptions } from '../network/network.ts'
import { watchClock } from '../network/clock.ts'
import { REFUSED, UsageError, VERIFIED } from '../status.ts'
import { json, renderVerdict } from '../terminal/render.ts'

interface InitOptions extends NetworkOptions {
  development?: boolean
  output?: string
}

export function policyCommand (): Command {
  return new Command('policy')
    .description('Manage policies.')
    .addCommand(withNetworkOptions(new Command('init')
      .description('Writes a policy that pins exactly what a deployment presents. Review it before you trust it: compare image digest or measurement with what you built.')
      .argument('<url>', 'base URL of the proxy')
      .option('-o, --output <file>', 'write to this new file instead of standard output')
      .option('--development', 'accept simulated evidence')
      .option('--json', 'as always: a policy is JSON'))
      .addHelpText('after', `
Examples:
  $ polaris policy init https://proxy.example.com --output policy.json
  $ polaris policy init http://localhost:3000 --development
`)
      .action(init))
    .addHelpText('after', `
Examples:
  $ polaris policy init https://proxy.example.com --output policy.json
`)
}

async function init (url: string, options: InitOptions): Promise<void> {
  const { development = false, output } = options
  const clock = watchClock(await openNetwork(options))
  const verdict = await appraise(url, { development }, clock)
  if (!verdict.verified) {
    process.stderr.write(renderVerdict(verdict, process.stderr) + adviseOnSimulated(verdict, { development }) + clock.advice(verdict))
    process.exitCode = REFUSED
    return
  }
  const simulated = verdict.tee === 'simulated'
  const policy: AttestationPolicy = { version: 1, ...simulated && { development: true }, platforms: verdict.presented, ...verdict.weakenings && { acceptedWeakenings: verdict.weakenings } }
  if (output === undefined || output === '-') process.stdout.write(json(policy))
  else await create(output, json(policy))
  process.stderr.write(simulated
    ? 'polaris: simulated evidence proves nothing: this policy is for development\n'
    : 'polaris: the evidence is genuine, the pins are what it presented: review them before you trust them\n')
  process.exitCode = VERIFIED
}

/** Never over a policy that has been reviewed. */
async function create (file: string, content: string): Promise<void> {
  try {
    await writeFile(file, content, { flag: 'wx' })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
    throw new UsageError(`cannot write ${file}: ${code}${code === 'EEXIST' ? ', there is such a file: remove it, or name another' : ''}`)
  }
}
