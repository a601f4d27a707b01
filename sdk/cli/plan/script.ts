/** The scripts of a plan. */

/**
 * @param what a sentence: what the script does
 * @param commands lines of bash; `$plan` is the directory of the plan
 */
export function script (what: string, commands: string): string {
  const place = commands.includes('$plan') ? 'plan=$(cd "$(dirname "$0")" && pwd)\n' : ''
  return `#!/usr/bin/env bash
# ${what}
# Read it first, then run it in the root of the repository.
set -euo pipefail
${place}
${commands}`
}
