/** The commands of `polaris`, in the order in which help lists them. A new command is one line here. */
import type { Command } from 'commander'
import { appraiseCommand } from './appraise/index.ts'
import { completionCommand } from './completion.ts'
import { doctorCommand } from './doctor.ts'
import { fetchCommand } from './fetch.ts'
import { keysCommand } from './keys.ts'
import { planCommand } from './plan.ts'
import { policyCommand } from './policy.ts'
import { verifyCommand } from './verify.ts'
import { proxyCommand } from '../../proxy/command.ts'

export const commands: readonly (() => Command)[] = [
  fetchCommand,
  proxyCommand,
  verifyCommand,
  keysCommand,
  policyCommand,
  planCommand,
  appraiseCommand,
  doctorCommand,
  completionCommand
]
