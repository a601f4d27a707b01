/** What `polaris plan` knows of a cloud. A new cloud is one of these, and a line in commands/plan.ts. */
import type { Answers, Question } from './question.ts'

export interface Plan {
  /** What is deployed, in a few words. */
  readonly title: string
  readonly questions: readonly Question[]
  /** The files to write, by name: variables, the policy for clients, and the commands. */
  files (answers: Answers): Record<string, string>
}
