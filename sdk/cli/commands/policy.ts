/** polaris policy init URL */
import { writeFile } from 'node:fs/promises'
import { Command } from 'commander'
import type { AttestationPolicy } from '../../attestation/policy.ts'
import { appraise } from '../appraise.ts'
import { json, renderVerdict } from '../terminal/render.ts'
import { REFUSED, UsageError, VERIFIED } from '../status.ts'

interface InitOptions {
  development?: boolean
  output?: string
}

export function policyCommand (): Command {
  return new Command('policy')
    .description('Works on policies.')
    .addCommand(new Command('init')
      .description('Writes a policy that pins exactly what a deployment presents. Review it before you trust it: compare image digest or measurement with what you built.')
      .argument('<url>', 'base URL of the proxy')
      .option('-o, --output <file>', 'write to this new file instead of standard output')
      .option('--development', 'accept simulated evidence')
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

async function init (url: string, { development = false, output }: InitOptions): Promise<void> {
  const verdict = await appraise(url, { development })
  if (!verdict.verified) {
    process.stderr.write(renderVerdict(verdict, process.stderr))
    process.exitCode = REFUSED
    return
  }
  const policy: AttestationPolicy = { version: 1, ...development && { development }, platforms: verdict.presented }
  if (output === undefined) process.stdout.write(json(policy))
  else await create(output, json(policy))
  process.stderr.write(verdict.tee === 'simulated'
    ? 'polaris: simulated evidence proves nothing: this policy is for development\n'
    : 'polaris: the evidence is genuine, the pins are what it presented: review them before you trust them\n')
  process.exitCode = VERIFIED
}

/** Never over a policy that somebody reviewed. */
async function create (file: string, content: string): Promise<void> {
  try {
    await writeFile(file, content, { flag: 'wx' })
  } catch (error) {
    throw new UsageError(`cannot write ${file}: ${error instanceof Error && 'code' in error ? error.code : 'unknown error'}`)
  }
}
