/** polaris plan azure|google */
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Command } from 'commander'
import { azure } from '../plan/azure.ts'
import { google } from '../plan/google.ts'
import type { Plan } from '../plan/plan.ts'
import { ask, optionOf } from '../plan/question.ts'
import { UsageError, VERIFIED } from '../status.ts'
import { json } from '../terminal/render.ts'

const plans: Readonly<Record<string, Plan>> = { azure, google }

const EXAMPLES: Readonly<Record<string, string>> = {
  azure: `
  $ polaris plan azure
  $ polaris plan azure --subscription 00000000-0000-0000-0000-000000000000 --name my-polaris --proxy-image … \\
      --workload-image … --sidecar-image … --output plan`,
  google: `
  $ polaris plan google
  $ polaris plan google --project my-project --project-number 123456789012 --image …@sha256:… --output plan`
}

export function planCommand (): Command {
  const command = new Command('plan')
    .description('Asks five questions, and writes what a first deployment needs: variables, the policy for clients, ' +
      'and the commands. Works offline.')
    .addHelpText('after', `
Examples:
  $ polaris plan azure
  $ polaris plan google
`)
  for (const [cloud, plan] of Object.entries(plans)) command.addCommand(cloudCommand(cloud, plan))
  return command
}

function cloudCommand (cloud: string, plan: Plan): Command {
  const command = new Command(cloud)
    .description(`Plans a deployment of ${plan.title}.`)
    .option('-o, --output <directory>', 'write to this new directory', 'polaris-plan')
    .option('--json', 'print the files as one JSON object, and write none')
  for (const question of plan.questions) {
    command.option(
      `${optionOf(question)} <value>`,
      `${question.text}${question.default === undefined ? '' : ` (default: ${question.default})`}`
    )
  }
  return command
    .addHelpText('after', `
Without a terminal, or with --json, nothing is asked: every answer without a default has to be an option.

Examples:${EXAMPLES[cloud] ?? ''}
`)
    .action(async ({
      output, json: asJson = false, ...given
    }: { output: string, json?: boolean } & Record<string, string>) => {
      const answers = await ask(plan.questions, given, process.stdin.isTTY && !asJson)
      const files = plan.files(answers)
      if (asJson) process.stdout.write(json({ cloud, answers, files }))
      else await write(output, files)
      process.exitCode = VERIFIED
    })
}

/** Never over a plan that was edited. */
async function write (directory: string, files: Record<string, string>): Promise<void> {
  try {
    await mkdir(directory)
    for (const [name, content] of Object.entries(files)) {
      await writeFile(join(directory, name), content)
      if (name.endsWith('.sh')) await chmod(join(directory, name), 0o755)
    }
  } catch (error) {
    throw new UsageError(
      `cannot write ${directory}: ${error instanceof Error && 'code' in error ? error.code : 'unknown error'}`
    )
  }
  process.stderr.write(`polaris: ${directory} has ${Object.keys(files).join(', ')}\n` +
    'polaris: read the commands, then run deploy.sh and verify.sh in the root of the repository; remove.sh removes ' +
      'all of it\n')
}
